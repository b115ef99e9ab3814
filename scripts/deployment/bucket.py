"""The bucket of an environment that is taken down. All in it belongs to the tables, so it may go with them."""

from typing import Any

from scripts.deployment.account import Account
from scripts.deployment.failure import DeploymentError

_FOLDERS = ("avatars/", "similarity/", "uploads/")
"""Everything that K9 API keeps in its bucket is below one of them."""


def ensure_ours(account: Account, bucket: str) -> None:
    """Raises DeploymentError for a bucket with anything that K9 API did not put there: a wrong name costs no data."""
    pages = account.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, Delimiter="/")
    for page in pages:
        names = [entry["Prefix"] for entry in page.get("CommonPrefixes", ())] + [key["Key"] for key in _entries(page)]
        strange = [name for name in names if name not in _FOLDERS]
        if strange:
            raise DeploymentError(
                f"The bucket {bucket} holds {strange[0]}, which is not of K9 API: it is not emptied. Move that away, "
                "or take another --bucket-name."
            )


def delete(account: Account, bucket: str) -> int:
    """Removes every version of every object, then the bucket; gives the number of versions."""
    client, removed = account.client("s3"), 0
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        batch = _entries(page)  # a page has at most 1000, which is what one call deletes
        if batch:
            answer = client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
            _ensure_deleted(bucket, answer.get("Errors", []))
        removed += len(batch)
    client.delete_bucket(Bucket=bucket)
    return removed


def _entries(page: dict[str, Any]) -> list[dict[str, str]]:
    found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
    return [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]


def _ensure_deleted(bucket: str, errors: list[dict[str, Any]]) -> None:
    """A call that succeeds may have failed for single objects."""
    if errors:
        first = errors[0]
        raise DeploymentError(
            f"{len(errors)} objects of {bucket} could not be deleted; the first is {first.get('Key')}: "
            f"{first.get('Code')}, {first.get('Message', '')} Start again when that is cured."
        )
