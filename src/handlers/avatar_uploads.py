"""What the bucket calls when an upload has arrived: at least once for each, in any order, with several at a time."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from shared.avatars.checking import check_upload
from shared.avatars.names import Upload
from shared.database import UserRepository
from shared.similarity.objects import default_objects
from shared.telemetry import log_warning


def handler(event: Mapping[str, Any], context: object = None) -> None:
    """Check every upload that the event tells of ("Event message structure" in the S3 user guide).

    Raises what kept it from doing so: Lambda then calls again with the same event.
    """
    for record in event["Records"]:
        # As a form encodes it, spaces as plus signs; what the event says of its size and version may be outdated.
        upload = Upload.of_key(unquote_plus(record["s3"]["object"]["key"]))
        if upload is None:
            log_warning("an object that is no upload lies among the uploads")
            continue
        check_upload(default_objects(), UserRepository(), upload)
