"""Every refusal of AWS and of its SDK says what to do."""

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from scripts.deployment.failure import explain
from tests.unit.deployment.fakes import refusal


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoCredentialsError(), "no AWS credentials (Unable to locate credentials): sign in again (`aws sso login`"),
        (CredentialRetrievalError(provider="sso", error_msg="x"), "cannot be read"),
        (UnauthorizedSSOTokenError(), "aws sso login"),
        (TokenRetrievalError(provider="sso", error_msg="expired"), "aws sso login"),
        (ProfileNotFound(profile="nobody"), "(nobody) could not be found: `aws configure list-profiles`"),
        (EndpointConnectionError(endpoint_url="https://x"), "is the region spelled right"),
        (ConnectTimeoutError(endpoint_url="https://x"), "AWS does not answer"),
        (refusal("ExpiredToken"), "have expired (ExpiredToken): sign in again"),
        (refusal("ExpiredTokenException"), "have expired"),
        (refusal("InvalidClientTokenId"), "not know these credentials"),
        (refusal("UnrecognizedClientException"), "A region that the account has not enabled"),
        (refusal("AccessDenied", "DescribeStacks"), "do not permit DescribeStacks"),
        (refusal("LimitExceeded", "CreateStack", "Too many."), "AWS refused CreateStack: LimitExceeded. Too many."),
    ],
)
def test_what_is_said(error: BotoCoreError | ClientError, said: str) -> None:
    assert said in explain(error)
