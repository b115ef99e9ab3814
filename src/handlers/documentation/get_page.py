"""GET /docs"""

from shared.config import get_settings
from shared.events import Request
from shared.http import Content, endpoint

from .assets import digest_of
from .negotiation import has_already
from .page import headers, html

_MEDIA_TYPE = "text/html; charset=utf-8"


@endpoint("GET", "/docs", is_open=True, media_types=(_MEDIA_TYPE,))
def handler(request: Request) -> Content:
    """The documentation page, on which every route can be tried."""
    settings = get_settings()
    page = html(settings)
    tag = f'"{digest_of(page)}"'
    sent = {"Cache-Control": "no-cache", "ETag": tag, **headers(settings)}
    if has_already(request, tag):
        return Content(status=304, headers=sent)
    return Content(page, _MEDIA_TYPE, headers=sent)
