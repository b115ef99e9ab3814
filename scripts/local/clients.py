"""boto3 clients of the embedded store: its own dummy credentials, whatever the user's AWS settings are."""

from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from scripts.local.store import REGION

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

DUMMY_KEY = "local"

_SESSION = partial(
    boto3.session.Session, aws_access_key_id=DUMMY_KEY, aws_secret_access_key=DUMMY_KEY, region_name=REGION
)
_CONFIG = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})


def dynamodb(endpoint: str) -> "DynamoDBClient":
    return _SESSION().client("dynamodb", endpoint_url=endpoint, config=_CONFIG)


def s3(endpoint: str) -> "S3Client":
    return _SESSION().client("s3", endpoint_url=endpoint, config=_CONFIG)


def cognito(endpoint: str) -> "CognitoIdentityProviderClient":
    return _SESSION().client("cognito-idp", endpoint_url=endpoint, config=_CONFIG)
