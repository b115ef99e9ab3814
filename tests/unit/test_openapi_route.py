"""GET /openapi.json: the document as it is deployed, in the form that the client takes."""

import gzip
import json
from base64 import b64decode
from collections.abc import Mapping

import pytest

from handlers.documentation.representations import Document, accepts_gzip, has_already
from scripts.description.document import SERVED
from shared.config import get_settings
from tests.support.api import Answer, Api


def get(**headers: str) -> Answer:
    """Without a token, which nobody needs."""
    return Api().get("/openapi.json", headers={name.replace("_", "-"): value for name, value in headers.items()})


def body(answer: Answer) -> bytes:
    assert answer.raw["isBase64Encoded"]
    return b64decode(answer.text)


def varies_by(headers: Mapping[str, str]) -> list[str]:
    return headers["Vary"].split(", ")


def test_it_is_the_file_that_is_deployed_with_the_function() -> None:
    answer = get()
    assert answer.status == 200
    assert body(answer) == SERVED.read_bytes()
    assert json.loads(body(answer))["openapi"] == "3.1.0"
    assert answer.headers["Content-Type"] == "application/json"
    assert "Content-Encoding" not in answer.headers


def test_it_may_be_kept_for_five_minutes_by_anybody() -> None:
    headers = get().headers
    assert headers["Cache-Control"] == "public, max-age=300"
    assert "Accept-Encoding" in varies_by(headers)
    assert headers["ETag"].startswith('"')


def test_it_is_gzipped_for_who_takes_that_and_has_another_tag_then() -> None:
    answer = get(accept_encoding="gzip, deflate, br")
    assert gzip.decompress(body(answer)) == SERVED.read_bytes()
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in varies_by(answer.headers)
    assert answer.headers["ETag"] != get().headers["ETag"]
    assert len(body(answer)) < len(SERVED.read_bytes()) / 5


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_who_has_it_gets_a_304_without_a_body(encoding: str) -> None:
    first = get(accept_encoding=encoding)
    again = get(accept_encoding=encoding, if_none_match=f'"other", W/{first.headers["ETag"]}')
    assert (again.status, again.text) == (304, "")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == "public, max-age=300"
    assert "Accept-Encoding" in varies_by(again.headers)
    assert not {"Content-Type", "Content-Encoding"} & again.headers.keys()


def test_the_tag_of_one_form_is_not_that_of_the_other() -> None:
    assert get(if_none_match=get(accept_encoding="gzip").headers["ETag"]).status == 200


def test_what_depends_on_the_origin_too_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://app.example.com")
    get_settings.cache_clear()
    answer = get(origin="https://app.example.com")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert varies_by(answer.headers) == ["Origin", "Accept-Encoding"]


def test_what_depends_on_no_origin_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", "*")
    get_settings.cache_clear()
    assert varies_by(get().headers) == ["Accept-Encoding"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP;q=1.0", True),
        ("x-gzip", True),
        ("br, gzip;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("br", False),
        ("gzipped", False),
        (";;,", False),
    ],
)
def test_who_takes_gzip(header: str, expected: bool) -> None:
    assert accepts_gzip(header) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("*", True),
        (" * ", True),
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ('"b"', False),
        ("a", False),
        ('"ab"', False),
        ('"*"', False),
    ],
)
def test_who_has_it_already(header: str, expected: bool) -> None:
    assert has_already(header, {'"a"'}) == expected


def test_the_same_bytes_have_the_same_forms() -> None:
    """A form that differed from process to process would have one tag for several things."""
    assert Document.of(b"{}", "application/json", cache_control="no-cache") == Document.of(
        b"{}", "application/json", cache_control="no-cache"
    )
    assert (
        Document.of(b"{}", "application/json", cache_control="no-cache").digest
        != Document.of(b"[]", "text/css", cache_control="no-cache").digest
    )
