"""GET /reports/{report_id}/export"""

from shared.auth import Caller
from shared.database import ReportRepository
from shared.downloads import offer
from shared.errors import Forbidden
from shared.http import Content, endpoint
from shared.models.report import ReportId
from shared.models.report_export import ExportLink, ExportQuery
from shared.rendering.file_names import content_disposition
from shared.rendering.formats import MEDIA_TYPES, render
from shared.similarity.objects import default_objects

from ..embeddings.catalogues import owner_to_read
from .exporting import exported

EXPORT_INLINE_BYTES = 4 * 1024 * 1024
"""The largest file that is answered itself: in base64 it is a third longer, and Lambda answers 6 MB at most."""

_FOLDER = "reports"


@endpoint(
    "GET",
    "/reports/{report_id}/export",
    refusals=(Forbidden,),
    media_types=tuple(MEDIA_TYPES.values()),
    content_headers=("Content-Disposition",),
    limited_as="searches",
)
def handler(caller: Caller, report_id: ReportId, query: ExportQuery) -> Content | ExportLink:
    """The report as a file, with its favourites and their scores; a large one is a link to where it can be had."""
    report = ReportRepository.get_report(report_id, caller.user_id)
    contents = exported(report, owner_to_read(caller, query.catalogue), query)
    file = render(query.format, contents)
    disposition = content_disposition(file.name)
    if len(file.body) <= EXPORT_INLINE_BYTES:
        return Content(file.body, file.media_type, headers={"Content-Disposition": disposition})
    download = offer(
        default_objects(), caller.user_id, _FOLDER, file.body, media_type=file.media_type, disposition=disposition
    )
    return ExportLink(url=download.url, expires_at=download.expires_at, bytes=len(file.body), file_name=file.name)
