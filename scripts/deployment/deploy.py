"""The command behind scripts/deploy.sh: checks first, then builds, then deploys, then says where it is."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts.building.release import release_of
from scripts.deployment import guide, names, options, terminal
from scripts.deployment.account import Account, sign_in
from scripts.deployment.dry_run import leaving_nothing
from scripts.deployment.failure import DeploymentError
from scripts.deployment.options import Options
from scripts.deployment.parameters import PUBLIC_URL, choose
from scripts.deployment.pool import Pool, find_pool, region_of
from scripts.deployment.reporting import reported
from scripts.deployment.sam import Sam, ensure_tools, the_only_build
from scripts.deployment.stack import Stack, ensure_deployable, find_stack, stack_name
from scripts.local.folder import PROJECT
from scripts.local.template import Template

_RELEASE = "Release"

Declared = Mapping[str, Mapping[str, Any]]
"""The template's parameters."""


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = options.parse(arguments)
    return reported("deploy.sh", lambda: _run(chosen))


def _run(chosen: Options) -> None:
    template = Template.load().document
    ensure_tools(template, in_container=chosen.use_container)
    fallback = region_of(chosen.user_pool_id) if chosen.user_pool_id else None
    account = sign_in(chosen.profile, chosen.region, fallback)
    terminal.say(f"Account {account.number}, region {account.region}, as {account.caller}.")
    stack = find_stack(account, stack_name(chosen.environment))
    pool, parameters = _plan(account, chosen, stack, template["Parameters"])
    _agree(chosen, stack, pool)
    with the_only_build():
        _roll_out(Sam(account, chosen, parameters), stack)


def _roll_out(sam: Sam, stack: Stack | None) -> None:
    account, chosen = sam.account, sam.options
    sam.build()
    if chosen.dry_run:
        with leaving_nothing(account, stack_name(chosen.environment), stack):
            sam.deploy()
        terminal.say("\nThat is the change set; nothing was deployed.")
        return
    sam.deploy()
    if stack is None or not stack.is_made:
        _add_login(sam)
    _say_where(account, chosen)


def _add_login(sam: Sam) -> None:
    """Deploys a new stack once more, with the address that it has got, where it made a pool.

    The pool's client has to know the page that people come back to from the hosted login, and the API, whose page that
    is, has to know the client: CloudFormation makes neither from a reference to the other.
    """
    made = _deployed(sam.account, sam.options)
    known = Template.load().document["Parameters"]
    if made.parameters.get("UserPoolId") or sam.parameters.get(PUBLIC_URL) or PUBLIC_URL not in known:
        return
    terminal.say(
        "\nOnce more, now that the address is known: the user pool's login has to have it, to send people back to the "
        "documentation page. It takes a minute or two, and costs nothing."
    )
    url = made.outputs["ApiUrl"]
    parameters = {**sam.parameters, PUBLIC_URL: url}
    try:
        replace(sam, parameters=_with_release(parameters, known)).deploy()
    except DeploymentError as exc:
        raise DeploymentError(
            f"{exc}\nThe API itself is deployed, and answers at {url}: what it lacks is the login of its documentation "
            "page, which the same command adds."
        ) from exc


def _plan(
    account: Account, chosen: Options, stack: Stack | None, known: Declared
) -> tuple[Pool | None, dict[str, str]]:
    """Everything that can be found wrong without changing anything is found here."""
    if stack:
        ensure_deployable(stack, chosen.environment, account)
    made = stack if stack and stack.is_made else None
    pool = _pool(account, chosen, made)
    parameters = _with_release(choose(chosen, made, pool, known), known)
    _ensure_names_free(account, chosen.environment, made, parameters)
    return pool, parameters


def _with_release(parameters: dict[str, str], known: Declared) -> dict[str, str]:
    """Without it, SAM does not publish a function anew of which only the settings have changed.

    A default counts the same whether it is named or not: a stack names all its parameters when it is asked for them.
    """
    if _RELEASE not in known:
        return parameters
    others = {name: value for name, value in parameters.items() if name != _RELEASE}
    defaults = {name: str(body["Default"]) for name, body in known.items() if "Default" in body and name != _RELEASE}
    return {**others, _RELEASE: release_of(PROJECT, {**defaults, **others})}


def _pool(account: Account, chosen: Options, stack: Stack | None) -> Pool | None:
    """The pool that is named, or that of the stack as it is; None where the stack has or gets one of its own."""
    current = stack.parameters.get("UserPoolId") if stack else None
    pool_id = chosen.user_pool_id or current
    if pool_id and not (stack and _is_own(stack, pool_id)):
        return find_pool(account, pool_id, chosen.client_ids or _clients_so_far(stack, pool_id))
    if chosen.client_ids:
        raise DeploymentError(
            "--user-pool-client-id names a client of a pool that is there already: name that with --user-pool-id. "
            "The pool that the stack makes has a client of its own; leave the option out."
        )
    return None


def _is_own(stack: Stack, pool_id: str) -> bool:
    """Whether the stack made that pool: were it passed as somebody else's, the stack would delete the pool's client."""
    return not stack.parameters.get("UserPoolId") and stack.outputs.get("UserPoolId") == pool_id


def _clients_so_far(stack: Stack | None, pool_id: str) -> tuple[str, ...]:
    if stack is None or stack.parameters.get("UserPoolId") != pool_id:
        return ()
    return tuple(client for client in stack.parameters.get("UserPoolClientIds", "").split(",") if client)


def _ensure_names_free(account: Account, environment: str, stack: Stack | None, parameters: dict[str, str]) -> None:
    """A stack cannot make what is there already; CloudFormation would find that out after minutes, and roll back."""
    if stack is None:
        names.ensure_tables_free(account, environment)
    bucket = parameters.get("BucketName") or names.default_bucket(environment, account)
    if stack is None or (stack.parameters.get("BucketName") or names.default_bucket(environment, account)) != bucket:
        names.ensure_bucket_free(account, environment, bucket)


def _agree(chosen: Options, stack: Stack | None, pool: Pool | None) -> None:
    """Asks before what is hard to undo. A dry run does none of it."""
    yes = chosen.yes or chosen.dry_run
    made = stack if stack and stack.is_made else None
    if made is None and pool is None:
        terminal.agree(
            f"No --user-pool-id: the stack {stack_name(chosen.environment)} gets a user pool of its own. It outlives "
            "the stack, and is protected against deletion.",
            yes=yes,
        )
    if made and pool and pool.pool_id != _pool_of(made):
        terminal.agree(
            f"{made.name} takes tokens of the user pool {_pool_of(made)} so far. With {pool.pool_id} nobody can "
            "reach what users of the former stored: another pool gives the same person another id.",
            yes=yes,
        )


def _pool_of(stack: Stack) -> str:
    return stack.parameters.get("UserPoolId") or stack.outputs.get("UserPoolId", "of its own")


def _say_where(account: Account, chosen: Options) -> None:
    stack = _deployed(account, chosen)
    url = stack.outputs["ApiUrl"]
    terminal.say(f"\nK9 API ({chosen.environment}) is at {url}\n")
    terminal.say(guide.page(url, stack.parameters))
    terminal.say(_guide(account, stack, url))
    print(url)


def _deployed(account: Account, chosen: Options) -> Stack:
    stack = find_stack(account, stack_name(chosen.environment))
    if stack is None or "ApiUrl" not in stack.outputs:
        raise DeploymentError("sam has finished, but the stack does not tell its address (output ApiUrl).")
    return stack


def _guide(account: Account, stack: Stack, url: str) -> str:
    """A deployment that succeeded is not reported as failed because its clients may not be described."""
    pool_id, client_ids = guide.known_as(stack.outputs, stack.parameters)
    with contextlib.suppress(BotoCoreError, ClientError):
        return guide.first_token(account, url, pool_id, client_ids, stack.parameters.get("TokenUse") or "id")
    return f"To get a token, sign in to the user pool {pool_id} with one of its clients {', '.join(client_ids)}."


if __name__ == "__main__":
    sys.exit(main())
