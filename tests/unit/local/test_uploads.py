"""The watch over uploads on a laptop: every one is given to the check, until it is gone."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from scripts.local.uploads import uploads_checked
from shared.config import get_settings
from shared.database import DatabaseManager
from tests.support.api import Api
from tests.support.images import image
from tests.support.uploads import ask, send, shown, uploads

KEY = "uploads/a b/c+d"


class Store:
    """As much of an S3 client as the watch uses; `failures` are raised first."""

    def __init__(self, *keys: str, failures: int = 0) -> None:
        self.keys = list(keys)
        self.failures = failures

    def list_objects_v2(self, **_: object) -> dict[str, Any]:
        if self.failures:
            self.failures -= 1
            raise ClientError({"Error": {"Code": "InternalError"}}, "ListObjectsV2")
        return {"Contents": [{"Key": key} for key in self.keys]} if self.keys else {}


def seen(store: Any, check: Callable[[str], object], times: int) -> list[str]:
    """The keys, as events have them, of the first so many checks."""
    keys: list[str] = []
    enough = threading.Event()

    def checked(event: dict[str, Any]) -> None:
        if len(keys) < times:
            keys.append(event["Records"][0]["s3"]["object"]["key"])
            if len(keys) == times:
                enough.set()
            check(keys[-1])

    with uploads_checked(store, "bucket", checked, seconds=0.001):
        assert enough.wait(10)
    return keys


def test_every_upload_is_told_of_as_s3_would() -> None:
    assert seen(Store(KEY), lambda key: None, 2) == ["uploads/a+b/c%2Bd"] * 2


def test_a_store_that_does_not_answer_is_asked_again() -> None:
    assert seen(Store(KEY, failures=3), lambda key: None, 1)


def test_a_check_that_fails_is_made_again_and_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(key: str) -> None:
        raise RuntimeError("secret")

    logger = logging.getLogger("k9.local")
    with monkeypatch.context() as changed, caplog.at_level(logging.WARNING, "k9.local"):
        # As it is before `dev.py` takes the log over: pytest listens itself to a logger that hands nothing up.
        changed.setattr(logger, "handlers", [])
        changed.setattr(logger, "propagate", True)
        assert len(seen(Store(KEY, "uploads/other"), fail, 4)) == 4
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "An uploaded avatar could not be checked and is tried again"
    ] * 2
    assert "secret" not in caplog.text


def test_nothing_is_checked_after_the_end() -> None:
    store: Any = Store(KEY)
    calls: list[dict[str, Any]] = []
    with uploads_checked(store, "bucket", calls.append, seconds=0.001):
        pass
    before = len(calls)
    threading.Event().wait(0.02)
    assert len(calls) == before


def test_an_upload_becomes_the_avatar(manager: DatabaseManager, alice: Api) -> None:
    form = ask(alice)
    client = boto3.client("s3")
    gone = threading.Event()
    send(form, image())
    with uploads_checked(client, get_settings().similarity_bucket, seconds=0.01):
        for _ in range(500):
            if not uploads():
                break
            gone.wait(0.01)
    assert shown(alice)
