"""Files that the API makes: in its answer, or at a presigned address that the answer names."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from .api import Api
from .effects import HttpResponse, Plan
from .errors import UnexpectedAnswer
from .models.files import ExportedFile, ExportLink

_FILE_NAME = re.compile(r"""filename="((?:[^"\\]|\\.)*)"|filename=([^;\s"]+)""")
_EXTENDED_NAME = re.compile(r"filename\*=UTF-8''([^;\s]+)", re.IGNORECASE)


def file_in_memory(api: Api, response: HttpResponse) -> Plan[ExportedFile]:
    """The file of an answer, or the one that it links to."""
    link = link_of(api, response)
    if link is None:
        return ExportedFile(file_name(response), media_type(response), response.content)
    file = BytesIO()
    downloaded = yield from fetch(api, link.url, link.bytes, file)
    return ExportedFile(_without_folders(link.file_name), media_type(downloaded), file.getvalue())


def file_on_disk(api: Api, response: HttpResponse, path: Path) -> Plan[None]:
    """As `file_in_memory`, streamed to `path`, which is there once it is whole."""
    link = link_of(api, response)
    with replacing(path) as file:
        if link is None:
            file.write(response.content)
        else:
            yield from fetch(api, link.url, link.bytes, file)


def fetch(api: Api, url: str, expected: int | None, file: BinaryIO) -> Plan[HttpResponse]:
    """The presigned address's content into the file. Raises UnexpectedAnswer where it is not as long as was said."""
    response = yield from api.download(url, file)
    length = file.tell()
    if expected is not None and length != expected:
        raise UnexpectedAnswer(f"the file has {length} bytes instead of {expected}")
    return response


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` once all is written; nothing is left of it where that fails.

    Its owner alone may read it, as `tempfile.mkstemp` makes it: what is in it is the user's.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def link_of(api: Api, response: HttpResponse) -> ExportLink | None:
    if media_type(response) != "application/json":
        return None
    return api.read(ExportLink, response)


def media_type(response: HttpResponse) -> str:
    return response.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip().lower()


def file_name(response: HttpResponse) -> str:
    """The name that Content-Disposition gives (RFC 6266), without any folder; `export` where it gives none."""
    stated = response.headers.get("Content-Disposition", "")
    extended = _EXTENDED_NAME.search(stated)
    plain = _FILE_NAME.search(stated)
    name = re.sub(r"\\(.)", r"\1", plain[1] or plain[2]) if plain else ""
    if extended:
        name = unquote(extended[1])
    return _without_folders(name)


def _without_folders(name: str) -> str:
    bare = re.split(r"[/\\]", name)[-1]
    return "export" if bare in ("", ".", "..") else bare
