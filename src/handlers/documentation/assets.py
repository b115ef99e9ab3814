"""The files of the documentation page: the page's own, which lie here, and Swagger UI's, which a layer brings.

Each is known by a name that carries a digest of its content, so that browsers may keep it for good.
"""

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from shared.process import per_process

from .representations import Document

OWN = Path(__file__).parent
_OWN_FILES = ("page.css", "page.js", "sign-in.js")
_SWAGGER_UI = "swagger_ui"
"""The package that scripts/building/swagger_ui.py makes."""

_DIGITS = 16
_SWAGGER_UI_FILE = re.compile(rf"([a-z-]+)-([0-9a-f]{{{_DIGITS}}})\.(js|css|txt)\.gz")
_MEDIA_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}
MEDIA_TYPES = tuple(_MEDIA_TYPES.values())
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, compressed; `title` is its name without the digest, such as `page.js`."""

    title: str
    digest: str
    gzipped: bytes = field(repr=False)

    @property
    def name(self) -> str:
        stem, _, kind = self.title.rpartition(".")
        return f"{stem}-{self.digest}.{kind}"

    def document(self) -> Document:
        media_type = _MEDIA_TYPES[self.title.rpartition(".")[2]]
        return Document(media_type, self.gzipped, self.digest, _FOR_GOOD)


@per_process
def assets() -> Mapping[str, Asset]:
    """Every file by its title. Raises ModuleNotFoundError where Swagger UI is not there: a build without the layer."""
    return {asset.title: asset for asset in (*_own(), *_swagger_ui())}


def find(name: str) -> Asset | None:
    """The file of exactly that name; no name leads anywhere else."""
    return next((asset for asset in assets().values() if asset.name == name), None)


def _own() -> Iterator[Asset]:
    for title in _OWN_FILES:
        content = (OWN / title).read_bytes()
        yield Asset(title, hashlib.sha256(content).hexdigest()[:_DIGITS], gzip.compress(content, mtime=0))


def _swagger_ui() -> Iterator[Asset]:
    for path in Path(import_module(_SWAGGER_UI).__path__[0]).iterdir():
        named = _SWAGGER_UI_FILE.fullmatch(path.name)
        if named:
            stem, digest, kind = named.groups()
            yield Asset(f"{stem}.{kind}", digest, path.read_bytes())
