"""The tables and the bucket by the names that an environment gives them, whether or not a stack has them."""

from http import HTTPStatus
from typing import Literal

from botocore.exceptions import ClientError

from scripts.deployment.account import Account
from scripts.deployment.failure import DeploymentError, error_code
from scripts.local.template import Template

BucketOwner = Literal["nobody", "us", "others"]


def default_bucket(environment: str, account: Account) -> str:
    return f"k9-similarity-{environment}-{account.number}"


def table_names(environment: str) -> list[str]:
    return [table.name for table in Template.load().tables(environment)]


def counting_table_names(environment: str) -> list[str]:
    """Those that hold nobody's data, and go with the stack."""
    template = Template.load()
    bodies = template.resources("AWS::DynamoDB::Table")
    return [
        table.name
        for table in template.tables(environment)
        if bodies[table.logical_id].get("DeletionPolicy") == "Delete"
    ]


def table_exists(account: Account, name: str) -> bool:
    try:
        account.client("dynamodb").describe_table(TableName=name)
    except ClientError as exc:
        if error_code(exc) == "ResourceNotFoundException":
            return False
        raise
    return True


def bucket_owner(account: Account, name: str) -> BucketOwner:
    """Bucket names are shared by the whole world; S3 does not tell a foreign bucket from one we may not look at."""
    try:
        account.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=account.number)
    except ClientError as exc:
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status == HTTPStatus.NOT_FOUND:
            return "nobody"
        if status in (HTTPStatus.FORBIDDEN, HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.BAD_REQUEST):
            return "others"
        raise
    return "us"


def ensure_tables_free(account: Account, environment: str) -> None:
    """For a new stack: CloudFormation makes no table over one that is there."""
    taken = [name for name in table_names(environment) if table_exists(account, name)]
    if taken:
        raise DeploymentError(
            f"There is no stack of {environment} in {account.region}, but account {account.number} has the tables "
            f"{', '.join(taken)}, left by an earlier one. If they are empty,\n"
            f"  ./scripts/destroy.sh --environment {environment}\n"
            "removes them; if they hold data, CloudFormation's resource import brings them into a new stack."
        )


def ensure_bucket_free(account: Account, environment: str, name: str) -> None:
    owner = bucket_owner(account, name)
    if owner == "us":
        raise DeploymentError(
            f"The bucket {name} is there already, and not this stack's. Name another with --bucket-name, or remove "
            f"what an earlier stack left:\n  ./scripts/destroy.sh --environment {environment} --bucket-name {name}"
        )
    if owner == "others":
        raise DeploymentError(
            f"The bucket name {name} is taken: another account, another region or a bucket that these credentials may "
            "not see has it. Choose another with --bucket-name."
        )
