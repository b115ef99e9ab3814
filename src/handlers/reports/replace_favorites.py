"""PUT /reports/{report_id}/favorites"""

from shared.auth import Caller
from shared.database import ReportRepository, Terms
from shared.errors import Conflict
from shared.http import endpoint
from shared.models.report import Favorites, ReplaceFavorites, ReportId

from . import growth


@endpoint("PUT", "/reports/{report_id}/favorites", refusals=(Conflict,), grows=growth.of_favorites)
def handler(caller: Caller, report_id: ReportId, body: ReplaceFavorites, terms: Terms) -> Favorites:
    """Make exactly these products the report's favourites."""
    return Favorites.of(ReportRepository.replace_favorites(report_id, caller.user_id, body.favorites, terms))
