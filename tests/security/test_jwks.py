"""The key cache: what it fetches and when, which keys it believes, and what it does while the pool does not answer."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Barrier, Event

import pytest
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3.exceptions import ConnectTimeoutError, ReadTimeoutError

from shared.config import ConfigurationError
from shared.errors import Unavailable
from shared.jwks import JwksCache, KeyFetchError, fetch_jwks, jwks_fetcher, parse_jwks
from tests.support.tokens import OMIT, base64url, jwks, signing_key, to_json

HOUR = 3600
DAY = 24 * HOUR
FIRST = signing_key()
SECOND = signing_key("test-key-2")
KID = FIRST.kid


@dataclass
class Pool:
    """A JWKS endpoint and a clock, both in the test's hand; an OSError as the document is an outage."""

    document: bytes | OSError = field(default_factory=lambda: jwks(FIRST.jwk()))
    now: float = 1_800_000_000.0
    fetches: int = 0
    duration: float = 0.0
    really_takes: float = 0.0

    def fetch(self) -> bytes:
        self.fetches += 1
        self.now += self.duration
        time.sleep(self.really_takes)
        if isinstance(self.document, OSError):
            raise self.document
        return self.document

    def fail(self) -> None:
        self.document = KeyFetchError("status 500")

    def cache(self) -> JwksCache:
        return JwksCache(self.fetch, clock=lambda: self.now)


@pytest.fixture
def pool() -> Pool:
    return Pool()


def verifies(cache: JwksCache, kid: str = KID) -> bool:
    key = cache.key(kid)
    return key is not None and key.verify(b"message", FIRST.sign(b"message"))


class TestFetching:
    def test_nothing_is_fetched_before_a_key_is_asked_for(self, pool: Pool) -> None:
        cache = pool.cache()
        assert pool.fetches == 0
        assert verifies(cache)
        assert pool.fetches == 1

    def test_one_fetch_serves_an_hour(self, pool: Pool) -> None:
        cache = pool.cache()
        for elapsed in (0, 0, 1, HOUR - 1):
            pool.now = 1_800_000_000.0 + elapsed
            assert verifies(cache)
        assert pool.fetches == 1
        pool.now = 1_800_000_000.0 + HOUR
        assert verifies(cache)
        assert pool.fetches == 2

    def test_the_key_is_prebuilt_once(self, pool: Pool) -> None:
        cache = pool.cache()
        assert cache.key(KID) is cache.key(KID)

    def test_a_key_is_as_old_as_the_request_for_it(self, pool: Pool) -> None:
        cache = pool.cache()
        pool.duration = 4
        assert verifies(cache)
        pool.now += HOUR - 4
        assert verifies(cache)
        assert pool.fetches == 2

    def test_frozen_hours_count(self, pool: Pool) -> None:
        """A process that Lambda froze for a night does not trust the keys of the evening."""
        cache = pool.cache()
        assert verifies(cache)
        pool.now += 8 * HOUR
        pool.document = jwks(SECOND.jwk())
        assert cache.key(KID) is None

    def test_keys_from_the_future_are_not_fresh(self, pool: Pool) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.now -= 2 * DAY
        assert verifies(cache)
        assert pool.fetches == 2

    def test_a_clock_put_right_ends_stale_service(self, pool: Pool) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.now -= 400 * DAY
        pool.fail()
        with pytest.raises(Unavailable):
            cache.key(KID)

    def test_the_default_clock_is_the_wall_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert JwksCache(Pool().fetch).key(KID) is not None


class TestRotation:
    def test_an_unknown_kid_fetches_the_new_key(self, pool: Pool) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.document = jwks(FIRST.jwk(), SECOND.jwk())
        pool.now += 10
        assert cache.key(SECOND.kid) is not None
        assert pool.fetches == 2

    def test_an_unknown_kid_waits_for_the_cooldown(self, pool: Pool) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.document = jwks(FIRST.jwk(), SECOND.jwk())
        pool.now += 9.9
        assert cache.key(SECOND.kid) is None
        assert pool.fetches == 1

    def test_a_thousand_bogus_kids_make_one_fetch_per_cooldown(self, pool: Pool) -> None:
        cache = pool.cache()
        start = pool.now
        for number in range(1000):
            pool.now = start + number * 0.05
            assert cache.key(f"bogus-{number}") is None
        assert pool.fetches == 1 + int(49.95 // 10)

    def test_bogus_kids_do_not_disturb_the_known_one(self, pool: Pool) -> None:
        cache = pool.cache()
        for number in range(1000):
            assert cache.key(f"bogus-{number}") is None
            assert verifies(cache)
        assert pool.fetches == 1

    def test_the_cooldown_begins_when_a_slow_fetch_ends(self, pool: Pool) -> None:
        cache = pool.cache()
        pool.duration = 30
        assert cache.key("bogus") is None
        pool.now += 9
        assert cache.key("bogus") is None
        assert pool.fetches == 1

    def test_a_withdrawn_key_works_no_longer_than_the_ttl(self, pool: Pool) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.document = jwks(SECOND.jwk())
        pool.now += HOUR - 1
        assert verifies(cache)
        pool.now += 1
        assert cache.key(KID) is None

    def test_a_withdrawn_key_is_gone_at_once_when_anything_refreshes(self, pool: Pool) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.document = jwks(SECOND.jwk())
        pool.now += 10
        assert cache.key(SECOND.kid) is not None
        assert cache.key(KID) is None

    def test_an_empty_set_withdraws_every_key(self, pool: Pool) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.document = jwks()
        pool.now += HOUR
        assert cache.key(KID) is None


class TestOutage:
    def test_cold(self, pool: Pool) -> None:
        pool.fail()
        with pytest.raises(Unavailable) as refusal:
            pool.cache().key(KID)
        assert refusal.value.headers == {"Retry-After": "2"}

    def test_a_cold_outage_is_not_hammered_and_ends_soon(self, pool: Pool) -> None:
        cache = pool.cache()
        pool.fail()
        for _ in range(100):
            with pytest.raises(Unavailable):
                cache.key(KID)
        assert pool.fetches == 1
        pool.document = jwks(FIRST.jwk())
        pool.now += 2
        assert verifies(cache)
        assert pool.fetches == 2

    def test_stale_keys_serve_for_a_day(self, pool: Pool) -> None:
        cache = pool.cache()
        assert verifies(cache)
        start = pool.now
        pool.fail()
        for elapsed in (HOUR, 12 * HOUR, DAY - 1):
            pool.now = start + elapsed
            assert verifies(cache)
        pool.now = start + DAY
        with pytest.raises(Unavailable):
            cache.key(KID)

    def test_stale_service_tries_again_once_per_cooldown(self, pool: Pool) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.fail()
        pool.now += HOUR
        for _ in range(100):
            assert verifies(cache)
        assert pool.fetches == 2
        pool.now += 10
        assert verifies(cache)
        assert pool.fetches == 3

    def test_recovery_after_days(self, pool: Pool) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.fail()
        pool.now += 3 * DAY
        with pytest.raises(Unavailable):
            cache.key(KID)
        pool.document = jwks(FIRST.jwk())
        pool.now += 10
        assert verifies(cache)

    def test_an_unknown_kid_cannot_be_told_from_a_new_key(self, pool: Pool) -> None:
        """401 would sign a user out over our own outage; once the pool answers, the bogus kid is a 401 again."""
        cache = pool.cache()
        assert verifies(cache)
        pool.fail()
        pool.now += 10
        with pytest.raises(Unavailable):
            cache.key("new-or-bogus")
        assert verifies(cache)
        pool.document = jwks(FIRST.jwk())
        pool.now += 10
        assert cache.key("new-or-bogus") is None

    def test_a_thousand_bogus_kids_in_an_outage(self, pool: Pool) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.fail()
        pool.now += 10
        for number in range(1000):
            with pytest.raises(Unavailable):
                cache.key(f"bogus-{number}")
        assert pool.fetches == 2

    @pytest.mark.parametrize(
        "document",
        [b"", b"<html>", b"[]", b"{}", b'{"keys": null}', b'{"keys": {}}', b"\xff\xfe", b'{"keys": []} x', b"[" * 9000],
        ids=repr,
    )
    def test_an_unreadable_document_is_an_outage(self, pool: Pool, document: bytes) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.document = document
        pool.now += HOUR
        assert verifies(cache)
        assert pool.fetches == 2

    @pytest.mark.parametrize("error", [TimeoutError("slow"), ConnectionResetError(), OSError("no route")], ids=repr)
    def test_any_network_error_is_an_outage(self, pool: Pool, error: OSError) -> None:
        pool.document = error
        with pytest.raises(Unavailable):
            pool.cache().key(KID)

    def test_the_log_says_why(self, pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
        pool.fail()
        with caplog.at_level(logging.WARNING), pytest.raises(Unavailable):
            pool.cache().key(KID)
        assert caplog.messages == ["The JWKS could not be fetched: status 500"]

    def test_a_defect_of_the_fetcher_is_not_mistaken_for_an_outage(self) -> None:
        def defective() -> bytes:
            raise KeyError("defect")

        with pytest.raises(KeyError, match="defect"):
            JwksCache(defective).key(KID)


class TestThreads:
    @pytest.fixture
    def pool(self) -> Pool:
        """One that takes long enough for every other thread to arrive meanwhile."""
        return Pool(really_takes=0.1)

    @pytest.fixture
    def threads(self) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(50) as executor:
            yield executor

    def all_at_once(self, threads: ThreadPoolExecutor, call: Callable[[], object]) -> list[object]:
        barrier = Barrier(50)

        def run() -> object:
            barrier.wait()
            return call()

        return [future.result() for future in [threads.submit(run) for _ in range(50)]]

    def test_fifty_cold_calls_make_one_fetch(self, pool: Pool, threads: ThreadPoolExecutor) -> None:
        cache = pool.cache()
        assert self.all_at_once(threads, lambda: verifies(cache)) == [True] * 50
        assert pool.fetches == 1

    def test_fifty_cold_calls_make_one_failing_fetch(self, pool: Pool, threads: ThreadPoolExecutor) -> None:
        cache = pool.cache()
        pool.fail()

        def refused() -> bool:
            with pytest.raises(Unavailable):
                cache.key(KID)
            return True

        assert self.all_at_once(threads, refused) == [True] * 50
        assert pool.fetches == 1

    def test_fifty_calls_after_the_ttl_make_one_fetch(self, pool: Pool, threads: ThreadPoolExecutor) -> None:
        cache = pool.cache()
        assert verifies(cache)
        pool.now += HOUR
        assert self.all_at_once(threads, lambda: verifies(cache)) == [True] * 50
        assert pool.fetches == 2

    def test_known_keys_do_not_wait_for_a_fetch(self, threads: ThreadPoolExecutor) -> None:
        answers = iter([jwks(FIRST.jwk()), jwks(FIRST.jwk(), SECOND.jwk())])
        started, release = Event(), Event()
        release.set()
        now = 0.0

        def fetch() -> bytes:
            started.set()
            assert release.wait(10)
            return next(answers)

        cache = JwksCache(fetch, clock=lambda: now)
        assert verifies(cache)
        now = 10.0
        release.clear()
        started.clear()
        rotated = threads.submit(cache.key, SECOND.kid)
        assert started.wait(10)
        assert verifies(cache)
        assert not rotated.done()
        release.set()
        assert rotated.result(10) is not None


class TestUsableKeys:
    def test_a_pool_has_several(self) -> None:
        assert parse_jwks(jwks(FIRST.jwk(), SECOND.jwk())).keys() == {FIRST.kid, SECOND.kid}

    @pytest.mark.parametrize("member", ["use", "alg"])
    def test_use_and_alg_are_optional(self, member: str) -> None:
        assert parse_jwks(jwks(FIRST.jwk(**{member: OMIT}))).keys() == {KID}

    def test_unknown_members_are_ignored(self) -> None:
        assert parse_jwks(jwks(FIRST.jwk(x5t="abc", issued=1))).keys() == {KID}

    def test_many_certificates_are_not_deep_nesting(self) -> None:
        listed = [FIRST.jwk(kid=f"k{number}", x5c=['not [a] "bracket{']) for number in range(40)]
        assert len(parse_jwks(jwks(*listed))) == 40

    @pytest.mark.parametrize("private", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
    def test_private_members(self, private: str) -> None:
        assert parse_jwks(jwks(FIRST.jwk(**{private: "AQAB"}))) == {}

    @pytest.mark.parametrize(
        "overrides",
        [
            {"kty": "EC"},
            {"kty": "oct"},
            {"kty": OMIT},
            {"kty": ["RSA"]},
            {"use": "enc"},
            {"use": None},
            {"alg": "RS512"},
            {"alg": "HS256"},
            {"alg": None},
            {"kid": OMIT},
            {"kid": ""},
            {"kid": 1},
            {"kid": ["a"]},
            {"kid": "k" * 129},
            {"n": OMIT},
            {"n": None},
            {"n": 65537},
            {"n": ""},
            {"n": "AQAB"},
            {"n": "Ä" * 342},
            {"n": "+" * 342},
            {"n": "A" * 342},
            {"n": base64url(b"\xff" * 256) + "="},
            {"n": base64url(b"\xff" * 256)[:-1] + "_"},
            {"n": base64url(b"\xff" * 255)},
            {"n": base64url(b"\x01" + b"\xff" * 1024)},
            {"n": base64url(b"\xff" * 255 + b"\xfe")},
            {"e": OMIT},
            {"e": "AA"},
            {"e": "AQ"},
            {"e": "Aw"},
            {"e": "AQAB=="},
            {"e": "AQAA"},
            {"e": "AQABAAA"},
            {"e": base64url(b"\x01\x00\x00\x00\x01")},
        ],
        ids=lambda overrides: repr(overrides)[:40],
    )
    def test_malformed_or_weak(self, overrides: dict[str, object]) -> None:
        assert parse_jwks(jwks(FIRST.jwk(**overrides), SECOND.jwk())).keys() == {SECOND.kid}

    @pytest.mark.parametrize("numbers", [{"n": base64url(b"\xff" * 1024)}, {"e": base64url(b"\xff" * 4)}])
    def test_the_largest_numbers(self, numbers: dict[str, str]) -> None:
        assert parse_jwks(jwks(FIRST.jwk(**numbers))).keys() == {KID}

    def test_1024_bits_are_too_few(self) -> None:
        assert parse_jwks(jwks(signing_key("weak", 1024).jwk())) == {}

    @pytest.mark.parametrize("entry", [None, 1, "key", [], [[]], True])
    def test_entries_that_are_no_keys(self, entry: object) -> None:
        assert parse_jwks(to_json({"keys": [entry, FIRST.jwk()]})).keys() == {KID}

    def test_of_two_with_one_kid_the_first_usable_counts(self) -> None:
        keys = parse_jwks(jwks(FIRST.jwk(use="enc"), FIRST.jwk(), SECOND.jwk(kid=KID)))
        assert keys.keys() == {KID}
        assert keys[KID].verify(b"message", FIRST.sign(b"message"))

    def test_a_key_with_a_duplicate_member_spoils_the_document(self) -> None:
        with pytest.raises(ValueError, match="duplicate member"):
            parse_jwks(b'{"keys": [], "keys": []}')

    @settings(deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from(["keys", "kty", "kid", "n", "e"]) | st.text(), inner)
            ),
            max_leaves=12,
        )
    )
    def test_no_document_crashes(self, keys: object) -> None:
        """Only ValueError leaves the parser, whatever JSON (and near-JSON: NaN) the endpoint sends."""
        with suppress(ValueError):
            assert parse_jwks(to_json({"keys": keys})) == {}


class TestUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "https://cognito-idp.eu-west-1.amazonaws.com/pool/.well-known/jwks.json",
            "http://localhost:4566/pool/.well-known/jwks.json",
            "http://127.0.0.1:1/x",
            "http://[::1]:1/x",
        ],
    )
    def test_https_or_loopback(self, url: str) -> None:
        assert callable(jwks_fetcher(url))

    @pytest.mark.parametrize(
        "url",
        [
            "http://cognito-idp.eu-west-1.amazonaws.com/jwks.json",
            "http://localhost@evil.example/jwks.json",
            "http://localhost.evil.example/jwks.json",
            "http://10.0.0.1/jwks.json",
            "http:///jwks.json",
            "https:///jwks.json",
            "http://[::1/jwks.json",
            "file:///etc/jwks.json",
            "file://localhost/etc/jwks.json",
            "cognito-idp.eu-west-1.amazonaws.com",
            "",
        ],
    )
    def test_anything_else_is_a_named_setting_at_fault(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match="COGNITO_JWKS_URL"):
            jwks_fetcher(url)

    @pytest.mark.parametrize("host", ["10.88.0.1", "172.17.0.1", "192.168.1.2", "[fd00::1]", "host.docker.internal"])
    def test_a_container_of_sam_local_sees_the_machine_at_a_private_address(self, host: str) -> None:
        assert callable(jwks_fetcher(f"http://{host}:3011/jwks.json", in_sam_local=True))
        with pytest.raises(ConfigurationError):
            jwks_fetcher(f"http://{host}:3011/jwks.json")

    @pytest.mark.parametrize(
        "host",
        [
            "8.8.8.8",
            "169.254.169.254",
            "203.0.113.1",
            "cognito-idp.eu-west-1.amazonaws.com",
            "docker.internal",
            "[2600::1]",
        ],
    )
    def test_and_trusts_nobody_further_away(self, host: str) -> None:
        with pytest.raises(ConfigurationError):
            jwks_fetcher(f"http://{host}/jwks.json", in_sam_local=True)


@dataclass
class Response:
    """As much of urllib3's response as the fetcher uses: one piece per read."""

    pieces: list[bytes]
    status: int = 200
    seconds_per_piece: float = 0.0
    closed: bool = False
    clock: float = 0.0

    def read1(self, amt: int, decode_content: bool) -> bytes:
        assert amt > 0
        assert decode_content is False
        self.clock += self.seconds_per_piece
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None:
        self.closed = True


class TestFetcher:
    """The request as made; tests/integration/test_jwks_fetch.py makes it for real."""

    @pytest.fixture
    def requests(self) -> list[dict[str, object]]:
        return []

    @pytest.fixture
    def serve(
        self, monkeypatch: pytest.MonkeyPatch, requests: list[dict[str, object]]
    ) -> Callable[[Response | Exception], None]:
        def serve(answer: Response | Exception) -> None:
            class FakePool:
                def __init__(self, **options: object) -> None:
                    requests.append(options)

                def __enter__(self) -> "FakePool":
                    return self

                def __exit__(self, *_: object) -> None:
                    pass

                def request(self, method: str, url: str, **options: object) -> Response:
                    requests.append({"method": method, "url": url, **options})
                    if isinstance(answer, Exception):
                        raise answer
                    monkeypatch.setattr("shared.jwks.time.monotonic", lambda: answer.clock)
                    return answer

            monkeypatch.setattr(urllib3, "PoolManager", FakePool)

        return serve

    def test_the_pieces_make_the_document(self, serve: Callable[[Response], None]) -> None:
        response = Response([b'{"ke', b'ys"', b":[]}"])
        serve(response)
        assert fetch_jwks("https://pool.example/jwks") == b'{"keys":[]}'
        assert response.closed

    def test_timeouts_and_no_second_request(
        self, serve: Callable[[Response], None], requests: list[dict[str, object]]
    ) -> None:
        serve(Response([b"{}"]))
        jwks_fetcher("https://pool.example/jwks")()
        options, request = requests
        timeout = options["timeout"]
        assert isinstance(timeout, urllib3.Timeout)
        assert (timeout.connect_timeout, timeout.read_timeout) == (1.5, 3.0)
        assert options["retries"] is False
        assert request["redirect"] is False
        assert (request["method"], request["url"]) == ("GET", "https://pool.example/jwks")

    @pytest.mark.parametrize("status", [204, 301, 302, 304, 404, 500])
    def test_only_200_is_an_answer(self, serve: Callable[[Response], None], status: int) -> None:
        response = Response([b'{"keys":[]}'], status=status)
        serve(response)
        with pytest.raises(KeyFetchError, match=str(status)):
            fetch_jwks("https://pool.example/jwks")
        assert response.closed

    def test_the_largest_document(self, serve: Callable[[Response], None]) -> None:
        serve(Response([b"x" * 2**17, b"x" * 2**17]))
        assert len(fetch_jwks("https://pool.example/jwks")) == 2**18

    def test_oversize(self, serve: Callable[[Response], None]) -> None:
        serve(Response([b"x" * 2**18, b"x"]))
        with pytest.raises(KeyFetchError, match="more than"):
            fetch_jwks("https://pool.example/jwks")

    def test_an_endpoint_that_drips(self, serve: Callable[[Response], None]) -> None:
        serve(Response([b"x"] * 100, seconds_per_piece=1.0))
        with pytest.raises(KeyFetchError, match="too slow"):
            fetch_jwks("https://pool.example/jwks")

    @pytest.mark.parametrize(
        "error",
        [
            ConnectTimeoutError(),
            ReadTimeoutError(None, "", ""),  # type: ignore[arg-type]
            urllib3.exceptions.ProtocolError(),
            urllib3.exceptions.SSLError(),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_errors_of_urllib3_are_translated(self, serve: Callable[[Exception], None], error: Exception) -> None:
        serve(error)
        with pytest.raises(KeyFetchError, match=type(error).__name__) as refusal:
            fetch_jwks("https://pool.example/jwks")
        assert refusal.value.__cause__ is error
