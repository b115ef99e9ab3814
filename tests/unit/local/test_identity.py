"""The user pool, made in moto: whatever is there already stays."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from scripts.local import identity

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient


@pytest.fixture
def client() -> Iterator["CognitoIdentityProviderClient"]:
    with mock_aws():
        yield boto3.client("cognito-idp", region_name="us-east-1")


def members(client: "CognitoIdentityProviderClient", pool: identity.Pool) -> list[str]:
    users = client.list_users_in_group(UserPoolId=pool.pool_id, GroupName=identity.ADMINS)["Users"]
    return [user["Username"] for user in users]


def test_the_pool_has_its_people(client: "CognitoIdentityProviderClient") -> None:
    pool = identity.ensure_pool(client)
    users = client.list_users(UserPoolId=pool.pool_id)["Users"]
    assert sorted(user["Username"] for user in users) == ["admin", "alice", "bob"]
    assert {user["UserStatus"] for user in users} == {"CONFIRMED"}


def test_only_admin_is_an_admin(client: "CognitoIdentityProviderClient") -> None:
    assert members(client, identity.ensure_pool(client)) == ["admin"]


def test_a_second_time_changes_nothing(client: "CognitoIdentityProviderClient") -> None:
    assert identity.ensure_pool(client) == identity.ensure_pool(client)


def test_sign_in(client: "CognitoIdentityProviderClient") -> None:
    pool = identity.ensure_pool(client)
    assert identity.sign_in(client, pool.client_id, "alice").count(".") == 2


def test_a_stranger_is_told_who_there_is(client: "CognitoIdentityProviderClient") -> None:
    with pytest.raises(identity.IdentityError, match="alice, bob, admin"):
        identity.sign_in(client, "client", "mallory")
