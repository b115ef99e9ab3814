"""The demo user pool: people who exist only on this laptop, and their tokens."""

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.local.failure import LocalStackError

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

POOL_NAME = "k9-local"
ADMINS = "k9-admins"
TOKEN_HOURS = 24


class IdentityError(LocalStackError):
    """Nobody of that name can sign in."""


@dataclass(frozen=True, slots=True)
class Person:
    """A demo user. The password is no secret: the pool answers on this machine alone."""

    username: str
    name: str
    groups: tuple[str, ...] = ()

    @property
    def password(self) -> str:
        return f"K9-demo-{self.username}-1"

    @property
    def email(self) -> str:
        return f"{self.username}@example.com"


PEOPLE = (Person("alice", "Alice"), Person("bob", "Bob"), Person("admin", "Admin", (ADMINS,)))


@dataclass(frozen=True, slots=True)
class Pool:
    """The user pool and its one app client."""

    pool_id: str
    client_id: str

    @property
    def issuer(self) -> str:
        """The `iss` of its tokens: AWS's address, which the store writes although it answers elsewhere."""
        region = self.pool_id.partition("_")[0]
        return f"https://cognito-idp.{region}.amazonaws.com/{self.pool_id}"

    def jwks_url(self, endpoint: str) -> str:
        return f"{endpoint}/{self.pool_id}/.well-known/jwks.json"


def ensure_pool(client: "CognitoIdentityProviderClient") -> Pool:
    """The pool with its client, group and people; whatever is there already stays as it is."""
    pool_id = _find_pool(client) or _create_pool(client)
    pool = Pool(pool_id, _find_client(client, pool_id) or _create_client(client, pool_id))
    with contextlib.suppress(client.exceptions.GroupExistsException):
        client.create_group(UserPoolId=pool_id, GroupName=ADMINS, Description="May write the shared catalogue")
    for person in PEOPLE:
        _ensure_person(client, pool_id, person)
    return pool


def sign_in(client: "CognitoIdentityProviderClient", client_id: str, username: str) -> str:
    """A fresh id token."""
    person = next((person for person in PEOPLE if person.username == username), None)
    if person is None:
        names = ", ".join(person.username for person in PEOPLE)
        raise IdentityError(f"There is no demo user {username!r}. There are: {names}.")
    answer = client.initiate_auth(
        ClientId=client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": person.username, "PASSWORD": person.password},
    )
    return answer["AuthenticationResult"]["IdToken"]


def _find_pool(client: "CognitoIdentityProviderClient") -> str | None:
    pools = client.list_user_pools(MaxResults=60)["UserPools"]
    return next((pool["Id"] for pool in pools if pool["Name"] == POOL_NAME), None)


def _create_pool(client: "CognitoIdentityProviderClient") -> str:
    return client.create_user_pool(PoolName=POOL_NAME)["UserPool"]["Id"]


def _find_client(client: "CognitoIdentityProviderClient", pool_id: str) -> str | None:
    clients = client.list_user_pool_clients(UserPoolId=pool_id, MaxResults=60)["UserPoolClients"]
    return next((found["ClientId"] for found in clients if found["ClientName"] == POOL_NAME), None)


def _create_client(client: "CognitoIdentityProviderClient", pool_id: str) -> str:
    answer = client.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName=POOL_NAME,
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        IdTokenValidity=TOKEN_HOURS,
        AccessTokenValidity=TOKEN_HOURS,
        TokenValidityUnits={"IdToken": "hours", "AccessToken": "hours"},
    )
    return answer["UserPoolClient"]["ClientId"]


def _ensure_person(client: "CognitoIdentityProviderClient", pool_id: str, person: Person) -> None:
    """Each step may be repeated, so that a first start that was interrupted is completed by the next."""
    with contextlib.suppress(client.exceptions.UsernameExistsException):
        client.admin_create_user(
            UserPoolId=pool_id,
            Username=person.username,
            MessageAction="SUPPRESS",
            UserAttributes=[
                {"Name": "name", "Value": person.name},
                {"Name": "email", "Value": person.email},
                {"Name": "email_verified", "Value": "true"},
            ],
        )
    client.admin_set_user_password(
        UserPoolId=pool_id, Username=person.username, Password=person.password, Permanent=True
    )
    for group in person.groups:
        client.admin_add_user_to_group(UserPoolId=pool_id, Username=person.username, GroupName=group)
