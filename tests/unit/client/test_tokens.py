"""Where the token comes from, and what a 401 does."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from k9_api import Client, TokenError, Unauthenticated
from tests.unit.client.world import TOKEN, URL, Awaited, Surface, World, ok, problem, report

REFUSED = problem(401, "unauthenticated")


def get(client: Any) -> Any:
    return client.reports.get("r1")


class Renewing:
    """A source that gives another token for one that was refused."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.rejected: list[str | None] = []

    def token(self, rejected: str | None = None) -> str:
        self.rejected.append(rejected)
        if rejected is not None and len(self.tokens) > 1:
            self.tokens.pop(0)
        return self.tokens[0]


class RenewingAsync:
    def __init__(self, source: Renewing) -> None:
        self.source = source

    async def token_async(self, rejected: str | None = None) -> str:
        await asyncio.sleep(0)
        return self.source.token(rejected)


@pytest.mark.parametrize(
    "token",
    [TOKEN, f"Bearer {TOKEN}\n", lambda: TOKEN, Renewing(TOKEN)],
    ids=["a text", "a pasted line", "a callable", "a source"],
)
def test_a_token_may_be(surface: Surface, world: World, token: object) -> None:
    world.says(ok(report()))
    surface.run(get, token=token)
    assert world.header("Authorization") == [f"Bearer {TOKEN}"]


def test_asyncio_may_await_a_token(world: World) -> None:
    async def token() -> str:
        return TOKEN

    world.says(ok(report()), ok(report()))
    Awaited(world).run(get, token=token)
    Awaited(world).run(get, token=RenewingAsync(Renewing(TOKEN)))
    assert world.header("Authorization") == [f"Bearer {TOKEN}"] * 2


def test_a_callable_is_asked_for_every_request(surface: Surface, world: World) -> None:
    tokens = iter(["one", "two"])
    world.says(problem(503, "unavailable"), ok(report()))
    surface.run(get, token=lambda: next(tokens))
    assert world.header("Authorization") == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("token", [None, "", " ", "Bearer "], ids=repr)
def test_without_a_token_nothing_is_sent(surface: Surface, world: World, token: str | None) -> None:
    with pytest.raises(TokenError, match="No token was given"):
        surface.run(get, token=token)
    assert world.requests == []


@pytest.mark.parametrize("token", ["tökén", "a\x00b"], ids=repr)
def test_what_no_header_can_hold_is_no_token(surface: Surface, world: World, token: str) -> None:
    with pytest.raises(TokenError, match="no header can hold") as caught:
        surface.run(get, token=token)
    assert token not in str(caught.value)
    assert world.requests == []


def test_an_open_route_sends_none(surface: Surface, world: World) -> None:
    world.says(ok({"status": "ok", "version": "0.1.0"}))
    assert surface.run(lambda client: client.health(), token=None).version == "0.1.0"
    assert world.header("Authorization") == [None]


class TestRefused:
    def test_another_token_is_tried_once(self, surface: Surface, world: World) -> None:
        source = Renewing("one", "two", "three")
        world.says(REFUSED, ok(report()))
        surface.run(get, token=source)
        assert world.header("Authorization") == ["Bearer one", "Bearer two"]
        assert source.rejected == [None, "one"]
        assert world.slept == []

    def test_and_no_more(self, surface: Surface, world: World) -> None:
        world.says(REFUSED, REFUSED)
        with pytest.raises(Unauthenticated):
            surface.run(get, token=Renewing("one", "two", "three"))
        assert len(world.requests) == 2

    def test_the_same_token_is_not_sent_again(self, surface: Surface, world: World) -> None:
        world.says(REFUSED)
        with pytest.raises(Unauthenticated):
            surface.run(get)
        assert len(world.requests) == 1

    def test_a_write_keeps_its_key(self, surface: Surface, world: World) -> None:
        world.says(REFUSED, ok(report()))
        surface.run(lambda client: client.reports.create("T"), token=Renewing("one", "two"))
        assert world.header("Idempotency-Key") == ["key-1", "key-1"]

    def test_what_the_gateway_refuses_is_refused(self, surface: Surface, world: World) -> None:
        world.says(httpx.Response(401, json={"message": "Unauthorized"}, headers={"apigw-requestid": "gw-1"}))
        with pytest.raises(Unauthenticated) as caught:
            surface.run(get)
        assert (caught.value.detail, caught.value.request_id) == ("Unauthorized", "gw-1")


def test_a_blocking_source_does_not_keep_asyncio(world: World) -> None:
    threads: list[int] = []

    class Source:
        def token(self, rejected: str | None = None) -> str:
            threads.append(threading.get_ident())
            return TOKEN

    world.says(ok(report()))
    Awaited(world).run(get, token=Source())
    assert threads
    assert threads[0] != threading.get_ident()


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "ftp://api.example.com",
        "https://",
        "https://api.example.com/?a=1",
        "https://api.example.com/#a",
        "https://[::1",
        "https://api.example.com:port",
        "http://api.example.com",
    ],
)
def test_an_address_that_cannot_be(url: str) -> None:
    with pytest.raises(ValueError, match=r"is not an address|unencrypted"):
        Client(url)


@pytest.mark.parametrize("url", ["http://localhost:3001", "http://127.0.0.1:3001/", "http://[::1]:3001", f"{URL}/"])
def test_an_address_that_can(url: str) -> None:
    Client(url).close()


def test_nothing_shows_the_token(world: World) -> None:
    """Neither an error's text nor its parts, which a traceback or a log may print."""
    world.says(REFUSED)
    client = Client(URL, token=TOKEN, transport=world.transport)
    with pytest.raises(Unauthenticated) as caught:
        client.reports.get("r1")
    client.close()
    shown: Callable[[object], str] = repr
    assert TOKEN not in shown(caught.value) + str(caught.value) + shown(client)
