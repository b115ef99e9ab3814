"""Objects that a process which died may leave though nobody reads them, and why that is no harm.

An object is excused only where its reason holds of it: that is looked at here, not taken on trust.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from scripts.local.template import Template
from shared.similarity.manifest import Manifest

SEGMENT = "a segment that no snapshot names: the sweep of a build an hour later deletes it"
MATRIX = "an object of a matrix that the status does not name: the next build deletes it"
FILE = "a file whose address nobody was given: the bucket's lifecycle deletes it"
UPLOAD = "an upload in parts that nobody goes on with: the bucket's lifecycle gives it up"

_BUCKET = "AWS::S3::Bucket"


def unnamed(objects: Mapping[str, bytes]) -> dict[str, str]:
    """The keys of objects that can be read under no name that is told to readers, each with its reason."""
    return {**dict.fromkeys(_segments(objects), SEGMENT), **dict.fromkeys(_matrices(objects), MATRIX)}


def excuse_of_another(text: str) -> str | None:
    """Why there may be a further object that is as this text says; None where there is no reason."""
    key = text.partition(" ")[0]
    is_file = key.startswith("exports/") and "/reports/" in key and _expires("exports/")
    return FILE if is_file else None


def gives_up_uploads() -> bool:
    """Whether the bucket's lifecycle gives up uploads in parts, whatever their keys."""
    return any("AbortIncompleteMultipartUpload" in rule and "Prefix" not in rule for rule in _rules())


def _segments(objects: Mapping[str, bytes]) -> Iterator[str]:
    for key in objects:
        folder, is_one, name = key.partition("/segments/")
        if is_one and name not in _named(objects.get(f"{folder}/manifest.json")):
            yield key


def _named(manifest: bytes | None) -> set[str]:
    if manifest is None:
        return set()
    read = Manifest.from_bytes(manifest)
    return read.names | {retired.name for retired in read.retired}


def _matrices(objects: Mapping[str, bytes]) -> Iterator[str]:
    for key in objects:
        folder, is_one, name = key.partition("/matrix/")
        if is_one and name != "status.json":
            current = json.loads(objects.get(f"{folder}/matrix/status.json", b'{"current": null}'))["current"]
            if current is None or not name.startswith(f"{current['folder']}/"):
                yield key


def _expires(prefix: str) -> bool:
    return any(rule.get("Prefix") == prefix and "ExpirationInDays" in rule for rule in _rules())


@lru_cache(maxsize=1)
def _rules() -> list[Mapping[str, Any]]:
    (bucket,) = Template.load().resources(_BUCKET).values()
    rules: list[Mapping[str, Any]] = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    return [rule for rule in rules if rule["Status"] == "Enabled"]
