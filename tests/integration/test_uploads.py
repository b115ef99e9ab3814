"""Forms sent to a real server over HTTP, and the watch that finds what they brought, after its restart too."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.deployment.stage import Answer
from scripts.local import clients, resources
from scripts.local.store import Store
from scripts.local.template import Template
from scripts.local.uploads import uploads_checked
from shared.avatars.names import Upload
from shared.avatars.requesting import request_upload
from shared.config import get_settings
from shared.models.avatar import MAX_UPLOAD_BYTES, AvatarUpload
from shared.models.user import DBUser
from shared.process import renew
from shared.similarity.objects import default_objects
from tests.support.environment import ENVIRONMENT
from tests.support.forms import send_form
from tests.support.images import image
from tests.support.stack import start_store

PNG = image()
USER = DBUser(user_id="a b/ü")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[Store]:
    started = start_store(folder, environment=None)
    resources.create_bucket(clients.s3(started.endpoint), Template.load().bucket(ENVIRONMENT))
    yield started
    started.stop()


@pytest.fixture
def form(store: Store, monkeypatch: pytest.MonkeyPatch) -> AvatarUpload:
    return form_of(store, monkeypatch)


def form_of(store: Store, monkeypatch: pytest.MonkeyPatch) -> AvatarUpload:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.endpoint)
    renew()
    return request_upload(default_objects(), USER, "image/png")


def sent(form: AvatarUpload, body: bytes = PNG, **changes: str) -> Answer:
    fields = {**form.fields, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return send_form(form.url, fields, body, Origin="http://localhost:5173")


def found(store: Store) -> list[str]:
    """The uploads that the watch finds."""
    keys: list[str] = []
    seen = threading.Event()

    def check(event: dict[str, Any]) -> None:
        keys.append(event["Records"][0]["s3"]["object"]["key"])
        seen.set()

    with uploads_checked(clients.s3(store.endpoint), get_settings().similarity_bucket, check, seconds=0.05):
        assert seen.wait(20)
    return keys


def test_a_form_brings_one_object_of_its_type(form: AvatarUpload) -> None:
    answer = sent(form)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "http://localhost:5173")
    stored = default_objects().get(form.fields["key"])
    assert stored
    assert (stored.body, stored.media_type) == (PNG, "image/png")
    assert Upload.of_key(form.fields["key"])
    default_objects().delete_version(form.fields["key"], stored.version)
    assert default_objects().get(form.fields["key"]) is None


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (b"", {}),
        (bytes(MAX_UPLOAD_BYTES + 1), {}),
        (PNG, {"Content_Type": "text/html"}),
        (PNG, {"key": "uploads/another"}),
        (PNG, {"key": "avatars/another"}),
        (PNG, {"acl": "public-read"}),
        (PNG, {"x_amz_meta_more": "x"}),
    ],
    ids=["empty", "too large", "another type", "another key", "beside the uploads", "public", "metadata"],
)
def test_a_form_brings_nothing_else(form: AvatarUpload, body: bytes, changes: dict[str, str]) -> None:
    assert sent(form, body, **changes).status in (400, 403)
    assert list(default_objects().list("")) == []


def test_what_is_uploaded_is_found_after_a_restart_too(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = form_of(store, monkeypatch)
    assert sent(form).status == 204
    expected = form.fields["key"].replace("%", "%25")
    assert set(found(store)) == {expected}
    store.stop()
    again = start_store(folder, environment=None)
    try:
        assert set(found(again)) == {expected}
    finally:
        again.stop()
