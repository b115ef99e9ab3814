"""The transformed template deployed by the CloudFormation of the embedded store, as far as that goes.

It takes every resource but alarms that compute, the dashboard that shows them, and budgets. It leaves out the routes of
an API's OpenAPI document, a bucket's lifecycle, and a table's encryption, recovery and time to live; it checks no
policies, and runs no function here. So this shows that the template holds together (references, order, conditions,
rules), and that its tables and bucket have the shape of those that dev.sh makes from the same file.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local import resources
from scripts.local.template import Template
from tests.template.emulator import STACK, Emulator, running_emulator

TEMPLATE = Template.load()
PUBLIC_URL = "https://api.example.com"
PARAMETERS = {
    "Environment": "dev",
    "AllowedOrigins": "https://app.example.com,http://localhost:3000",
    "PublicUrl": PUBLIC_URL,
}
BUCKET = TEMPLATE.bucket("dev")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="module")
def outputs(emulator: Emulator) -> dict[str, str]:
    """Deploys the stack, with a pool of its own, and gives what it tells."""
    made = emulator.deploy(PARAMETERS)
    assert made["StackStatus"] == "CREATE_COMPLETE", made
    return {item["OutputKey"]: item["OutputValue"] for item in made["Outputs"]}


def shape(table: dict[str, Any]) -> dict[str, Any]:
    """What of a table's description makes it behave as it does."""
    indexes = [
        {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
        for index in table.get("GlobalSecondaryIndexes", [])
    ]
    return {
        "keys": table["KeySchema"],
        "attributes": sorted(item["AttributeName"] for item in table["AttributeDefinitions"]),
        "billing": table["BillingModeSummary"]["BillingMode"],
        "indexes": indexes,
    }


def shapes(client: Any, environment: str) -> dict[str, Any]:
    names = [table.name for table in TEMPLATE.tables(environment)]
    return {name.removesuffix(environment): shape(client.describe_table(TableName=name)["Table"]) for name in names}


def test_the_stacks_tables_are_those_of_a_laptop(emulator: Emulator, outputs: dict[str, str]) -> None:
    client = emulator.client("dynamodb")
    resources.create_tables(client, TEMPLATE, "staging")
    assert shapes(client, "dev") == shapes(client, "staging")


def test_the_stacks_tables_are_guarded(emulator: Emulator, outputs: dict[str, str]) -> None:
    client = emulator.client("dynamodb")
    for name in (outputs[f"{kind}TableName"] for kind in ("Users", "Reports", "Embeddings")):
        table = client.describe_table(TableName=name)["Table"]
        assert table["DeletionProtectionEnabled"] is True
        assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"


def test_the_stacks_bucket_is_that_of_a_laptop_and_guarded(emulator: Emulator, outputs: dict[str, str]) -> None:
    client = emulator.client("s3")
    assert outputs["SimilarityBucketName"] == BUCKET
    assert client.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert set(client.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values()) == {True}
    assert client.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert "aws:SecureTransport" in client.get_bucket_policy(Bucket=BUCKET)["Policy"]


def test_the_pool_that_is_made(emulator: Emulator, outputs: dict[str, str]) -> None:
    client = emulator.client("cognito-idp")
    pool = outputs["UserPoolId"]
    assert client.describe_user_pool(UserPoolId=pool)["UserPool"]["DeletionProtection"] == "ACTIVE"
    found = client.describe_user_pool_client(UserPoolId=pool, ClientId=outputs["UserPoolClientId"])["UserPoolClient"]
    assert (found["PreventUserExistenceErrors"], found["IdTokenValidity"]) == ("ENABLED", 60)
    groups = client.list_groups(UserPoolId=pool)["Groups"]
    assert [group["GroupName"] for group in groups] == ["k9-admins"]


def test_the_hosted_login_of_the_pool_that_is_made(emulator: Emulator, outputs: dict[str, str]) -> None:
    client, pool = emulator.client("cognito-idp"), outputs["UserPoolId"]
    found = client.describe_user_pool_client(UserPoolId=pool, ClientId=outputs["UserPoolClientId"])["UserPoolClient"]
    assert found["CallbackURLs"] == found["LogoutURLs"] == [f"{PUBLIC_URL}/docs"]
    assert (found["AllowedOAuthFlows"], found["AllowedOAuthFlowsUserPoolClient"]) == (["code"], True)
    assert "ClientSecret" not in found
    domain = client.describe_user_pool_domain(Domain="k9-dev-000000000000")["DomainDescription"]
    assert domain["UserPoolId"] == pool


def test_the_functions_know_the_pool_and_the_worker(emulator: Emulator, outputs: dict[str, str]) -> None:
    client = emulator.client("lambda")
    settings = client.get_function_configuration(FunctionName="k9-worker-dev:live")["Environment"]["Variables"]
    assert settings["COGNITO_USER_POOL_ID"] == outputs["UserPoolId"]
    assert settings["COGNITO_CLIENT_IDS"] == outputs["UserPoolClientId"]
    assert settings["WORKER_FUNCTION"] == "k9-worker-dev:live"
    assert settings["ALLOWED_ORIGINS"] == PARAMETERS["AllowedOrigins"]
    asked = client.get_function_event_invoke_config(FunctionName="k9-worker-dev", Qualifier="live")
    assert asked["DestinationConfig"]["OnFailure"]["Destination"].endswith(":k9-worker-failures-dev")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"UserPoolId": "us-east-1_Pool"}, "UserPoolClientIds must name"),
        ({"UserPoolClientIds": "one"}, "that UserPoolId does not name"),
        ({"BucketName": "Upper"}, "must be 3 to 63"),
        ({"MonthlyBudget": "much"}, "must be a whole number"),
    ],
)
def test_what_is_refused_before_anything_is_made(emulator: Emulator, parameters: dict[str, str], told: str) -> None:
    with pytest.raises(ClientError, match=told):
        emulator.deploy({**PARAMETERS, **parameters}, name=f"{STACK}-refused")
