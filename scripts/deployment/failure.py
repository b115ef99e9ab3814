"""What stops a deployment, said so that the person at the terminal knows what to do."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

SIGN_IN = (
    "sign in again (`aws sso login`, or new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN), "
    "or name a profile with --profile"
)

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorizedException", "403"})


class DeploymentError(Exception):
    """It cannot go on. The message says what is wrong, where, and what to do."""


def explain(error: BotoCoreError | ClientError) -> str:
    """AWS's refusal, or the SDK's, with what to do about it."""
    if isinstance(error, ClientError):
        return _explain_answer(error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return f"There are no AWS credentials ({_sentence(error)}): {SIGN_IN}."
    if isinstance(error, SSOError | TokenRetrievalError | CredentialRetrievalError):
        return f"The AWS credentials cannot be read ({_sentence(error)}): {SIGN_IN}."
    if isinstance(error, ProfileNotFound):
        return f"{_sentence(error)}: `aws configure list-profiles` shows those there are."
    if isinstance(error, EndpointConnectionError):
        return f"{_sentence(error)}: is the region spelled right, and is there a network?"
    if isinstance(error, ConnectionError | HTTPClientError):
        return f"AWS does not answer ({_sentence(error)}): look at the network, then start again."
    return f"AWS cannot be used: {_sentence(error)}."


def _explain_answer(error: ClientError) -> str:
    code, operation = error_code(error), error.operation_name
    if code in _EXPIRED:
        return f"The AWS credentials have expired ({code}): {SIGN_IN}."
    if code in _UNKNOWN:
        return (
            f"AWS does not know these credentials ({code}): {SIGN_IN}. "
            "A region that the account has not enabled gives the same answer."
        )
    if code in _DENIED:
        return f"The AWS credentials do not permit {operation} ({code}): use others, or have that permission added."
    message = error.response.get("Error", {}).get("Message", "")
    return f"AWS refused {operation}: {code}. {message}".rstrip()


def error_code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _sentence(error: BotoCoreError) -> str:
    return str(error).rstrip(".")
