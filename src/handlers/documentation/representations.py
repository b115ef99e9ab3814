"""One document in the forms that HTTP may send it: as it is, gzipped, or not at all where the client has it already."""

import gzip
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.events import Request
from shared.http import Content

CONTENT_HEADERS = ("Cache-Control", "ETag")
"""Of every answer; those that caches alone read are left out."""

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_NO_WEIGHT = re.compile(r"q\s*=\s*0(\.0{0,3})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Document:
    """A document, plain or gzipped. Each form has a strong ETag of its own (RFC 9110, section 8.8.3).

    It is kept gzipped, which is what nearly all clients take.
    """

    media_type: str
    gzipped: bytes
    digest: str
    cache_control: str

    @classmethod
    def of(cls, plain: bytes, media_type: str, *, cache_control: str) -> "Document":
        """`cache_control` says how long it may be kept, as the header of that name."""
        digest = hashlib.sha256(plain).hexdigest()[:32]
        return cls(media_type, gzip.compress(plain, mtime=0), digest, cache_control)

    def answer(self, request: Request) -> Content:
        """What the client asks for; 304 where it has it."""
        is_gzipped = accepts_gzip(request.header("accept-encoding") or "")
        tag = f'"{self.digest}-gzip"' if is_gzipped else f'"{self.digest}"'
        headers = {"ETag": tag, "Cache-Control": self.cache_control, "Vary": "Accept-Encoding"}
        if has_already(request.header("if-none-match") or "", {tag}):
            return Content(status=304, headers=headers)
        if is_gzipped:
            return Content(self.gzipped, self.media_type, headers={**headers, "Content-Encoding": "gzip"})
        return Content(gzip.decompress(self.gzipped), self.media_type, headers=headers)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding takes gzip (RFC 9110, section 12.5.3): named, or by `*`, with a weight above 0."""
    weights = dict(_codings(accept_encoding))
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))


def has_already(if_none_match: str, tags: Iterable[str]) -> bool:
    """Whether an If-None-Match holds one of these tags, by weak comparison, or `*` (RFC 9110, section 13.1.2)."""
    return if_none_match.strip() == "*" or not set(tags).isdisjoint(_TAG.findall(if_none_match))


def _codings(accept_encoding: str) -> Iterator[tuple[str, bool]]:
    for part in accept_encoding.split(","):
        coding, _, weight = part.partition(";")
        yield coding.strip().lower(), not _NO_WEIGHT.fullmatch(weight.strip())
