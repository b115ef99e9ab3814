"""DynamoDB's own exports to S3, copied to a folder: DynamoDB JSON, a line an item, in gzip.

Each export below the folder is a collection, called by its table. What the manifest says of a file is checked before a
row of it is given.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scripts.migration.sources.dynamodb_values import plain_item
from scripts.migration.sources.export_manifest import SUMMARY, DataFile, Manifest, md5_base64
from scripts.migration.sources.json_column import parsed
from scripts.migration.sources.options import Options
from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DynamoDbExport:
    manifests: dict[str, Manifest]

    def collections(self) -> list[str]:
        return list(self.manifests)

    def rows(self, collection: str) -> Iterator[SourceRow | UnreadableRow]:
        if collection not in self.manifests:
            raise SourceError(f"There is no export of {collection}; there is one of {', '.join(self.manifests)}.")
        for file in self.manifests[collection].files:
            _ensure_checksum(file)
            yield from _rows(file)

    def left_out(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


def open_source(place: str, options: Options) -> DynamoDbExport:
    """Raises SourceError where there is no export, or one is not whole."""
    root = Path(place)
    manifests: dict[str, Manifest] = {}
    for summary in sorted(root.rglob(SUMMARY)):
        manifest = Manifest.of(summary.parent)
        other = manifests.setdefault(manifest.table, manifest)
        if other is not manifest:
            raise SourceError(
                f"{other.folder} and {manifest.folder} are both exports of {manifest.table}: name the folder of one."
            )
    if not manifests:
        raise SourceError(f"{root} has no {SUMMARY}: name the folder of an export, as it was copied from S3.")
    return DynamoDbExport(manifests)


def _ensure_checksum(file: DataFile) -> None:
    """The documentation leaves open whether the checksum is of the compressed or of the plain bytes: either will do."""
    with file.path.open("rb") as content:
        if md5_base64(_chunks(content)) == file.checksum:
            return
    with _unpacked(file) as content:
        if md5_base64(_chunks(content)) != file.checksum:
            raise SourceError(f"{file.path} is damaged: its checksum is not the manifest's. Copy it from S3 again.")


def _chunks(content: io.BufferedIOBase) -> Iterator[bytes]:
    return iter(partial(content.read, _CHUNK), b"")


def _rows(file: DataFile) -> Iterator[SourceRow | UnreadableRow]:
    number = 0
    with _unpacked(file) as lines:
        for number, line in enumerate(lines, 1):
            yield _row(f"{file.path.name}:{number}", line)
    if number != file.items:
        raise SourceError(f"{file.path} has {number} items, and the manifest says {file.items}: copy it from S3 again.")


@contextmanager
def _unpacked(file: DataFile) -> Iterator[io.BufferedIOBase]:
    try:
        with gzip.open(file.path) as content:
            yield content
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{file.path} is damaged ({error}): copy it from S3 again.") from error


def _row(position: str, line: bytes) -> SourceRow | UnreadableRow:
    try:
        return SourceRow(position, plain_item(parsed(line.decode())["Item"]))
    except (AttributeError, KeyError, TypeError):
        return UnreadableRow(position, "the line has no Item")
    except ValueError as error:
        return UnreadableRow(position, f"the line is no item of DynamoDB's: {error}")
