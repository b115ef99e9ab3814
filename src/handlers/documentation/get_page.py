"""GET /docs"""

from dataclasses import replace

from shared.config import get_settings
from shared.events import Request
from shared.http import Content, endpoint

from .page import headers, html
from .representations import CONTENT_HEADERS, Document

_MEDIA_TYPE = "text/html; charset=utf-8"


@endpoint(
    "GET", "/docs", is_open=True, media_types=(_MEDIA_TYPE,), other_statuses=(304,), content_headers=CONTENT_HEADERS
)
def handler(request: Request) -> Content:
    """The documentation page, on which every route can be tried."""
    settings = get_settings()
    answer = Document.of(html(settings), _MEDIA_TYPE, cache_control="no-cache").answer(request)
    return replace(answer, headers={**answer.headers, **headers(settings)})
