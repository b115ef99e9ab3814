"""The laptop's sign-in: who gets a token by a click, and which pages of other origins do not."""

import json

import pytest

from scripts.local.api import Api, HttpAnswer
from scripts.local.sign_in import NAMES, SignIn
from scripts.local.template import Deployment, Template
from tests.unit.local.requests import http_request

TEMPLATE = Template.load()
HOST = "localhost:3001"


def api(sign_in: SignIn | None) -> Api:
    return Api(TEMPLATE.routes(), TEMPLATE.cors(Deployment("dev", allowed_origins=("http://localhost:3000",))), sign_in)


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def gateway(asked: list[str]) -> Api:
    def token_of(name: str) -> str:
        asked.append(name)
        return f"token of {name}"

    return api(SignIn(token_of))


def click(
    gateway: Api, name: str = "alice", *, method: str = "POST", host: str | None = HOST, origin: str | None = None
) -> HttpAnswer:
    headers = {"Host": host, "Origin": f"http://{host}" if origin is None else origin}
    sent = [(key, value) for key, value in headers.items() if value]
    return gateway.answer(http_request(method, f"/docs/sign-in/{name}", sent))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("host", [HOST, "127.0.0.1:3001", "[::1]:3001", "localhost"])
def test_the_page_gets_a_fresh_token(gateway: Api, name: str, host: str) -> None:
    answer = click(gateway, name, host=host)
    assert answer.status == 200
    assert json.loads(answer.body) == {"token": f"token of {name}", "expires_in": 86400}
    assert dict(answer.headers)["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (HOST, "http://localhost:3000"),  # a front end that CORS lets call the API
        (HOST, "https://localhost:3001"),
        (HOST, "http://127.0.0.1:3001"),
        (HOST, "http://evil.example.com"),
        (HOST, "null"),
        ("evil.example.com:3001", "http://evil.example.com:3001"),  # a name that was led here
        ("localhost.evil.example.com:3001", "http://localhost.evil.example.com:3001"),
        ("localhost:3001:3001", "http://localhost:3001:3001"),
        ("", "http://localhost:3001"),
        (HOST, ""),
    ],
)
def test_a_stranger_gets_none(gateway: Api, asked: list[str], host: str, origin: str) -> None:
    answer = click(gateway, host=host, origin=origin)
    assert answer.status == 403
    assert b"token of" not in answer.body
    assert asked == []


@pytest.mark.parametrize("name", ["carol", "", "alice/", "Alice", "%61lice", "../alice"])
def test_nobody_else_can_sign_in(gateway: Api, asked: list[str], name: str) -> None:
    assert click(gateway, name).status == 404
    assert asked == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_no_link_and_no_image_signs_in(gateway: Api, asked: list[str], method: str) -> None:
    assert click(gateway, method=method).status == 404
    assert asked == []


def test_a_front_end_cannot_read_the_answer(gateway: Api) -> None:
    assert not any(name.startswith("access-control-") for name, _ in click(gateway).headers)


def test_a_gateway_before_real_tables_has_no_such_thing() -> None:
    assert click(api(None)).status == 404


def test_it_is_no_route_of_the_template() -> None:
    assert not any("sign-in" in route.path for route in TEMPLATE.routes())
