"""The AWS clients of the request path: botocore's own, made and run without what this service never needs.

The User-Agent is one text rather than built anew twice a call; the SDK's data files are read for one service
(`sdk_data`); DynamoDB's answers are taken as the JSON they are rather than walked shape by shape. `benchmarks/`
measures what that saves.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import botocore
import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, EnvProvider
from botocore.parsers import ResponseParserError, ResponseParserFactory

from .. import __version__
from ..config import Settings
from .attempts import watch_attempts
from .sdk_data import OneServiceLoader

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, MAX_ATTEMPTS = 1, 3, 3
_CONNECTIONS = 50


def new_client(settings: Settings) -> DynamoDBClient:
    """A DynamoDB client with bounded tries, whose every try is counted."""
    session = _pared_down_session("dynamodb")
    session.register_component("response_parser_factory", _PlainParserFactory())
    made: DynamoDBClient = _made(session, "dynamodb", settings.dynamodb_region, settings.dynamodb_endpoint)
    return made


def new_s3_client(settings: Settings) -> S3Client:
    """An S3 client in the same way; at a given endpoint a bucket is a folder of it, since it rarely is a host name.

    What it signs for others is signed with version 4 for the region's own address: the SDK would take version 2, which
    newer regions refuse, and the address of all regions, which redirects.
    """
    style = "path" if settings.s3_endpoint else "virtual"
    options: dict[str, Any] = {"signature_version": "s3v4", "s3": {"addressing_style": style}}
    made: S3Client = _made(_pared_down_session("s3"), "s3", settings.region, settings.s3_endpoint, **options)
    return made


def new_lambda_client(settings: Settings) -> Any:
    """A Lambda client in the same way."""
    return _made(_pared_down_session("lambda"), "lambda", settings.region, settings.lambda_endpoint)


def _made(session: botocore.session.Session, service: str, region: str, endpoint: str | None, **options: Any) -> Any:
    client: Any = session.create_client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            max_pool_connections=_CONNECTIONS,
            parameter_validation=False,  # every parameter is composed here, from values already validated
            user_agent=f"k9-api/{__version__} Botocore/{botocore.__version__}",
            **options,
        ),
    )
    watch_attempts(client.meta.events)
    client.meta.events.register_first(f"needs-retry.{service}", _forget_retry_after)
    return client


def _pared_down_session(service: str) -> botocore.session.Session:
    """A session for this one client; whatever else the SDK is asked for goes to a whole one."""
    session = botocore.session.Session()
    session.register_component("credential_provider", _Credentials())
    if session.get_config_variable("data_path") is None:  # whoever sets AWS_DATA_PATH wants those files read
        session.register_component("data_loader", OneServiceLoader(service))
    return session


class _Credentials:
    """The SDK's own chain: the environment first, where Lambda puts them; the others from a whole session, as they may
    need clients of other services (STS for an assumed role, SSO)."""

    def load_credentials(self) -> Credentials | None:
        return EnvProvider().load() or botocore.session.Session().get_credentials()


class _PlainParserFactory(ResponseParserFactory):
    def create_parser(self, protocol_name: str) -> Any:
        return _PlainParser(super().create_parser(protocol_name))


class _PlainParser:
    """Takes a successful answer as the JSON it is: DynamoDB's answers have no other type but binaries (base64 text).

    An error keeps botocore's parser, which reads codes and the old item of a refused condition.
    """

    def __init__(self, errors: Any) -> None:
        self._errors = errors

    def parse(self, response: dict[str, Any], shape: Any) -> dict[str, Any]:
        if response["status_code"] != 200:
            parsed: dict[str, Any] = self._errors.parse(response, shape)
            return parsed
        headers = response["headers"]
        return {
            **_json_object(response["body"]),
            "ResponseMetadata": {
                "RequestId": headers.get("x-amzn-requestid", ""),
                "HTTPStatusCode": 200,
                "HTTPHeaders": {name.lower(): value for name, value in headers.items()},
            },
        }


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise ResponseParserError("an answer of DynamoDB is not JSON") from error
    if not isinstance(answer, dict):
        raise ResponseParserError("an answer of DynamoDB is not a JSON object")
    return answer


def _forget_retry_after(response: tuple[AWSResponse, Any] | None, **_: object) -> None:
    """If the service asked, the SDK would pause up to 5 s longer before each retry, and outlive the function."""
    if response is not None:
        response[0].headers.pop("x-amz-retry-after", None)
