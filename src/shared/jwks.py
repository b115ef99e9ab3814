"""The user pool's public keys: fetched when first needed, kept for an hour, never trusted blindly (RFC 7517).

The two strict readers at the top serve auth.py too: a JWK Set and a token are made of the same base64url and JSON.
"""

import ipaddress
import json
import logging
import re
import time
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard
from urllib.parse import urlsplit

# The very class that jose.jwk offers as RSAKey. Named by its backend so that a missing `cryptography` stops the start,
# instead of a quiet change to python-jose's pure-Python RSA.
from jose.backends.cryptography_backend import CryptographyRSAKey as RSAKey

from .config import ConfigurationError
from .errors import Unavailable

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

TTL_SECONDS = 3600
MAX_STALE_SECONDS = 24 * 3600
COOLDOWN_SECONDS = 10
COLD_COOLDOWN_SECONDS = 2
CONNECT_TIMEOUT_SECONDS = 1.5
READ_TIMEOUT_SECONDS = 3.0
MAX_RESPONSE_BYTES = 256 * 1024
MAX_KID_LENGTH = 128
MAX_JSON_DEPTH = 32

# 2048 is NIST's floor (SP 800-131A) and RFC 7518's; the upper bounds keep one verification cheap (FIPS 186-5 for `e`).
_MODULUS_BITS = range(2048, 8192 + 1)
_PUBLIC_EXPONENTS = range(65537, 2**32)
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

# RFC 1918, and RFC 4193.
_CONTAINER_NETWORKS = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)

# What only the standard alphabet has becomes a character that neither has, so that it cannot re-encode to itself.
_TO_STANDARD_ALPHABET = bytes.maketrans(b"-_+/=", b"+/!!!")
# The closing quote is optional so that an unterminated string is passed over once: otherwise the time is quadratic.
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(r"[][{}]")

_log = logging.getLogger(__name__)


class KeyFetchError(OSError):
    """The JWKS endpoint did not answer, or not with a document that can be read; the message says how."""


class VerificationKey(Protocol):
    """What a signature check needs of python-jose's RSAKey."""

    def verify(self, msg: bytes, sig: bytes, /) -> bool: ...


def decode_base64url(encoded: bytes) -> bytes:
    """The octets of unpadded base64url (RFC 7515, section 2). Raises ValueError unless they encode to the same text.

    Python's decoder skips foreign characters and ignores trailing bits; re-encoding shows both.
    """
    standard = encoded.translate(_TO_STANDARD_ALPHABET) + b"=" * (-len(encoded) % 4)
    octets = a2b_base64(standard)
    if b2a_base64(octets, newline=False) != standard:
        raise ValueError("not canonical base64url")
    return octets


def parse_object(octets: bytes) -> dict[str, Any]:
    """One strict JSON object in UTF-8 (RFC 8259, RFC 7493): no duplicate member, NaN, lone surrogate or deep nesting.

    Raises ValueError, and nothing else, for anything that is not one.
    """
    text = octets.decode("utf-8")
    _check_depth(text)
    value = _STRICT_JSON.decode(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # UnicodeEncodeError, a ValueError, on a lone surrogate
    return value


def _check_depth(text: str) -> None:
    """Refuses what could exhaust the parser's recursion, before the parser sees it."""
    if text.count("{") + text.count("[") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.findall(_JSON_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_JSON_DEPTH:
            raise ValueError("nested too deeply")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_STRICT_JSON = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)


def parse_jwks(document: bytes) -> dict[str, VerificationKey]:
    """The usable keys of a JWK Set by `kid` (RFC 7517, section 5); others are passed over, as the RFC asks.

    Of two usable keys with one `kid` the first counts. An empty set is an answer: every key was withdrawn.
    Raises ValueError if the document is no JWK Set.
    """
    listed = parse_object(document).get("keys")
    if not isinstance(listed, list):
        raise ValueError("not a JWK Set")
    keys: dict[str, VerificationKey] = {}
    for jwk in listed:
        if _is_signing_jwk(jwk) and jwk["kid"] not in keys and (key := _rsa_key(jwk)) is not None:
            keys[jwk["kid"]] = key
    return keys


def is_kid(value: object) -> TypeGuard[str]:
    """Whether `value` can name a key: a string of 1 to 128 characters (RFC 7515, section 4.1.4, sets no length)."""
    return isinstance(value, str) and 0 < len(value) <= MAX_KID_LENGTH


def _is_signing_jwk(jwk: object) -> bool:
    """A public RSA key meant for RS256 signatures. One that publishes private members is compromised."""
    return (
        isinstance(jwk, dict)
        and is_kid(jwk.get("kid"))
        and jwk.get("kty") == "RSA"
        and jwk.get("use", "sig") == "sig"
        and jwk.get("alg", "RS256") == "RS256"
        and _PRIVATE_MEMBERS.isdisjoint(jwk)
    )


def _rsa_key(jwk: Mapping[str, Any]) -> VerificationKey | None:
    """The prebuilt key of RFC 7518, section 6.3.1, or None if its numbers are malformed, weak or oversized."""
    try:
        modulus, exponent = _unsigned(jwk.get("n")), _unsigned(jwk.get("e"))
        if modulus.bit_length() not in _MODULUS_BITS or modulus % 2 == 0 or exponent not in _PUBLIC_EXPONENTS:
            return None
        return RSAKey({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]}, "RS256")
    except ValueError:
        return None


def _unsigned(encoded: object) -> int:
    if not isinstance(encoded, str):
        raise ValueError("not a Base64urlUInt")
    return int.from_bytes(decode_base64url(encoded.encode("ascii")), "big")


@dataclass(frozen=True, slots=True)
class _KeySet:
    keys: Mapping[str, VerificationKey]
    fetched_at: float

    def is_fresh(self, now: float) -> bool:
        return 0 <= now - self.fetched_at < TTL_SECONDS

    def is_servable(self, now: float) -> bool:
        """Both ways, so that a clock that was wrong and then put right cannot keep a key set alive for years."""
        return abs(now - self.fetched_at) < MAX_STALE_SECONDS


class JwksCache:
    """The keys of one pool, with at most one fetch in flight and a pause between fetches.

    `fetch` returns the JWKS document or raises OSError. Ages are wall-clock time: Lambda freezes a process between
    requests (and SnapStart restores it elsewhere), and the monotonic clock need not count the frozen hours, which would
    keep a withdrawn key alive. A wall clock can step back; a set from the future is therefore not fresh.
    """

    def __init__(self, fetch: Callable[[], bytes], *, clock: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = Lock()
        self._held: _KeySet | None = None
        self._attempted_at: float | None = None
        self._failed = False

    def key(self, kid: str) -> VerificationKey | None:
        """The key named `kid`, or None if the pool has none of that name.

        Raises Unavailable when that cannot be told: no keys could be had for a day, or the name is unknown and the
        last fetch failed, in which case the key may be a new one and its holder must not be told to sign in again.
        """
        held = self._held
        if held is not None and kid in held.keys and held.is_fresh(self._clock()):
            return held.keys[kid]
        with self._lock:
            if self._may_fetch():
                self._refresh()
            return self._held_key(kid)

    def _may_fetch(self) -> bool:
        """Not within the pause after an attempt: so neither does a thread that waited while another fetched."""
        pause = COLD_COOLDOWN_SECONDS if self._held is None else COOLDOWN_SECONDS
        return self._attempted_at is None or not 0 <= self._clock() - self._attempted_at < pause

    def _refresh(self) -> None:
        """Replaces the keys; on failure keeps the old ones. The pause begins when the attempt ends, however slow."""
        started_at = self._clock()
        try:
            self._held = _KeySet(parse_jwks(self._fetch()), started_at)
            self._failed = False
        except (OSError, ValueError) as exc:
            self._failed = True
            _log.warning("The JWKS could not be fetched: %s", exc)
        finally:
            self._attempted_at = self._clock()

    def _held_key(self, kid: str) -> VerificationKey | None:
        held = self._held
        if held is None or not held.is_servable(self._clock()):
            raise _keys_unavailable()
        key = held.keys.get(kid)
        if key is None and self._failed:
            raise _keys_unavailable()
        return key


def _keys_unavailable() -> Unavailable:
    return Unavailable("Bearer tokens cannot be checked at the moment.", retry_after=COLD_COOLDOWN_SECONDS)


def jwks_fetcher(url: str, *, in_sam_local: bool = False) -> Callable[[], bytes]:
    """A function that fetches `url`. Raises ConfigurationError unless it is https, or http on this very machine.

    A container of `sam local` sees this machine at a private address, and cannot tell it from others there.
    """
    if not _is_trustworthy(url, in_sam_local):
        raise ConfigurationError(
            f"COGNITO_JWKS_URL is {url!r}: it must be an https URL (http for this very machine only)."
        )
    return partial(fetch_jwks, url)


def _is_trustworthy(url: str, in_sam_local: bool) -> bool:
    """Keys that came over a plain network are anybody's keys."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = parts.hostname
    if host is None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_near(host, in_sam_local))


def _is_near(host: str, in_sam_local: bool) -> bool:
    """This machine; for a container on it, a machine of the networks that containers have, as this one is."""
    if host == "localhost" or (in_sam_local and host == "host.docker.internal"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or (in_sam_local and any(address in network for network in _CONTAINER_NETWORKS))


def fetch_jwks(url: str) -> bytes:
    """The document at `url`: one request, no redirect, no retry, a bounded answer. Raises KeyFetchError.

    A connection of its own each time: the next fetch is an hour away, and a kept one would not survive a freeze.
    """
    import urllib3  # here, so that a warm start or a request without a token never pays for it

    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS)
    try:
        with urllib3.PoolManager(num_pools=1, timeout=timeout, retries=False) as pool:
            response = pool.request(
                "GET", url, redirect=False, preload_content=False, headers={"Accept": "application/json"}
            )
            try:
                return _read_document(response)
            finally:
                response.close()
    except urllib3.exceptions.HTTPError as exc:
        raise KeyFetchError(type(exc).__name__) from exc


def _read_document(response: "BaseHTTPResponse") -> bytes:
    """Reads piece by piece: the socket's timeout bounds each silence, the deadline bounds an endpoint that drips.

    The content is never decompressed, as compression was not asked for.
    """
    if response.status != 200:
        raise KeyFetchError(f"status {response.status}")
    document = b""
    deadline = time.monotonic() + READ_TIMEOUT_SECONDS
    while piece := response.read1(MAX_RESPONSE_BYTES, decode_content=False):
        document += piece
        if len(document) > MAX_RESPONSE_BYTES:
            raise KeyFetchError(f"more than {MAX_RESPONSE_BYTES} bytes")
        if time.monotonic() > deadline:
            raise KeyFetchError("too slow")
    return document
