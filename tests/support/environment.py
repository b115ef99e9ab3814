"""The environment that a deployed function would see, for tests."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from scripts.local.template import Deployment, Template
from tests.support.tokens import CLIENT_ID, ISSUER

ENVIRONMENT = "test"
ORIGIN = "https://app.example.com"
POOL = ISSUER.rsplit("/", 1)[-1]
AWS_IDENTITY: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@lru_cache(maxsize=1)
def function_environment() -> Mapping[str, str]:
    """The template's own variables, resolved, and a made-up AWS identity."""
    deployment = Deployment(ENVIRONMENT, user_pool_id=POOL, client_ids=(CLIENT_ID,), allowed_origins=(ORIGIN,))
    variables = {**Template.load().environment_variables(deployment), "WORKER_FUNCTION": ""}
    return MappingProxyType({**variables, **AWS_IDENTITY})
