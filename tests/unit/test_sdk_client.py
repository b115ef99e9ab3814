"""The request path's client: what it leaves out of the SDK must make no difference but speed."""

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.loaders import Loader

from shared.config import get_settings
from shared.database import DatabaseManager, ReportRepository
from shared.database.client import new_client
from shared.database.sdk_data import ENDPOINTS, SERVICE, excerpt
from shared.errors import NotFound, OutcomeUnknown, Unavailable
from tests.support.faults import faulty, garbled


def test_the_excerpt_is_that_of_the_installed_sdk() -> None:
    """Where this fails, run scripts/refresh_endpoints.py."""
    assert json.loads(ENDPOINTS.read_text()) == excerpt(Loader().load_data("endpoints"))


@pytest.mark.parametrize(
    "region",
    ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1", "xx-new-9"],
)
def test_every_region_has_the_sdks_own_endpoint(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    monkeypatch.setenv("DYNAMODB_REGION", region)
    ours = new_client(get_settings())
    theirs: Any = botocore.session.Session().create_client(SERVICE, region_name=region)
    assert ours.meta.endpoint_url == theirs.meta.endpoint_url
    assert ours.meta.partition == theirs.meta.partition


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
