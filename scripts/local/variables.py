"""The environment variables that the handlers read: the template's own, and where the embedded store is."""

import os
import shlex
from collections.abc import Mapping, MutableMapping

from scripts.local.clients import DUMMY_KEY
from scripts.local.identity import PEOPLE, Pool
from scripts.local.template import Deployment, Template

ENVIRONMENT = "dev"
"""The local tables carry the name of the development environment."""

WEB_ORIGINS = tuple(
    f"http://{host}:{port}" for host in ("localhost", "127.0.0.1") for port in (3000, 4200, 5000, 5173, 8000, 8080)
)
"""Where web front ends are usually served during development."""


LIMITS = ("LIMIT_READS", "LIMIT_WRITES", "LIMIT_SEARCHES", "LIMIT_ROWS", "LIMIT_BYTES")
"""Set in the environment of `dev.sh`, these are the limits of each user."""


def local_deployment(pool: Pool) -> Deployment:
    stated = {name.title().replace("_", ""): os.environ[name] for name in LIMITS if name in os.environ}
    return Deployment(ENVIRONMENT, pool.pool_id, (pool.client_id,), WEB_ORIGINS, parameters=stated)


def forget_aws(environ: MutableMapping[str, str]) -> None:
    """Removes what could lead a local run to AWS, or a call to this machine through a proxy."""
    for name in [name for name in environ if name.startswith(("AWS_", "DYNAMODB_", "COGNITO_"))]:
        del environ[name]
    environ["AWS_CONFIG_FILE"] = environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    environ["NO_PROXY"] = environ["no_proxy"] = "127.0.0.1,localhost,::1"


def local_variables(template: Template, deployment: Deployment, pool: Pool, endpoint: str) -> dict[str, str]:
    """For an environment that `forget_aws` has been over."""
    return {
        **template.environment_variables(deployment),
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_ENDPOINT_URL_S3": endpoint,
        "WORKER_FUNCTION": "",  # a thread of the gateway does its work
        "LOCAL_SIGN_IN": ",".join(person.username for person in PEOPLE),
        "AWS_ACCESS_KEY_ID": DUMMY_KEY,
        "AWS_SECRET_ACCESS_KEY": DUMMY_KEY,
        "AWS_REGION": deployment.region,
        "AWS_DEFAULT_REGION": deployment.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "COGNITO_ISSUER": pool.issuer,
        "COGNITO_JWKS_URL": pool.jwks_url(endpoint),
    }


def as_shell(variables: Mapping[str, str]) -> str:
    """The variables as lines that a shell can source, for scripts that use the repositories."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def cloud_variables(template: Template, deployment: Deployment, profile: str | None) -> dict[str, str]:
    """Credentials stay the caller's own."""
    variables = {
        **template.environment_variables(deployment),
        "AWS_REGION": deployment.region,
        "AWS_DEFAULT_REGION": deployment.region,
    }
    return {**variables, "AWS_PROFILE": profile} if profile else variables
