"""`--aws`: what the handlers need to know to run here against a deployed environment's own tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from scripts.local.failure import LocalStackError
from scripts.local.template import Deployment

_SETTINGS = ("BucketName", "TokenUse", "LimitReads", "LimitWrites", "LimitSearches", "LimitRows", "LimitBytes")


class CloudError(LocalStackError):
    """AWS refuses, or does not have what is asked for."""


@dataclass(frozen=True, slots=True)
class CloudOptions:
    """What the command line says about the environment."""

    environment: str
    profile: str | None = None
    region: str | None = None
    user_pool_id: str | None = None
    client_ids: tuple[str, ...] = ()

    @property
    def stack(self) -> str:
        return f"k9-api-{self.environment}"


def find_deployment(options: CloudOptions, origins: tuple[str, ...]) -> Deployment:
    """The deployment, with the caller's account; the pool comes from the options or else from the stack."""
    try:
        session = boto3.session.Session(profile_name=options.profile, region_name=options.region)
        region = _region(session)
        account = session.client("sts", region_name=region).get_caller_identity()["Account"]
        pool_id, client_ids, parameters = _pool(session, region, options)
    except (BotoCoreError, ClientError) as exc:
        raise CloudError(
            f"AWS cannot be used: {exc}\nSign in first (`aws sso login` or AWS_ACCESS_KEY_ID and the like), "
            "or name a profile with --profile."
        ) from exc
    return Deployment(options.environment, pool_id, client_ids, origins, region, account, parameters)


def _region(session: boto3.session.Session) -> str:
    if not session.region_name:
        raise CloudError("No AWS region is set: pass --region, or set AWS_DEFAULT_REGION.")
    return session.region_name


def _pool(
    session: boto3.session.Session, region: str, options: CloudOptions
) -> tuple[str, tuple[str, ...], Mapping[str, str]]:
    """The pool, its clients, and the settings of the stack that change what the handlers see."""
    if options.user_pool_id and options.client_ids:
        return options.user_pool_id, options.client_ids, {}
    stack = _find_stack(session, region, options)
    parameters, outputs = read_parameters(stack), read_outputs(stack)
    # A pool that the stack made is among its outputs alone.
    pool_id = options.user_pool_id or parameters.get("UserPoolId") or outputs.get("UserPoolId", "")
    stated = parameters.get("UserPoolClientIds") or outputs.get("UserPoolClientId", "")
    client_ids = options.client_ids or split_list(stated)
    if not (pool_id and client_ids):
        raise CloudError(
            f"The stack {options.stack} does not name its user pool and clients: "
            "pass --user-pool-id and --user-pool-client-id."
        )
    return pool_id, client_ids, {name: parameters[name] for name in _SETTINGS if name in parameters}


def _find_stack(session: boto3.session.Session, region: str, options: CloudOptions) -> Mapping[str, Any]:
    client = session.client("cloudformation", region_name=region)
    try:
        stack: Mapping[str, Any] = client.describe_stacks(StackName=options.stack)["Stacks"][0]
    except ClientError as exc:
        if exc.response["Error"]["Code"] != "ValidationError":
            raise
        raise CloudError(
            f"There is no CloudFormation stack {options.stack} in {region}: deploy it, name another --environment or "
            "--region, or pass --user-pool-id and --user-pool-client-id."
        ) from exc
    return stack


def read_parameters(stack: Mapping[str, Any]) -> dict[str, str]:
    return {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])}


def read_outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def split_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
