"""The manifest of a DynamoDB export to S3: which files there must be, with how many items and which checksums."""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path, PurePosixPath
from typing import Any, Self

from scripts.migration.sources.source import SourceError

SUMMARY = "manifest-summary.json"
_FILES = "manifest-files.json"
_CHECKSUM_ENDINGS = (".md5", ".checksum")


@dataclass(frozen=True, slots=True)
class DataFile:
    """`checksum` is MD5 in base64."""

    path: Path
    items: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`folder` is that of the export, which S3 calls by its id."""

    folder: Path
    table: str
    items: int
    files: tuple[DataFile, ...]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Raises SourceError for an export that is not whole, or not one that can be read."""
        summary = _document(folder / SUMMARY, _checked_text(folder / SUMMARY))
        _ensure_readable(folder, summary)
        lines = _checked_text(folder / _FILES).splitlines()
        files = tuple(_data_files(folder, lines))
        manifest = cls(folder, _table(summary), summary["itemCount"], files)
        manifest._ensure_whole()
        return manifest

    def _ensure_whole(self) -> None:
        found = sum(file.items for file in self.files)
        if found != self.items:
            raise SourceError(
                f"{self.folder} is not whole: it has {self.items} items by its summary and {found} by its list of "
                "files. Copy the export from S3 again."
            )
        for file in self.files:
            if not file.path.is_file():
                raise SourceError(f"{file.path} is missing from the export: copy it from S3 again, with all its files.")


def md5_base64(chunks: Iterator[bytes]) -> str:
    digest = md5(usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
    return b64encode(digest.digest()).decode()


def _checked_text(path: Path) -> str:
    """The text of a manifest, which must have the checksum that lies beside it, if one does."""
    try:
        content = path.read_bytes()
        for ending in _CHECKSUM_ENDINGS:
            beside = path.with_suffix(ending)
            if beside.is_file() and beside.read_text().strip() != md5_base64(iter([content])):
                raise SourceError(f"{path} is damaged: its checksum is not the one in {beside.name}.")
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read ({error}): copy the export from S3 again.") from error


def _document(path: Path, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise SourceError(f"{path} is not JSON ({error}): copy the export from S3 again.") from error
    if not isinstance(found, dict):
        raise SourceError(f"{path} is no manifest of an export.")
    return found


def _ensure_readable(folder: Path, summary: dict[str, Any]) -> None:
    if summary.get("outputFormat") != "DYNAMODB_JSON":
        raise SourceError(
            f"{folder} is in the format {summary.get('outputFormat')}, which is not read: "
            "export the table again with DYNAMODB_JSON as format."
        )
    if summary.get("exportType", "FULL_EXPORT") != "FULL_EXPORT":
        raise SourceError(f"{folder} has only what changed ({summary['exportType']}): make a full export.")
    if missing := [name for name in ("tableArn", "itemCount") if name not in summary]:
        raise SourceError(f"{folder / SUMMARY} does not say {missing[0]}: is it a manifest of DynamoDB's?")


def _table(summary: dict[str, Any]) -> str:
    return str(summary["tableArn"]).rpartition("/")[2]


def _data_files(folder: Path, lines: list[str]) -> Iterator[DataFile]:
    for line in lines:
        entry = _document(folder / _FILES, line)
        try:
            name = PurePosixPath(entry["dataFileS3Key"]).name
            yield DataFile(folder / "data" / name, entry["itemCount"], entry["md5Checksum"])
        except KeyError as error:
            raise SourceError(f"{folder / _FILES} does not say {error}: is it a manifest of DynamoDB's?") from error
