"""Every version of objects, and uploads that were never completed: what is left of objects that are merely deleted.

The bucket keeps versions, so that a deleted object can still be read by its version for as long as the lifecycle says.
What is erased must go with all of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from .objects import ObjectStore

NO_UPLOAD = "NoSuchUpload"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or the marker of a deletion."""

    key: str
    id: str
    is_current: bool
    """Whether it is the newest of its key, and no marker: what a read without a version finds."""

    is_newest: bool


def erase_objects(objects: ObjectStore, prefix: str, check: Callable[[], None]) -> int:
    """Delete every version below the prefix, and what was being uploaded; how many objects could be read before.

    Uploads go first: one that is completed after that is refused, one completed before has made an object.
    """
    abort_uploads(objects, prefix, check)
    count, counted = 0, ""
    while page := first_versions(objects, prefix):
        check()
        objects.delete_versions((version.key, version.id) for version in page)
        count += sum(version.is_current and version.key != counted for version in page)
        counted = max(version.key for version in page)  # of what the next page has of it, another is the newest now
    return count


def erase_older_versions(objects: ObjectStore, key: str) -> None:
    """Delete the versions of this very object but the newest."""
    while older := [found for found in first_versions(objects, key) if found.key == key and not found.is_newest]:
        objects.delete_versions((version.key, version.id) for version in older)


def first_versions(objects: ObjectStore, prefix: str) -> list[Version]:
    """Up to 1,000 versions of the objects whose keys begin so; those of a bucket without versions, too."""
    answer = objects.call("list_object_versions", Prefix=prefix)
    return [*_read(answer, "Versions", is_marker=False), *_read(answer, "DeleteMarkers", is_marker=True)]


def abort_uploads(objects: ObjectStore, prefix: str, check: Callable[[], None]) -> None:
    """Give up every upload in parts below the prefix that was not completed."""
    while uploads := objects.call("list_multipart_uploads", Prefix=prefix).get("Uploads"):
        for found in uploads:
            check()
            abort_upload(objects, found["Key"], found["UploadId"])


def abort_upload(objects: ObjectStore, key: str, upload_id: str) -> None:
    """Give up an upload in parts, and what was uploaded of it; nothing where it is completed, or given up already."""
    try:
        objects.call("abort_multipart_upload", Key=key, UploadId=upload_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != NO_UPLOAD:
            raise


def _read(answer: dict[str, Any], kind: str, *, is_marker: bool) -> Iterator[Version]:
    for found in answer.get(kind, []):
        newest = bool(found["IsLatest"])
        yield Version(found["Key"], found["VersionId"], newest and not is_marker, newest)
