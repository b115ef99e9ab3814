"""Uploads in parts (S3's multipart uploads): an object that is larger than memory, or than what one process gets done.

Nothing of it can be read before it is completed. A part that is uploaded again takes the place of the one before.
"""

from collections.abc import Sequence
from io import BytesIO

from botocore.exceptions import ClientError

from .objects import ObjectStore
from .versions import NO_UPLOAD

LEAST_PART_BYTES = 5 * 1024 * 1024
"""Of every part but the last."""


class UploadLost(Exception):
    """The upload was given up by somebody else, or a part is not the one that was uploaded."""


def create_upload(objects: ObjectStore, key: str, media_type: str) -> str:
    """Begin an upload of this object; its id. Raises as ObjectStore does."""
    return str(objects.call("create_multipart_upload", Key=key, ContentType=media_type)["UploadId"])


def upload_part(objects: ObjectStore, key: str, upload_id: str, number: int, body: bytes) -> str:
    """Upload a part, numbered from 1; its ETag. Raises UploadLost, or as ObjectStore does."""
    try:
        answer = objects.call("upload_part", Key=key, UploadId=upload_id, PartNumber=number, Body=BytesIO(body))
    except ClientError as error:
        raise _lost(error) from error
    return str(answer["ETag"])


def complete_upload(objects: ObjectStore, key: str, upload_id: str, etags: Sequence[str]) -> None:
    """Make the object of these parts, in their order. Raises UploadLost, or as ObjectStore does.

    One that was completed before, by a call whose answer got lost, is told by its object.
    """
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    try:
        objects.call("complete_multipart_upload", Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})
    except ClientError as error:
        lost = _lost(error)
        if objects.get(key, (0, 1)) is None:
            raise lost from error


def _lost(error: ClientError) -> Exception:
    return UploadLost() if error.response["Error"]["Code"] in (NO_UPLOAD, "InvalidPart") else error
