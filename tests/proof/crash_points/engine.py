"""The store that crashes are tried on: moto, in this process, whose whole content can be put aside and brought back."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.core.models import botocore_stubber
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends

from shared.config import get_settings
from tests.support.emulated import moto_in_turns
from tests.support.tables import create_tables

_ACCOUNT, _REGION, _PARTITION = "123456789012", "us-east-1", "aws"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Saved:
    """All that an engine held at one moment."""

    rows: dict[str, Any]
    objects: dict[str, list[Any]]
    uploads: dict[str, Any]


class MotoEngine:
    """The template's tables and its bucket, which keeps versions."""

    def __init__(self) -> None:
        self._tables: dict[str, Any] = dynamodb_backends[_ACCOUNT][_REGION].tables
        self._bucket: Any = s3_backends[_ACCOUNT][_PARTITION].buckets[get_settings().similarity_bucket]

    def send(self, event_name: str, request: AWSPreparedRequest, **context: Any) -> AWSResponse:
        """Do what the request asks for, and answer it."""
        response = botocore_stubber(event_name, request, **context)
        assert response is not None
        return response

    def save(self) -> Saved:
        return Saved(
            {name: copy.deepcopy(table.items) for name, table in self._tables.items()},
            {key: copy.deepcopy(self._bucket.keys.getlist(key)) for key in self._bucket.keys},
            copy.deepcopy(dict(self._bucket.multiparts)),
        )

    def restore(self, saved: Saved) -> None:
        for name, table in self._tables.items():
            table.items = copy.deepcopy(saved.rows[name])
        self._bucket.keys.clear()
        for key, versions in saved.objects.items():
            self._bucket.keys.setlist(key, copy.deepcopy(versions))
        self._bucket.multiparts.clear()
        self._bucket.multiparts.update(copy.deepcopy(saved.uploads))

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Every row as it is stored, with its table."""
        for name, table in self._tables.items():
            for item in table.all_items():
                yield name, item.to_json()["Attributes"]

    def objects(self) -> dict[str, bytes]:
        """What a read without a version finds."""
        newest = {key: self._bucket.keys[key] for key in self._bucket.keys}
        return {key: found.value for key, found in newest.items() if hasattr(found, "value")}

    def traces(self) -> list[str]:
        """The keys of every version, marker and unfinished upload."""
        versions = [key for key in self._bucket.keys for _ in self._bucket.keys.getlist(key)]
        return sorted([*versions, *self.uploads()])

    def uploads(self) -> list[str]:
        """The keys of uploads in parts that were neither completed nor given up."""
        return sorted(upload.key_name for upload in self._bucket.multiparts.values())


@contextmanager
def moto_engine() -> Iterator[MotoEngine]:
    """An engine without rows or objects."""
    with moto_in_turns():
        create_tables(boto3.client("dynamodb"))
        s3 = boto3.client("s3")
        bucket = get_settings().similarity_bucket
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield MotoEngine()
