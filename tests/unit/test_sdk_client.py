"""The request path's client: what it leaves out of the SDK must make no difference but speed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.loaders import Loader

from shared.config import Settings, get_settings
from shared.database import DatabaseManager, ReportRepository
from shared.database.client import (
    CONNECT_TIMEOUT_SECONDS,
    MAX_ATTEMPTS,
    READ_TIMEOUT_SECONDS,
    new_client,
    new_lambda_client,
    new_s3_client,
)
from shared.database.sdk_data import ENDPOINTS, SERVICES, excerpt
from shared.errors import NotFound, OutcomeUnknown, Unavailable
from tests.support.faults import faulty, garbled

MAKERS: dict[str, Callable[[Settings], Any]] = {
    "dynamodb": new_client,
    "s3": new_s3_client,
    "lambda": new_lambda_client,
}
ENDPOINT_VARIABLES = {
    "dynamodb": "AWS_ENDPOINT_URL_DYNAMODB",
    "s3": "AWS_ENDPOINT_URL_S3",
    "lambda": "AWS_ENDPOINT_URL_LAMBDA",
}


def test_the_excerpt_is_that_of_the_installed_sdk() -> None:
    """Where this fails, run scripts/refresh_endpoints.py."""
    assert json.loads(ENDPOINTS.read_text()) == excerpt(Loader().load_data("endpoints"))


def test_every_service_has_a_maker() -> None:
    assert set(MAKERS) == set(ENDPOINT_VARIABLES) == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "region",
    ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1", "xx-new-9"],
)
def test_every_region_has_the_sdks_own_endpoint(monkeypatch: pytest.MonkeyPatch, service: str, region: str) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    ours = MAKERS[service](get_settings())
    theirs: Any = botocore.session.Session().create_client(service, region_name=region)
    assert ours.meta.endpoint_url == theirs.meta.endpoint_url
    assert ours.meta.partition == theirs.meta.partition
    assert ours.meta.config.signature_version == theirs.meta.config.signature_version


@pytest.mark.parametrize("service", SERVICES)
def test_every_client_is_bounded_alike(service: str) -> None:
    config = MAKERS[service](get_settings()).meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": MAX_ATTEMPTS}
    assert (config.connect_timeout, config.read_timeout) == (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)


@pytest.mark.parametrize("service", SERVICES)
def test_every_client_goes_where_it_is_told(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    monkeypatch.setenv(ENDPOINT_VARIABLES[service], "http://127.0.0.1:4566")
    assert MAKERS[service](get_settings()).meta.endpoint_url == "http://127.0.0.1:4566"


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("", "https://bucket.s3.amazonaws.com/a%252Fb/c"),
        ("http://localhost:4566", "http://localhost:4566/bucket/a%252Fb/c"),
    ],
    ids=["AWS", "another"],
)
def test_a_bucket_is_a_host_of_aws_and_a_folder_elsewhere(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, url: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    client = new_s3_client(get_settings())
    signed = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "a%2Fb/c"})
    assert signed.partition("?")[0] == url


def test_data_files_that_the_operator_names_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    seen: list[str] = []
    original = Loader.load_data_with_path

    def record(loader: Loader, name: str) -> Any:
        seen.append(name)
        return original(loader, name)

    monkeypatch.setattr(Loader, "load_data_with_path", record)
    new_client(get_settings())
    assert "endpoints" in seen


@pytest.mark.parametrize("text", ["", "not JSON", "[]", "\u00ff"])
def test_an_answer_that_is_no_json_object_is_no_answer(manager: DatabaseManager, text: str) -> None:
    """A read did nothing; a write may have happened."""
    with faulty(manager, garbled(200, text)) as fault:
        with pytest.raises(Unavailable) as read:
            ReportRepository.get_report("some-report", "some-user")
        with pytest.raises(OutcomeUnknown):
            ReportRepository.update_report("some-report", "some-user", {"title": "T"})
    assert not isinstance(read.value, OutcomeUnknown)
    assert fault.fired == 2


def test_credentials_of_an_assumed_role(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its provider asks STS, through a session that still knows that service and its answers."""
    config = tmp_path / "config"
    config.write_text(
        "[profile base]\naws_access_key_id = base\naws_secret_access_key = base\n"
        "[profile assumed]\nrole_arn = arn:aws:iam::123456789012:role/k9\nsource_profile = base\n"
    )
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "assumed")
    assumed = DatabaseManager()
    with pytest.raises(NotFound):
        ReportRepository(assumed).get_report("none", "nobody")
    signed: Any = assumed.client
    assert signed._request_signer._credentials.method == "assume-role"
