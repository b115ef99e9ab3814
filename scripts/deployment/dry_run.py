"""A dry run leaves nothing behind: neither its change set nor the empty stack that CloudFormation hangs it on."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from scripts.deployment.account import Account
from scripts.deployment.failure import error_code
from scripts.deployment.stack import Stack, find_stack


@contextmanager
def leaving_nothing(account: Account, name: str, before: Stack | None) -> Iterator[None]:
    known = _change_sets(account, name)
    try:
        yield
    finally:
        for change_set in _change_sets(account, name) - known:
            account.client("cloudformation").delete_change_set(ChangeSetName=change_set)
        _delete_if_empty(account, name, before)


def _change_sets(account: Account, name: str) -> set[str]:
    pages = account.client("cloudformation").get_paginator("list_change_sets").paginate(StackName=name)
    try:
        return {summary["ChangeSetId"] for page in pages for summary in page["Summaries"]}
    except ClientError as exc:
        if error_code(exc) == "ValidationError":  # no such stack
            return set()
        raise


def _delete_if_empty(account: Account, name: str, before: Stack | None) -> None:
    after = find_stack(account, name)
    if before is None and after and not after.is_made:
        account.client("cloudformation").delete_stack(StackName=after.stack_id)
