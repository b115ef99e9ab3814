"""The Cognito user pool and its app clients, as a deployment has to know them."""

from dataclasses import dataclass

from botocore.exceptions import ClientError

from scripts.deployment.account import Account
from scripts.deployment.failure import DeploymentError, error_code


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool that is there, and those of its clients whose tokens are to be accepted."""

    pool_id: str
    client_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a client lets people sign in."""

    client_id: str
    flows: frozenset[str]
    has_secret: bool


def region_of(pool_id: str) -> str:
    return pool_id.split("_")[0]


def find_pool(account: Account, pool_id: str, wanted: tuple[str, ...]) -> Pool:
    """The pool with the wanted clients, or with all it has where none is named. Raises DeploymentError."""
    _ensure_region(account, pool_id)
    _ensure_there(account, pool_id)
    clients = _client_ids(account, pool_id)
    if not clients:
        raise DeploymentError(
            f"The user pool {pool_id} has no app client, so nobody could get a token. Make one, then start again:\n"
            f"  aws cognito-idp create-user-pool-client --user-pool-id {pool_id} --client-name k9-web \\\n"
            "    --explicit-auth-flows ALLOW_USER_SRP_AUTH ALLOW_USER_PASSWORD_AUTH ALLOW_REFRESH_TOKEN_AUTH \\\n"
            f"    --prevent-user-existence-errors ENABLED {' '.join(account.options)}"
        )
    strangers = [client for client in wanted if client not in clients]
    if strangers:
        raise DeploymentError(
            f"The user pool {pool_id} has no app client {', '.join(strangers)}. It has: {', '.join(clients)}. "
            "Correct --user-pool-client-id, or leave it out to accept all of them."
        )
    return Pool(pool_id, wanted or clients)


def sign_in_of(account: Account, pool_id: str, client_id: str) -> SignIn:
    answer = account.client("cognito-idp").describe_user_pool_client(UserPoolId=pool_id, ClientId=client_id)
    client = answer["UserPoolClient"]
    return SignIn(client_id, frozenset(client.get("ExplicitAuthFlows", ())), "ClientSecret" in client)


def _ensure_region(account: Account, pool_id: str) -> None:
    region = region_of(pool_id)
    if region != account.region:
        raise DeploymentError(
            f"The user pool {pool_id} is in {region}, and the deployment would be in {account.region}: the API has to "
            f"be where its pool is. Pass --region {region}, or a pool of {account.region}."
        )


def _ensure_there(account: Account, pool_id: str) -> None:
    try:
        account.client("cognito-idp").describe_user_pool(UserPoolId=pool_id)
    except ClientError as exc:
        if error_code(exc) != "ResourceNotFoundException":
            raise
        raise DeploymentError(
            f"There is no user pool {pool_id} in account {account.number}. These are there:\n"
            f"  aws cognito-idp list-user-pools --max-results 60 {' '.join(account.options)}\n"
            "Is it another account's (--profile)? Without --user-pool-id the stack gets a pool of its own."
        ) from exc


def _client_ids(account: Account, pool_id: str) -> tuple[str, ...]:
    pages = account.client("cognito-idp").get_paginator("list_user_pool_clients").paginate(UserPoolId=pool_id)
    return tuple(client["ClientId"] for page in pages for client in page["UserPoolClients"])
