"""GET /openapi.json"""

from pathlib import Path

from shared.events import Request
from shared.http import Content, endpoint
from shared.process import per_process

from .representations import CONTENT_HEADERS, Document

_FILE = Path(__file__).with_name("openapi.json")
_CACHE_CONTROL = "public, max-age=300"


@endpoint(
    "GET",
    "/openapi.json",
    is_open=True,
    media_types=("application/json",),
    other_statuses=(304,),
    content_headers=CONTENT_HEADERS,
)
def handler(request: Request) -> Content:
    """This document: the OpenAPI 3.1 description of the API."""
    return _document().answer(request)


@per_process
def _document() -> Document:
    return Document.of(_FILE.read_bytes(), "application/json", cache_control=_CACHE_CONTROL)
