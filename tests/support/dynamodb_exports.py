"""Exports of DynamoDB to S3 as its documentation describes them, in a folder."""

import gzip
import json
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

from scripts.migration.sources.opening import open_source
from scripts.migration.sources.source import SourceRow, UnreadableRow


def _md5(content: bytes) -> str:
    return b64encode(md5(content, usedforsecurity=False).digest()).decode()


@dataclass(frozen=True)
class Export:
    """An export below a folder, with one data file for each list of lines."""

    root: Path
    table: str = "old-reports"
    id: str = "01693685827463-2d8752fd"

    @property
    def folder(self) -> Path:
        return self.root / "AWSDynamoDB" / self.id

    def write(self, *files: Iterable[str], of_plain_bytes: bool = False, **summary: Any) -> "Export":
        entries = [self._data(number, list(lines), of_plain_bytes) for number, lines in enumerate(files)]
        self.manifest("manifest-files", "\n".join(map(json.dumps, entries)))
        arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/{self.table}"
        items = sum(entry["itemCount"] for entry in entries)
        fields = {"version": "2020-06-30", "tableArn": arn, "itemCount": items, "outputFormat": "DYNAMODB_JSON"}
        self.manifest("manifest-summary", json.dumps(fields | summary))
        (self.folder / "_started").touch()
        return self

    def _data(self, number: int, lines: list[str], of_plain_bytes: bool) -> dict[str, Any]:
        plain = "".join(f"{line}\n" for line in lines).encode()
        name = f"file{number}.json.gz"
        packed = gzip.compress(plain, compresslevel=1) if plain else b""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_bytes(packed)
        checksum = _md5(plain if of_plain_bytes else packed)
        key = f"some/prefix/AWSDynamoDB/{self.id}/data/{name}"
        return {"itemCount": len(lines), "md5Checksum": checksum, "etag": "e-1", "dataFileS3Key": key}

    def manifest(self, name: str, text: str) -> None:
        (self.folder / f"{name}.json").write_text(text)
        (self.folder / f"{name}.md5").write_text(_md5(text.encode()))

    def path(self, name: str = "file0.json.gz") -> Path:
        return self.folder / "data" / name

    @property
    def address(self) -> str:
        return f"dynamodb-export:{self.root}"

    def rows(self) -> list[SourceRow | UnreadableRow]:
        return list(open_source(self.address).rows(self.table))
