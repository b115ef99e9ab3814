"""The command behind scripts/destroy.sh: looks for data first, asks, then removes the stack and its empty tables."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import WaiterError

from scripts.deployment import arguments, bucket, names, tables, terminal
from scripts.deployment.account import Account, sign_in
from scripts.deployment.failure import DeploymentError
from scripts.deployment.reporting import reported
from scripts.deployment.stack import Stack, ensure_idle, find_stack, resources, stack_name

_KEPT = """
Kept:
  - DynamoDB's backups of the tables, for 35 days (`aws dynamodb list-backups --backup-type SYSTEM`)
  - the code that sam uploaded, in the bucket of the stack aws-sam-cli-managed-default"""


@dataclass(frozen=True, slots=True)
class Options:
    environment: str
    region: str | None
    profile: str | None
    bucket_name: str | None
    yes: bool


@dataclass(frozen=True, slots=True)
class Remains:
    """What there is of an environment."""

    stack: Stack | None
    failed: tuple[str, ...]
    tables: tuple[str, ...]
    bucket: str | None
    pools: tuple[str, ...]

    @property
    def is_nothing(self) -> bool:
        return not (self.stack or self.tables or self.bucket)


def main(given: Sequence[str] | None = None) -> int:
    options = _parse(given)
    return reported("destroy.sh", lambda: _run(options))


def _run(options: Options) -> None:
    account = sign_in(options.profile, options.region)
    terminal.say(f"Account {account.number}, region {account.region}, as {account.caller}.")
    found = _look(account, options)
    if found.is_nothing:
        raise DeploymentError(
            f"There is nothing of {options.environment} in account {account.number}, {account.region}: no stack "
            f"{stack_name(options.environment)}, no table, no bucket. Is it in another --region or --profile?"
        )
    _ensure_no_data(account, found.tables)
    if found.bucket:
        bucket.ensure_ours(account, found.bucket)
    _agree(options, found)
    _remove(account, found)


def _look(account: Account, options: Options) -> Remains:
    """By the stack where there is one; and by name, for what an earlier stack left."""
    stack = find_stack(account, stack_name(options.environment))
    if stack:
        ensure_idle(stack)
    parts = resources(account, stack.stack_id) if stack else []
    known = dict.fromkeys([*_ids(parts, "AWS::DynamoDB::Table"), *names.table_names(options.environment)])
    counting = names.counting_table_names(options.environment)
    return Remains(
        stack=stack,
        failed=tuple(part["LogicalResourceId"] for part in parts if part["ResourceStatus"] == "DELETE_FAILED"),
        tables=tuple(name for name in known if name not in counting and names.table_exists(account, name)),
        bucket=_find_bucket(account, options, _ids(parts, "AWS::S3::Bucket")),
        pools=tuple(_ids(parts, "AWS::Cognito::UserPool")),
    )


def _ids(parts: Iterable[Mapping[str, Any]], kind: str) -> list[str]:
    return [
        part["PhysicalResourceId"] for part in parts if part["ResourceType"] == kind and "PhysicalResourceId" in part
    ]


def _find_bucket(account: Account, options: Options, of_stack: Sequence[str]) -> str | None:
    if of_stack and options.bucket_name not in (None, of_stack[0]):
        raise DeploymentError(f"The stack's bucket is {of_stack[0]}: leave --bucket-name out, or name that.")
    default = names.default_bucket(options.environment, account)
    name = options.bucket_name or (of_stack[0] if of_stack else default)
    return name if names.bucket_owner(account, name) == "us" else None


def _ensure_no_data(account: Account, table_names: Sequence[str]) -> None:
    full = [name for name in table_names if tables.holds_data(account, name)]
    if full:
        raise DeploymentError(
            f"These tables hold data: {', '.join(full)}. Nothing was changed, and this command deletes no data. Once "
            "nobody needs it, delete those tables yourself (keep a backup: `aws dynamodb create-backup`), then start:\n"
            + "\n".join(
                f"  aws dynamodb update-table --table-name {name} --no-deletion-protection-enabled {_where(account)}\n"
                f"  aws dynamodb delete-table --table-name {name} {_where(account)}"
                for name in full
            )
        )


def _where(account: Account) -> str:
    return " ".join(account.options)


def _agree(options: Options, found: Remains) -> None:
    """The environment's name, typed; --yes stands for it outside prod."""
    terminal.say("\n".join(["This removes for good:", *_listed(found)]))
    if options.yes:
        return
    if terminal.ask(f"Type the environment's name ({options.environment}) to go on: ") != options.environment:
        raise DeploymentError("Stopped; nothing was changed.")


def _listed(found: Remains) -> list[str]:
    stack = [f"  - the stack {found.stack.name} ({found.stack.status})"] if found.stack else []
    return [
        *stack,
        *(f"  - the table {name} (no data)" for name in found.tables),
        *([f"  - the bucket {found.bucket}, with all that was computed from the tables"] if found.bucket else []),
    ]


def _remove(account: Account, found: Remains) -> None:
    """The stack first: without its functions nobody writes to the tables while they are deleted."""
    if found.stack:
        _delete_stack(account, found.stack, found.failed)
    filled = [name for name in found.tables if not _delete_if_empty(account, name)]
    if found.bucket:
        removed = bucket.delete(account, found.bucket)
        terminal.say(f"Deleted the bucket {found.bucket} with {removed} versions of objects.")
    _say_what_is_kept(account, found, filled)


def _delete_stack(account: Account, stack: Stack, failed: Sequence[str]) -> None:
    """What CloudFormation could not delete the last time is left out of the stack this time."""
    terminal.say(f"Deleting the stack {stack.name} ...")
    client = account.client("cloudformation")
    retain = {"RetainResources": list(failed)} if failed and stack.status == "DELETE_FAILED" else {}
    client.delete_stack(StackName=stack.stack_id, **retain)
    try:
        _wait_until_deleted(client, stack)
    except WaiterError as exc:
        raise DeploymentError(
            f"The stack {stack.name} could not be deleted; its tables and bucket are untouched. What went wrong is in\n"
            f"  aws cloudformation describe-stack-events --stack-name {stack.name} {_where(account)}\n"
            "Start again: what cannot be deleted is then left out."
        ) from exc
    if retain:
        terminal.say(f"Left out of the deletion: {', '.join(failed)}.")


def _wait_until_deleted(client: Any, stack: Stack) -> None:
    """By its id: the name means nothing any more once it is deleted."""
    client.get_waiter("stack_delete_complete").wait(StackName=stack.stack_id)


def _delete_if_empty(account: Account, table: str) -> bool:
    """Looked at again, now that nobody writes any more."""
    if tables.holds_data(account, table):
        return False
    tables.delete(account, table)
    terminal.say(f"Deleted the table {table}.")
    return True


def _say_what_is_kept(account: Account, found: Remains, filled: Sequence[str]) -> None:
    lines = [
        f"  - the user pool {pool} with its users; a new stack takes it with --user-pool-id" for pool in found.pools
    ]
    lines += [f"  - the table {name}: rows were written to it meanwhile" for name in filled]
    terminal.say("\n".join([_KEPT, *lines]))


def _parse(given: Sequence[str] | None) -> Options:
    parser = arguments.Parser("scripts/destroy.sh", "Takes an environment down, unless its tables hold data.")
    parser.add_account()
    parser.add_argument(
        "--bucket-name", type=arguments.bucket_name, metavar="NAME", help="the bucket, where the stack is gone already"
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing; not for prod")
    found = parser.parse_args(given)
    if found.environment == "prod" and found.yes:
        parser.error("prod is taken down by somebody who types its name: leave --yes out")
    if not (found.yes or terminal.is_there()):
        parser.error(
            f"nobody is at the terminal to type the name of {found.environment}: --yes stands for it outside prod"
        )
    return Options(found.environment, found.region, found.profile, found.bucket_name, found.yes)


if __name__ == "__main__":
    sys.exit(main())
