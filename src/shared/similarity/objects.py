"""The S3 bucket of similarity data: whole and ranged reads, and puts that are refused where someone else was first."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from ..config import Settings, get_settings
from ..database.attempts import Attempts, current_attempts, watch_attempts
from ..database.calls import CALL_ERRORS, THROTTLES, CallError, counted_call, no_answer, raise_translated
from ..errors import ApiError, OutcomeUnknown, TooManyRequests
from ..process import per_process
from ..scope import current_scope

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

_KIND = "object store"
_BODY_TRIES = 3
_CHUNK_BYTES = 1024 * 1024
_DELETED_AT_ONCE = 1000
"""The most keys that one DeleteObjects takes."""

MAX_PRESIGNED_SECONDS = 300
_MAX_PREFIX_BYTES = 900
"""S3 takes keys of 1,024 bytes; this leaves room for what comes after the prefix."""

_ALWAYS_HAS = {
    "get_object": ("ETag", "ContentLength"),
    "put_object": ("ETag",),
    "list_objects_v2": ("IsTruncated",),
    "list_object_versions": ("IsTruncated",),
    "create_multipart_upload": ("UploadId",),
    "upload_part": ("ETag",),
}
"""What tells an answer from that of a proxy in between: XML of another kind reads as an empty answer."""

_MISSING = "NoSuchKey"
_REFUSALS = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_NOT_AS_DESCRIBED = _REFUSALS | {"InvalidRange"}
_BROKEN_BODY = (BotoCoreError, HTTPError, OSError)


class ObjectChanged(Exception):
    """An object is not the one that the caller described: of another ETag, there or not there, or shorter."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object, or the part of it that was asked for; the ETag is always that of the whole."""

    body: bytes
    etag: str
    media_type: str | None = None
    version: str | None = None
    """Which version of the object it is, where the bucket keeps versions."""


@dataclass(frozen=True, slots=True)
class Form:
    """A presigned POST: a form with these fields, sent to `url`, puts one object. Whoever has it may send it."""

    url: str
    fields: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing tells of an object: when it was last put, and its size in bytes."""

    key: str
    modified: datetime
    size: int


class ObjectStore:
    """One bucket. The client is made on first use and shared by all threads.

    Every method raises TooManyRequests where S3 throttles, Unavailable where it does not answer or the request has no
    time left, and any other AWS error as it is.
    """

    def __init__(self, settings: Settings | None = None, client: S3Client | None = None) -> None:
        self._settings = settings
        self._client = client
        self._lock = threading.Lock()
        if client is not None:
            watch_attempts(client.meta.events)
            _forgive_throttles(client)

    @property
    def settings(self) -> Settings:
        return self._settings or get_settings()

    @property
    def client(self) -> S3Client:
        if self._client is None:
            with self._lock:
                if self._client is None:
                    from ..database.client import new_s3_client  # see `DatabaseManager.client`

                    client = new_s3_client(self.settings)
                    _forgive_throttles(client)
                    self._client = client
        return self._client

    def get(self, key: str, byte_range: tuple[int, int] | None = None, etag: str | None = None) -> StoredObject | None:
        """The object, or its bytes start <= position < stop as far as there are any; None where there is no object.

        Raises ObjectChanged where it is not the one of that ETag, or ends before the range begins.
        """
        parameters: dict[str, Any] = {"Key": key}
        if byte_range is not None:
            parameters["Range"] = _http_range(*byte_range)
        if etag is not None:
            parameters["IfMatch"] = etag
        for _ in range(_BODY_TRIES):
            answer = self._find(parameters)
            if answer is None:
                return None
            body = _read(answer["Body"], answer["ContentLength"])
            if body is not None:
                return StoredObject(body, answer["ETag"], answer.get("ContentType"), answer.get("VersionId"))
        raise no_answer(_KIND)

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        media_type: str | None = None,
    ) -> str:
        """Put an object and return its ETag; with a condition, only over that ETag or only where there is none.

        Raises ObjectChanged where the condition does not hold and nothing was put. A put whose own answer got lost is
        told by its content. Raises OutcomeUnknown where a conditional put may have happened; one without a condition
        may be repeated at any time, so Unavailable is all there is to say of it.
        """
        condition = _condition(if_match, if_absent)
        kind = {} if media_type is None else {"ContentType": media_type}
        with counted_call() as attempts:
            try:
                # A file is sent piece by piece, each within the timeout; bytes would have to be sent within it at once.
                answer: Any = self._send("put_object", Key=key, Body=BytesIO(body), **kind, **condition)
                return str(answer["ETag"])
            except CALL_ERRORS as error:
                failure = error
        return self._settle(key, body, bool(condition), failure, attempts)

    def presigned_get(self, key: str, *, seconds: int, media_type: str, disposition: str) -> str:
        """An address at which whoever has it may read the object for so long, answered with these headers.

        Nothing is asked of S3. The address is a secret: it must not be logged. Raises ValueError beyond
        MAX_PRESIGNED_SECONDS.
        """
        if not 0 < seconds <= MAX_PRESIGNED_SECONDS:
            raise ValueError(f"an address may be good for 1 to {MAX_PRESIGNED_SECONDS} s, not for {seconds}")
        parameters = {
            "Bucket": self.settings.similarity_bucket,
            "Key": key,
            "ResponseContentType": media_type,
            "ResponseContentDisposition": disposition,
            "ResponseCacheControl": "no-store",
        }
        return str(self.client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete these objects, those that are gone already too. Whatever it raises, some may have been deleted."""
        self._delete_all({"Key": key} for key in keys)

    def delete_versions(self, versions: Iterable[tuple[str, str]]) -> None:
        """Delete these versions, each a key and its version id, for good; those that are gone already too. Whatever it
        raises, some may have been deleted."""
        self._delete_all({"Key": key, "VersionId": version} for key, version in versions)

    def delete_version(self, key: str, version: str | None) -> None:
        """Delete this version of an object for good, or the object where the bucket keeps no versions."""
        named = {} if version is None else {"VersionId": version}
        self.call("delete_object", Key=key, **named)

    def presign(self, key: str, media_type: str, sizes: tuple[int, int], seconds: int) -> Form:
        """A form that puts one object of this media type and of a size in bytes within `sizes`, for so many seconds.

        It is signed here, without a call, and acts with this process's own rights.
        """
        form: Any = self.client.generate_presigned_post(
            Bucket=self.settings.similarity_bucket,
            Key=key,
            Fields={"Content-Type": media_type},
            Conditions=[{"Content-Type": media_type}, ["content-length-range", *sizes]],
            ExpiresIn=seconds,
        )
        return Form(form["url"], form["fields"])

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key begins so, in the order of keys, read page by page."""
        position: dict[str, str] = {}
        while True:
            answer = self.call("list_objects_v2", Prefix=prefix, **position)
            for found in answer.get("Contents", []):
                yield ObjectInfo(found["Key"], found["LastModified"], found["Size"])
            if not answer["IsTruncated"]:
                return
            position = {"ContinuationToken": answer["NextContinuationToken"]}

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call of an operation that may be repeated at any time, such as those that have no method here (see
        `versions`, `uploads`)."""
        with counted_call():
            try:
                return self._send(operation, **parameters)
            except CALL_ERRORS as error:
                raise_translated(error, _KIND)

    def _delete_all(self, identifiers: Iterable[dict[str, str]]) -> None:
        remaining = iter(identifiers)
        while batch := list(islice(remaining, _DELETED_AT_ONCE)):
            answer = self.call("delete_objects", Delete={"Objects": batch, "Quiet": True})
            for failed in answer.get("Errors", []):
                _raise_undeleted(failed)

    def _find(self, parameters: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return self.call("get_object", **parameters)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == _MISSING:
                return None
            if code in _NOT_AS_DESCRIBED:
                raise ObjectChanged(code) from error
            raise

    def _settle(self, key: str, body: bytes, is_conditional: bool, error: CallError, attempts: Attempts) -> str:
        """The ETag of a put that failed and yet happened; else raises what the failure means."""
        if not is_conditional:
            raise_translated(error, _KIND)
        may_have_happened = attempts.may_have_been_applied or isinstance(error, ResponseParserError)
        if not _is_refusal(error):
            if may_have_happened:
                raise OutcomeUnknown from error
            raise_translated(error, _KIND)
        if not may_have_happened:
            raise ObjectChanged("the condition of a put does not hold") from error
        stored = self._read_back(key, error)
        if stored is None or stored.body != body:  # another may have put theirs over this one's
            raise OutcomeUnknown from error
        return stored.etag

    def _read_back(self, key: str, refusal: CallError) -> StoredObject | None:
        try:
            return self.get(key)
        except ApiError:
            raise OutcomeUnknown from refusal

    def _send(self, operation: str, **parameters: Any) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self.client, operation)(Bucket=self.settings.similarity_bucket, **parameters)
        for name in _ALWAYS_HAS.get(operation, ()):
            if name not in answer:
                raise ResponseParserError(f"an answer without {name} is not one of S3")
        return answer


@per_process
def default_objects() -> ObjectStore:
    """The process's own store, configured by the environment."""
    return ObjectStore()


def object_prefix(owner: str, model_version: str) -> str:
    """What the keys of everything about one model version of one owner begin with; no other pair's keys do.

    Both are percent-encoded (RFC 3986, section 2.1). Raises ValueError for an empty one, for `.` and `..`, which some
    stores take for folders, and for a pair that is too long for a key.
    """
    return _prefix("similarity", owner, model_version)


def export_prefix(owner: str) -> str:
    """What the keys of all files made for one owner to download begin with; they are deleted after a day.

    Raises ValueError as `object_prefix` does.
    """
    return _prefix("exports", owner)


def _prefix(kind: str, *parts: str) -> str:
    for part in parts:
        if part in ("", ".", ".."):
            raise ValueError(f"{part!r} cannot be part of an object's key")
    prefix = "/".join([kind, *(quote(part, safe="") for part in parts), ""])
    if len(prefix) > _MAX_PREFIX_BYTES:
        raise ValueError(f"the key of an object would begin with {len(prefix)} bytes of owner and model version")
    return prefix


def _condition(if_match: str | None, if_absent: bool) -> dict[str, str]:
    if if_match is not None and if_absent:
        raise ValueError("a put is conditional on an ETag or on there being no object, not on both")
    if if_match is not None:
        return {"IfMatch": if_match}
    return {"IfNoneMatch": "*"} if if_absent else {}


def _http_range(start: int, stop: int) -> str:
    """RFC 9110, section 14.1.2: both ends are included."""
    if not 0 <= start < stop:
        raise ValueError(f"bytes {start} to {stop} are no range")
    return f"bytes={start}-{stop - 1}"


def _read(stream: StreamingBody, size: int) -> bytes | None:
    """The whole body, as long as the request has time; None where it broke off or is not what its checksum says."""
    buffer = BytesIO(bytes(size))  # the very bytes that `getvalue` gives, so that nothing is copied or grown
    with closing(stream), buffer.getbuffer() as body:
        try:
            if not _fill(stream, body):
                return None
        except _BROKEN_BODY:
            return None
    return buffer.getvalue()


def _fill(stream: StreamingBody, body: memoryview) -> bool:
    """Read all of a body of this length; False where it has another."""
    scope = current_scope()
    filled = 0
    while filled < len(body):
        count = stream.readinto(body[filled : filled + _CHUNK_BYTES])  # type: ignore[arg-type]  # takes any buffer
        if not count:
            return False
        filled += count
        if scope:
            scope.ensure_time_for_a_call()
    return not stream.read(1)  # the end has to be seen for the checksum to be compared


def _is_refusal(error: CallError) -> bool:
    """Whether a conditional put was refused; one over an object that is gone is told so by a 404."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in _REFUSALS | {_MISSING}


def _raise_undeleted(failed: Any) -> NoReturn:
    """Raise what one entry of DeleteObjects' list of errors means."""
    code = failed.get("Code", "")
    if code in THROTTLES:
        raise TooManyRequests
    if code in ("InternalError", "ServiceUnavailable"):
        raise no_answer(_KIND)
    raise ClientError({"Error": failed, "ResponseMetadata": {"HTTPStatusCode": 200}}, "DeleteObjects")  # type: ignore[typeddict-item]


def _forgive_throttles(client: S3Client) -> None:
    client.meta.events.register("response-received", _uncount_throttled)


def _uncount_throttled(response_dict: Any, parsed_response: Any, **_: object) -> None:
    """S3 throttles with a 503, which `attempts` takes for a try that may have been applied."""
    attempts = current_attempts.get()
    if attempts is None or response_dict is None or response_dict["status_code"] < 500:
        return
    if (parsed_response or {}).get("Error", {}).get("Code") in THROTTLES:
        attempts.ambiguous -= 1
