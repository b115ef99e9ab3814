"""A large export, from the request to the file: put into a real store over HTTP, and had at its presigned address."""

import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from handlers.reports.export_report import EXPORT_INLINE_BYTES
from scripts.local.clients import DUMMY_KEY
from shared.process import renew
from shared.similarity.objects import default_objects
from tests.conftest import ALICE, BOB
from tests.support.api import Api
from tests.support.cases import embed, insert
from tests.support.engines import ministack_engine
from tests.support.exported import read_document
from tests.support.tokens import TokenFactory

PRODUCTS, TEXT_BYTES = 55, 50_000


@pytest.fixture(autouse=True)
def stored(tmp_path: Path, environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ministack_engine(tmp_path / "store") as engine:
        assert engine.endpoint
        for name, value in engine.settings(engine.endpoint).environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", engine.endpoint)
        # It takes any key of a call, but compares the signatures of presigned addresses.
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", DUMMY_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", DUMMY_KEY)
        renew()
        objects = default_objects()
        objects.client.create_bucket(Bucket=objects.settings.similarity_bucket)
        yield


def fetched(url: str) -> tuple[Message, bytes]:
    """As a browser has it, which holds no token of ours."""
    with closing(urllib.request.urlopen(url, timeout=20)) as answer:
        return answer.headers, answer.read()


def test_a_large_export_can_be_had_at_its_address(tokens: TokenFactory) -> None:
    noise = random.Random(1)  # noqa: S311 - repeatable
    names = [f"p{number}" for number in range(PRODUCTS)]
    for name in names:
        embed(ALICE, name, [1, 2], {"noise": noise.randbytes(TEXT_BYTES).hex()})
    insert(ALICE, "one", title="Zażółć \u5831", reference={"product_id": "p0"}, favorites=set(names))
    alice = Api.as_user(ALICE, tokens)
    link: Any = alice.get("/reports/one/export", query={"format": "zip"}).json()
    assert link["bytes"] > EXPORT_INLINE_BYTES
    headers, body = fetched(link["url"])
    assert len(body) == link["bytes"]
    assert len(read_document(body)["favorites"]) == PRODUCTS
    assert headers["Content-Type"] == "application/zip"
    assert headers["Content-Disposition"].startswith('attachment; filename="Zazoc ')
    assert "filename*=UTF-8''Za%C5%BC%C3%B3%C5%82%C4%87%20%E5%A0%B1" in headers["Content-Disposition"]
    for change in (
        ("Zazoc", "Evil"),
        ("application%2Fzip", "text%2Fhtml"),
        (f"{ALICE}/", f"{BOB}/"),
        ("=300&", "=301&"),
    ):
        assert link["url"].count(change[0]) == 1
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            fetched(link["url"].replace(*change))
        refused.value.close()
    assert [info.size for info in default_objects().list(f"exports/{ALICE}/")] == [link["bytes"]]
