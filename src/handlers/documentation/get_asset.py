"""GET /docs/{file}"""

from shared.errors import NotFound
from shared.events import Request
from shared.http import Content, endpoint

from .assets import MEDIA_TYPES, Asset, digest_of, find
from .negotiation import accepts_gzip, has_already

_FOR_GOOD = "public, max-age=31536000, immutable"


@endpoint("GET", "/docs/{file}", is_open=True, refusals=(NotFound,), media_types=MEDIA_TYPES)
def handler(file: str, request: Request) -> Content:
    """A file of the documentation page, under the name that the page gives it."""
    asset = find(file)
    if asset is None:
        raise NotFound("The documentation page has no such file. Load the page again: its files change their names.")
    body, headers = _representation(asset, compressed=accepts_gzip(request))
    headers |= {"Cache-Control": _FOR_GOOD, "Vary": "Accept-Encoding, Origin"}
    if has_already(request, headers["ETag"]):
        return Content(status=304, headers=headers)
    return Content(body, asset.media_type, headers=headers)


def _representation(asset: Asset, *, compressed: bool) -> tuple[bytes, dict[str, str]]:
    """Each with an entity tag of its own, as their bytes differ (RFC 9110, section 8.8.3)."""
    if compressed:
        return asset.compressed, {"ETag": f'"{digest_of(asset.compressed)}"', "Content-Encoding": "gzip"}
    return asset.content, {"ETag": f'"{asset.digest}"'}
