"""Tokens renewed at Cognito: when, how often, and what is said where it refuses."""

import asyncio
import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from k9_api import CognitoTokens, TokenError, TooManyRequests, TransportError, Unavailable
from tests.unit.client.world import Surface, World, ok, problem, report

NOW = 1000.0


def jwt(name: str, expires_at: float | None = NOW + 3600) -> str:
    claims: dict[str, object] = {"sub": name} if expires_at is None else {"sub": name, "exp": expires_at}
    return f"head.{urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{name}"


def renewed(name: str, expires_at: float | None = NOW + 3600) -> httpx.Response:
    tokens = {"IdToken": jwt(name, expires_at), "AccessToken": jwt(f"{name}-access", expires_at), "ExpiresIn": 3600}
    return ok({"AuthenticationResult": tokens, "ChallengeParameters": {}})


def refused(kind: str, message: str = "no", status: int = 400) -> httpx.Response:
    return ok({"__type": f"com.amazonaws.cognito#{kind}", "message": message}, status)


@pytest.fixture
def cognito() -> World:
    return World(time=NOW)


def tokens(cognito: World, **options: Any) -> CognitoTokens:
    known = {"region": "eu-west-1", "client_id": "client", "refresh_token": "refresh"}
    return CognitoTokens(**{**known, "transport": cognito.transport, "runtime": cognito.runtime, **options})


def test_the_request_is_cognitos(cognito: World) -> None:
    cognito.says(renewed("one"))
    source = tokens(cognito)
    assert source.token() == jwt("one")
    (request,) = cognito.requests
    assert str(request.url) == "https://cognito-idp.eu-west-1.amazonaws.com/"
    assert request.headers["X-Amz-Target"] == "AWSCognitoIdentityProviderService.InitiateAuth"
    assert request.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert "Authorization" not in request.headers
    assert cognito.bodies() == [
        {"AuthFlow": "REFRESH_TOKEN_AUTH", "ClientId": "client", "AuthParameters": {"REFRESH_TOKEN": "refresh"}}
    ]
    source.close()


def test_the_access_token_where_the_api_takes_that(cognito: World) -> None:
    cognito.says(renewed("one"))
    assert tokens(cognito, use="access").token() == jwt("one-access")


def test_the_address_may_be_another(cognito: World) -> None:
    cognito.says(renewed("one"))
    tokens(cognito, endpoint="http://127.0.0.1:4566/").token()
    assert cognito.requests[0].url.host == "127.0.0.1"


class TestWhen:
    def test_a_token_is_kept_until_shortly_before_it_expires(self, cognito: World) -> None:
        cognito.says(renewed("one", NOW + 3600), renewed("two", NOW + 7200))
        source = tokens(cognito, ahead=60)
        assert source.token() == jwt("one", NOW + 3600)
        cognito.time = NOW + 3539
        assert source.token() == jwt("one", NOW + 3600)
        cognito.time = NOW + 3540
        assert source.token() == jwt("two", NOW + 7200)

    def test_one_that_is_there_is_used_first(self, cognito: World) -> None:
        source = tokens(cognito, token=jwt("mine"))
        assert source.token() == jwt("mine")
        assert cognito.requests == []

    @pytest.mark.parametrize("given", [jwt("old", NOW), jwt("endless", None), "opaque", "a.###.c", "a.e.c", "a.e30.c"])
    def test_one_that_is_expired_or_does_not_say_is_not(self, cognito: World, given: str) -> None:
        cognito.says(renewed("one"))
        assert tokens(cognito, token=given).token() == jwt("one")

    def test_one_that_does_not_say_lives_as_long_as_cognito_says(self, cognito: World) -> None:
        cognito.says(renewed("one", None), renewed("two", None))
        source = tokens(cognito)
        source.token()
        cognito.time = NOW + 3539
        assert source.token() == jwt("one", None)
        cognito.time = NOW + 3541
        assert source.token() == jwt("two", None)

    def test_one_that_was_refused_is_renewed(self, cognito: World) -> None:
        cognito.says(renewed("one"), renewed("two"))
        source = tokens(cognito)
        first = source.token()
        assert source.token(rejected=first) == jwt("two")
        assert source.token(rejected=first) == jwt("two")
        assert len(cognito.requests) == 2

    def test_a_401_renews_once(self, surface: Surface, world: World, cognito: World) -> None:
        cognito.says(renewed("one"), renewed("two"))
        world.says(problem(401, "unauthenticated"), ok(report()), ok(report()))
        source = tokens(cognito)
        surface.run(lambda client: client.reports.get("r1"), token=source)
        surface.run(lambda client: client.reports.get("r1"), token=source)
        sent = [f"Bearer {jwt(name)}" for name in ("one", "two", "two")]
        assert world.header("Authorization") == sent
        assert len(cognito.requests) == 2


class TestSingleFlight:
    """Whoever needs a token while one is being renewed waits for that one."""

    def test_of_threads(self, cognito: World) -> None:
        begun, go_on = threading.Event(), threading.Event()
        cognito.says(held_back(begun, go_on, renewed("one")))
        source = tokens(cognito)
        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(source.token) for _ in range(8)]
            assert begun.wait(5)
            go_on.set()
            assert {each.result(5) for each in asking} == {jwt("one")}
        assert len(cognito.requests) == 1

    def test_of_tasks_while_the_loop_goes_on(self, cognito: World) -> None:
        begun, go_on = threading.Event(), threading.Event()
        cognito.says(held_back(begun, go_on, renewed("one")))
        source = tokens(cognito)

        async def ask() -> set[str]:
            asking = [asyncio.create_task(source.token_async()) for _ in range(50)]
            while not begun.is_set():
                await asyncio.sleep(0.001)
            assert sum(thread.name.startswith("asyncio_") for thread in threading.enumerate()) == 1
            go_on.set()
            return set(await asyncio.gather(*asking))

        assert asyncio.run(ask()) == {jwt("one")}
        assert asyncio.run(source.token_async()) == jwt("one")
        assert len(cognito.requests) == 1

    def test_of_threads_that_get_none(self, cognito: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever waited fails with the renewal; whoever comes later asks anew."""
        begun, go_on = threading.Event(), threading.Event()
        cognito.says(held_back(begun, go_on, refused("NotAuthorizedException")), renewed("one"))
        source, looked = tokens(cognito), threading.Semaphore(0)
        usable = source._usable

        def look(rejected: str | None) -> Any:
            looked.release()
            return usable(rejected)

        monkeypatch.setattr(source, "_usable", look)
        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(source.token) for _ in range(8)]
            assert begun.wait(5)
            for _ in range(8 + 1):  # all have looked whether there is one, and who renews has once more
                assert looked.acquire(timeout=5)
            go_on.set()
            errors = [each.exception(5) for each in asking]
        assert {(type(error), str(error)) for error in errors} == {(TokenError, str(errors[0]))}
        assert len({id(error) for error in errors}) == 8, "threads would write into each other's traceback"
        assert len(cognito.requests) == 1
        assert source.token() == jwt("one")

    def test_of_tasks_that_get_none(self, cognito: World) -> None:
        begun, go_on = threading.Event(), threading.Event()
        cognito.says(held_back(begun, go_on, refused("NotAuthorizedException")), renewed("one"))
        source = tokens(cognito)

        async def ask() -> list[Any]:
            asking = [asyncio.create_task(source.token_async()) for _ in range(20)]
            while not begun.is_set():
                await asyncio.sleep(0.001)
            go_on.set()
            return await asyncio.gather(*asking, return_exceptions=True)

        assert {type(outcome) for outcome in asyncio.run(ask())} == {TokenError}
        assert len(cognito.requests) == 1
        assert asyncio.run(source.token_async()) == jwt("one")

    def test_of_refused_tokens(self, cognito: World) -> None:
        cognito.says(renewed("two"))
        source = tokens(cognito, token=jwt("one"))
        with ThreadPoolExecutor(4) as pool:
            given = list(pool.map(source.token, [jwt("one")] * 4))
        assert given == [jwt("two")] * 4
        assert len(cognito.requests) == 1


def held_back(
    begun: threading.Event, go_on: threading.Event, answer: httpx.Response
) -> Callable[[httpx.Request], httpx.Response]:
    def handle(request: httpx.Request) -> httpx.Response:
        begun.set()
        assert go_on.wait(5)
        return answer

    return handle


class TestFailures:
    def test_a_refusal_is_told_and_not_repeated(self, cognito: World) -> None:
        cognito.says(refused("NotAuthorizedException", "Refresh Token has expired"))
        with pytest.raises(TokenError, match=r"NotAuthorizedException: Refresh Token has expired. Sign in again"):
            tokens(cognito).token()
        assert len(cognito.requests) == 1

    @pytest.mark.parametrize(
        "passing",
        [
            refused("TooManyRequestsException"),
            refused("InternalErrorException", status=500),
            httpx.Response(503, text="x"),
            httpx.Response(429),
            httpx.ConnectError("refused"),
            httpx.ReadTimeout("slow"),
        ],
        ids=str,
    )
    def test_what_passes_is_tried_again(self, cognito: World, passing: httpx.Response | Exception) -> None:
        cognito.says(passing, renewed("one"))
        assert tokens(cognito).token() == jwt("one")

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (refused("TooManyRequestsException"), TooManyRequests),
            (httpx.Response(503), Unavailable),
            (httpx.ReadTimeout("slow"), TransportError),
        ],
        ids=["throttled", "down", "slow"],
    )
    def test_and_told_in_the_end(
        self, cognito: World, answer: httpx.Response | Exception, kind: type[Exception]
    ) -> None:
        cognito.says(answer, answer, answer)
        with pytest.raises(kind):
            tokens(cognito).token()
        assert len(cognito.requests) == 3

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (ok({"ChallengeName": "NEW_PASSWORD_REQUIRED"}), "no reason: status 200"),
            (ok({"AuthenticationResult": {"AccessToken": "x"}}), "has no IdToken"),
            (ok([]), "status 200"),
            (httpx.Response(200, text="<html>"), "status 200"),
            (httpx.Response(404, text="<html>"), "status 404"),
        ],
        ids=["a challenge", "another token", "a list", "a page", "another place"],
    )
    def test_an_answer_without_a_token(self, cognito: World, answer: httpx.Response, said: str) -> None:
        cognito.says(answer)
        with pytest.raises(TokenError, match=said):
            tokens(cognito).token()

    def test_the_api_is_not_called_then(self, surface: Surface, world: World, cognito: World) -> None:
        cognito.says(refused("NotAuthorizedException"))
        with pytest.raises(TokenError):
            surface.run(lambda client: client.user.profile(), token=tokens(cognito))
        assert world.requests == []
        assert world.slept == []
