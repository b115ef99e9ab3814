"""GET /docs/{file}"""

from shared.errors import NotFound
from shared.events import Request
from shared.http import Content, endpoint

from .assets import MEDIA_TYPES, find
from .representations import CONTENT_HEADERS


@endpoint(
    "GET",
    "/docs/{file}",
    is_open=True,
    refusals=(NotFound,),
    media_types=MEDIA_TYPES,
    other_statuses=(304,),
    content_headers=CONTENT_HEADERS,
)
def handler(file: str, request: Request) -> Content:
    """A file of the documentation page, under the name that the page gives it."""
    asset = find(file)
    if asset is None:
        raise NotFound("The documentation page has no such file. Load the page again: its files change their names.")
    return asset.document().answer(request)
