"""What the bucket's notification does on AWS: every upload in the store is given to the function that checks it.

The embedded store could tell only a function that runs inside of it, and nobody after a restart. Looking costs one
listing a second; an upload that was there before the stack started, or whose check failed, is found again.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from botocore.exceptions import BotoCoreError, ClientError

from handlers import avatar_uploads
from shared.avatars.names import UPLOADS
from shared.telemetry import describe_failure

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SECONDS = 1.0
_LOG = logging.getLogger("k9.local")

Check = Callable[[dict[str, Any]], object]


@contextlib.contextmanager
def uploads_checked(
    client: "S3Client", bucket: str, check: Check = avatar_uploads.handler, seconds: float = _SECONDS
) -> Iterator[None]:
    """Has every upload checked while the block runs; the one at hand is finished before it ends."""
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(client, bucket, check, seconds, ended), name="k9-uploads")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(client: "S3Client", bucket: str, check: Check, seconds: float, ended: threading.Event) -> None:
    failed: set[str] = set()
    while not ended.wait(seconds):
        try:
            found = [item["Key"] for item in client.list_objects_v2(Bucket=bucket, Prefix=UPLOADS).get("Contents", [])]
        except (BotoCoreError, ClientError):
            continue  # where the store is gone, who serves the routes notices and says so
        for key in found:
            _check(check, bucket, key, failed)


def _check(check: Check, bucket: str, key: str, failed: set[str]) -> None:
    """As Lambda, which calls again where a call failed; said once for each upload."""
    try:
        check(_event(bucket, key))
    except Exception as error:  # noqa: BLE001 - said; the next look finds the upload again
        if key not in failed:
            _LOG.warning("An uploaded avatar could not be checked and is tried again: %s", describe_failure(error))
        failed.add(key)


def _event(bucket: str, key: str) -> dict[str, Any]:
    """S3's notification of one object, as far as a function may look at it."""
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Post",
        "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/")}},
    }
    return {"Records": [record]}
