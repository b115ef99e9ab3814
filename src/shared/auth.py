"""A bearer token becomes a Caller, or is refused (RFC 6750, RFC 7515, RFC 7519, and Cognito's claims).

python-jose does the RSA arithmetic of one prebuilt key and nothing else; every other check is here, in a fixed order,
and nothing a token claims is looked at before its signature holds. Each refusal has a short, stable reason for the log:
authorization_count, authorization_scheme, ascii, length, segments, base64url, json, alg, kid, header_unsupported,
unknown_kid, signature, exp, expired, iat, iat_future, nbf, nbf_future, iss, token_use, client, sub, groups.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple, Protocol

from .config import TokenUse, get_settings
from .errors import Forbidden, Unauthenticated
from .jwks import JwksCache, VerificationKey, decode_base64url, is_kid, jwks_fetcher, parse_object
from .process import per_process

MAX_TOKEN_LENGTH = 8192
MAX_LEEWAY_SECONDS = 60
MAX_SUB_LENGTH = 128
MAX_NAME_LENGTH = 200
MAX_EMAIL_LENGTH = 254  # RFC 5321, section 4.5.3.1.3, less its angle brackets

# Parameters that change what is signed, or say where to find a key. No Cognito token has one (RFC 7515, section 4.1).
_UNSUPPORTED_PARAMETERS = frozenset({"crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc"})
_CLIENT_CLAIM: Mapping[TokenUse, str] = {"id": "aud", "access": "client_id"}
_LAST_NUMERIC_DATE = 253_402_300_799  # 9999-12-31: beyond it lie infinity and integers that overflow arithmetic


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request, as the token's issuer vouches. Name and email stay out of the repr, hence out of logs."""

    user_id: str
    groups: frozenset[str] = frozenset()
    email: str | None = field(default=None, repr=False)
    name: str | None = field(default=None, repr=False)

    def require_group(self, group: str) -> None:
        """Raises Forbidden unless the caller is in exactly this group."""
        if group not in self.groups:
            raise Forbidden(f"Only members of the group {group} may do this.")


class KeySource(Protocol):
    """Where a verifier looks a key up by its `kid`; None for an unknown one. May raise Unavailable."""

    def key(self, kid: str) -> VerificationKey | None: ...


class _Jws(NamedTuple):
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signing_input: bytes
    signature: bytes


class TokenVerifier:
    """Accepts the tokens of one issuer, one use and a set of app clients. Raises ValueError for unusable limits.

    `clock` tells the seconds since the epoch; `leeway` is how far the issuer's clock may differ from it.
    """

    def __init__(
        self,
        *,
        issuer: str,
        client_ids: frozenset[str],
        token_use: TokenUse,
        keys: KeySource,
        clock: Callable[[], float] = time.time,
        leeway: float = 30,
    ) -> None:
        if not 0 <= leeway <= MAX_LEEWAY_SECONDS:
            raise ValueError(f"leeway must be from 0 to {MAX_LEEWAY_SECONDS} seconds")
        self._issuer = issuer
        self._client_ids = client_ids
        self._token_use = token_use
        self._client_claim = _CLIENT_CLAIM[token_use]
        self._keys = keys
        self._clock = clock
        self._leeway = leeway

    def verify(self, token: str) -> Caller:
        """The caller of a valid token (RFC 7519, section 7.2).

        Raises Unauthenticated for every other string, and Unavailable when the pool's keys cannot be had.
        """
        jws = _parse_jws(token)
        key = self._keys.key(_key_id(jws.header))
        if key is None:
            raise Unauthenticated("unknown_kid")
        if not key.verify(jws.signing_input, jws.signature):
            raise Unauthenticated("signature")
        self._check_times(jws.claims)
        self._check_origin(jws.claims)
        return _caller(jws.claims)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        """RFC 7519, sections 4.1.4 to 4.1.6; `exp` and `iat` are in every Cognito token, so a lack is a fault."""
        now = self._clock()
        if now >= _numeric_date(claims, "exp") + self._leeway:
            raise Unauthenticated("expired")
        if _numeric_date(claims, "iat") > now + self._leeway:
            raise Unauthenticated("iat_future")
        if "nbf" in claims and _numeric_date(claims, "nbf") > now + self._leeway:
            raise Unauthenticated("nbf_future")

    def _check_origin(self, claims: Mapping[str, Any]) -> None:
        """The pool, the use and the app client, each an exact string: Cognito never issues a list of audiences."""
        if claims.get("iss") != self._issuer:
            raise Unauthenticated("iss")
        if claims.get("token_use") != self._token_use:
            raise Unauthenticated("token_use")
        client = claims.get(self._client_claim)
        if not isinstance(client, str) or client not in self._client_ids:
            raise Unauthenticated("client")


def authenticate(authorization: Sequence[str]) -> Caller:
    """The caller named by the values of the request's Authorization header: all of them, so that two are noticed.

    Raises Unauthenticated unless there is exactly one and it holds a valid token (RFC 6750, section 2.1); Unavailable
    when the keys cannot be had; ConfigurationError when the environment does not name the pool.
    """
    if len(authorization) != 1:
        raise Unauthenticated("authorization_count")
    return get_verifier().verify(_bearer_token(authorization[0]))


def get_verifier() -> TokenVerifier:
    """The process's verifier, built from the settings at the first call. Raises ConfigurationError.

    Under a lock, as two first calls would each build one, with two key caches and two fetches.
    """
    with _verifier_lock:
        return _build_verifier()


_verifier_lock = Lock()


@per_process
def _build_verifier() -> TokenVerifier:
    settings = get_settings()
    return TokenVerifier(
        issuer=settings.issuer,
        client_ids=settings.client_ids,
        token_use=settings.token_use,
        keys=JwksCache(jwks_fetcher(settings.jwks_url, in_sam_local=settings.in_sam_local)),
    )


def _bearer_token(value: object) -> str:
    """What follows `Bearer` and one space; the scheme's case does not matter (RFC 9110, section 11.1)."""
    if not isinstance(value, str) or value[:7].lower() != "bearer ":
        raise Unauthenticated("authorization_scheme")
    return value[7:]


def _parse_jws(token: object) -> _Jws:
    """The parts of a JWS in compact serialization (RFC 7515, sections 3.1 and 7.1)."""
    octets = _ascii_octets(token)
    segments = octets.split(b".")
    if len(segments) != 3:
        raise Unauthenticated("segments")
    header, payload, signature = segments
    try:
        decoded = decode_base64url(payload), decode_base64url(signature)
    except ValueError:
        raise Unauthenticated("base64url") from None
    return _Jws(_parse_header(header), _parse_json(decoded[0]), octets[: -len(signature) - 1], decoded[1])


def _ascii_octets(token: object) -> bytes:
    if not isinstance(token, str) or not token.isascii():
        raise Unauthenticated("ascii")
    if len(token) > MAX_TOKEN_LENGTH:
        raise Unauthenticated("length")
    return token.encode("ascii")


@lru_cache(maxsize=16)
def _parse_header(segment: bytes) -> Mapping[str, Any]:
    """Remembered, as all tokens that a key signed share one header: parsing it costs 3 of 40 microseconds."""
    try:
        octets = decode_base64url(segment)
    except ValueError:
        raise Unauthenticated("base64url") from None
    return _parse_json(octets)


def _parse_json(octets: bytes) -> Mapping[str, Any]:
    try:
        return parse_object(octets)
    except ValueError:
        raise Unauthenticated("json") from None


def _key_id(header: Mapping[str, Any]) -> str:
    """The `kid` of a header that asks for RS256 and for nothing that is not done here (RFC 7515, section 5.2)."""
    if header.get("alg") != "RS256":
        raise Unauthenticated("alg")
    kid = header.get("kid")
    if not is_kid(kid):
        raise Unauthenticated("kid")
    if not _UNSUPPORTED_PARAMETERS.isdisjoint(header):
        raise Unauthenticated("header_unsupported")
    return kid


def _numeric_date(claims: Mapping[str, Any], claim: str) -> float:
    """Seconds since the epoch (RFC 7519, section 2), where true is not 1 and 1e400 is not a date."""
    value = claims.get(claim)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_NUMERIC_DATE:
        raise Unauthenticated(claim)
    return value


def _caller(claims: Mapping[str, Any]) -> Caller:
    sub = claims.get("sub")
    if not isinstance(sub, str) or not 0 < len(sub) <= MAX_SUB_LENGTH:
        raise Unauthenticated("sub")
    return Caller(sub, _groups(claims), _text(claims, MAX_EMAIL_LENGTH, "email"), _name(claims))


def _groups(claims: Mapping[str, Any]) -> frozenset[str]:
    """`cognito:groups` is left out of the token of a user who is in none."""
    groups = claims.get("cognito:groups", [])
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise Unauthenticated("groups")
    return frozenset(groups)


def _name(claims: Mapping[str, Any]) -> str | None:
    """Id tokens call the user name `cognito:username`, access tokens `username`."""
    return _text(claims, MAX_NAME_LENGTH, "name", "cognito:username", "username")


def _text(claims: Mapping[str, Any], limit: int, *names: str) -> str | None:
    """The first of the named claims that is text of a sane length: a display value, never a reason to refuse."""
    for name in names:
        text = claims.get(name)
        if isinstance(text, str) and len(text) <= limit and text.strip():
            return text
    return None
