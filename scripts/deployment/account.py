"""The AWS account and region that a command works on."""

import os
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from scripts.deployment.failure import DeploymentError

_CONFIG = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5})


@dataclass(frozen=True, slots=True)
class Account:
    """Signed in: `number` is the account's, `caller` the ARN of who we are there."""

    session: boto3.session.Session
    region: str
    number: str
    caller: str
    profile: str | None

    def client(self, service: str) -> Any:
        return _client(self.session, service, self.region)

    @property
    def options(self) -> list[str]:
        """The same account and region for another program: sam and aws take these alike."""
        return ["--region", self.region, *(["--profile", self.profile] if self.profile else [])]


def sign_in(profile: str | None, region: str | None, fallback_region: str | None = None) -> Account:
    """The account of the credentials. Raises DeploymentError without a region, the SDK's errors without credentials."""
    session = boto3.session.Session(profile_name=profile)
    # AWS_REGION goes first, as with the aws command; boto3 itself reads AWS_DEFAULT_REGION alone.
    chosen = region or os.environ.get("AWS_REGION") or session.region_name or fallback_region
    if not chosen:
        raise DeploymentError("No AWS region is set: pass --region, such as us-east-1, or set AWS_REGION.")
    identity = _client(session, "sts", chosen).get_caller_identity()
    return Account(session, chosen, identity["Account"], identity["Arn"], profile)


def _client(session: boto3.session.Session, service: Any, region: str) -> Any:
    return session.client(service, region_name=region, config=_CONFIG)
