"""What the handlers see of the world."""

import pytest

from scripts.local.identity import Pool
from scripts.local.template import Deployment, Template
from scripts.local.variables import cloud_variables, forget_aws, local_deployment, local_variables
from shared.config import Settings

POOL = Pool("us-east-1_Local", "client")
ENDPOINT = "http://127.0.0.1:3011"


def local() -> dict[str, str]:
    return local_variables(Template.load(), local_deployment(POOL), POOL, ENDPOINT)


def test_the_settings_of_a_local_run() -> None:
    settings = Settings(local())
    assert settings.environment == "dev"
    assert settings.users_table == "k9-users-dev"
    assert settings.dynamodb_endpoint == ENDPOINT
    assert settings.client_ids == {"client"}
    assert settings.issuer == "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Local"
    assert settings.jwks_url == f"{ENDPOINT}/us-east-1_Local/.well-known/jwks.json"
    assert "http://localhost:3000" in settings.allowed_origins


def test_a_local_run_forgets_the_users_aws() -> None:
    environ = {"AWS_PROFILE": "prod", "AWS_SESSION_TOKEN": "t", "DYNAMODB_REGION": "x", "HOME": "/home/u"}
    forget_aws(environ)
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "DYNAMODB_REGION"} & environ.keys()
    assert environ["HOME"] == "/home/u"


@pytest.mark.parametrize(("profile", "stated"), [("work", {"AWS_PROFILE": "work"}), (None, {})])
def test_a_run_against_aws_keeps_the_callers_credentials(profile: str | None, stated: dict[str, str]) -> None:
    deployment = Deployment("staging", "eu-west-1_Pool", ("c",), ("http://localhost:3000",), "eu-west-1", "123")
    made = cloud_variables(Template.load(), deployment, profile)
    assert made["DYNAMODB_REPORTS_TABLE"] == "k9-reports-staging"
    assert made["SIMILARITY_BUCKET"] == "k9-similarity-staging-123"
    assert made["AWS_REGION"] == "eu-west-1"
    assert {name: made[name] for name in made if name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID")} == stated
    assert not any(name.startswith("AWS_ENDPOINT") for name in made)


def test_limits_of_the_environment_are_those_of_each_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LIMIT_READS", "0.5"), ("LIMIT_ROWS", "7")):
        monkeypatch.setenv(name, value)
    limits = Settings(local()).tenant_limits
    assert (limits.quotas, limits.rows, limits.bytes) == ({"reads": 5}, 7, None)
