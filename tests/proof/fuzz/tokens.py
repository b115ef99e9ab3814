"""Bearer tokens: the Authorization header as it comes, and what is behind a signature that holds.

The signature is a stand-in, so that the engine can sign what it makes up, and RSA takes no time. That of the product is
python-jose's; `tests/security/test_tokens.py` has the attacks on it.
"""

import base64
import json
from collections.abc import Sequence
from random import Random
from typing import Any, Literal

from shared.auth import TokenVerifier, _bearer_token, authenticate
from shared.errors import Unauthenticated
from shared.jwks import VerificationKey

from . import json_mutation
from .target import Raw, Target
from .token_rules import CLIENT, ISSUER, KID, LEEWAY, NOW, identity_of_values, signed

_OF_VALUES = ("authorization_count", "authorization_scheme", "ascii", "length", "segments", "base64url", "signature")
_OF_HEADERS = ("json", "alg", "kid", "header_unsupported", "unknown_kid")
_OF_CLAIMS = ["exp", "expired", "iat", "iat_future", "nbf", "nbf_future", "iss", "token_use", "client", "sub", "groups"]
_USES: tuple[Literal["id", "access"], ...] = ("id", "access")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SEPARATOR = b"\0"
"""Between the values of several Authorization headers."""


class _Key:
    def verify(self, msg: bytes, sig: bytes, /) -> bool:
        return sig == signed(msg)


class _Keys:
    def key(self, kid: str) -> VerificationKey | None:
        return _Key() if kid == KID else None


_VERIFIERS = {
    use: TokenVerifier(
        issuer=ISSUER,
        client_ids=frozenset({CLIENT}),
        token_use=use,
        keys=_Keys(),
        clock=lambda: NOW,
        leeway=LEEWAY,
    )
    for use in _USES
}


def check_values(data: bytes) -> str:
    """An input is one Authorization value, or several."""
    values = data.decode("utf-8", "surrogateescape").split("\0")
    return _checked(values, "id")


def check_claims(data: bytes) -> str:
    """An input is a header and claims, a line each, under a signature that holds; what says `access` is read so."""
    header, _, claims = data.partition(b"\n")
    return _checked([f"Bearer {_token(header, claims).decode()}"], "access" if b'"access"' in claims else "id")


def _checked(values: list[str], use: Literal["id", "access"]) -> str:
    expected = identity_of_values(values, use)
    try:
        if len(values) != 1:
            authenticate(values)
        caller = _VERIFIERS[use].verify(_bearer_token(values[0]))
    except Unauthenticated as error:
        if expected is not None:
            raise AssertionError(f"a valid token is refused for its {error.reason}") from error
        return f"refused: {error.reason}"
    assert (caller.user_id, caller.groups, caller.email, caller.name) == expected, "what was accepted is not allowed"
    return "accepted"


def _token(header: bytes, claims: bytes) -> bytes:
    signing_input = _encoded(header) + b"." + _encoded(claims)
    return signing_input + b"." + _encoded(signed(signing_input))


def _encoded(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


_HEADER: dict[str, Any] = {"kid": KID, "alg": "RS256"}
_CLAIMS: dict[str, Any] = {
    "sub": "alice",
    "iss": ISSUER,
    "token_use": "id",
    "aud": CLIENT,
    "iat": 1_699_999_999,
    "exp": 1_700_003_600,
}
_NAMES = (*_CLAIMS, "nbf", "client_id", "cognito:groups", "email", "name", "cognito:username", "username", "a")
_VALUES = (
    *map(json.dumps, [*_CLAIMS.values(), "access", ["a"], [1], "k9-admins", "x" * 129, "x" * 255]),
    "1700000030",
    "1700000031",
    "1699999970",
    "1699999970.5",
    "true",
    "[" * 31 + "]" * 31,
    "[" * 32 + "]" * 32,
)
_HEADER_NAMES = (*_HEADER, "crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc", "typ")
_HEADER_VALUES = tuple(map(json.dumps, [*_HEADER.values(), "none", "HS256", "x" * 129, ["b64"], "DEF"]))


def _text(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _claims_seeds() -> list[bytes]:
    good, header = _text(_CLAIMS), _text(_HEADER)
    access = {name: value for name, value in _CLAIMS.items() if name != "aud"} | {
        "token_use": "access",
        "client_id": CLIENT,
        "username": "alice",
    }
    full = {**_CLAIMS, "nbf": 1_700_000_000, "cognito:groups": ["k9-admins"], "email": "a@example.com", "name": "A"}
    odd_claims: list[dict[str, Any]] = [
        *({name: value for name, value in _CLAIMS.items() if name != gone} for gone in ("exp", "iat", "iss", "sub")),
        {**_CLAIMS, "exp": 1_699_999_970},
        {**_CLAIMS, "iat": 1_700_000_031},
        {**_CLAIMS, "nbf": 1_700_000_031},
        {**_CLAIMS, "nbf": True},
        {**_CLAIMS, "aud": [CLIENT]},
        {**_CLAIMS, "token_use": "refresh"},
        {**_CLAIMS, "cognito:groups": "k9-admins"},
        {**_CLAIMS, "a": [[[[{"b": [1.5, None, True]}]]]]},
        full,
        access,
    ]
    odd_headers = [{"alg": "none"}, {"alg": "RS256"}, {**_HEADER, "zip": "DEF"}, {**_HEADER, "kid": "other"}]
    deep = b'{"a":' + b"[" * 31 + b"]" * 31 + b"}"
    return [
        header + b"\n" + good,
        *(header + b"\n" + _text(claims) for claims in odd_claims),
        *(_text(odd) + b"\n" + good for odd in odd_headers),
        header + b"\n" + deep,
        header + b'\n{"exp":' + b"1" * 4400 + b"}",
        header + b'\n{"sub":"a","sub":"b"}',
    ]


def _value_seeds() -> list[bytes]:
    good = b"Bearer " + _token(_text(_HEADER), _text(_CLAIMS))
    signing_input = b"Bearer " + b".".join(good[7:].split(b".")[:2])
    return [
        good,
        b"bEARER " + good[7:],
        b"Basic YTpi",
        good + _SEPARATOR + good,
        signing_input,
        good + b"=",
        signing_input + b".AAAA",
        b"Bearer \xc3\xa9.e30.AA",
        b"Bearer " + b"e30." * 2100,
        b"Bearer bnVsbA.bnVsbA.AA",
        *(b"Bearer " + _token(header, b"{}") for header in (b"{}", b'{"alg":"RS256"}')),
        b"Bearer " + _token(b'{"alg":"RS256","kid":"other"}', b"{}"),
        b"Bearer " + _token(_text({**_HEADER, "jku": "https://example.com"}), b"{}"),
    ]


def _mutate_claims(data: bytes, source: Random, raw: Raw, longest: int) -> bytes:
    header, _, claims = data.partition(b"\n")
    parts = _mutate_parts([header, claims], source, raw, longest)
    return parts[0].replace(b"\n", b" ") + b"\n" + parts[1]


def _mutate_values(data: bytes, source: Random, raw: Raw, longest: int) -> bytes:
    """Mostly one of the two JSON parts, signed anew; else the text, or what stands around it."""
    segments = data[7:].split(b".")
    if source.random() < 0.1:
        return raw(data, longest)
    if len(segments) != 3:
        return source.choice(_GOOD_VALUES)
    if source.random() < 0.2:
        place = source.randrange(3)
        segments[place] = _loosened(segments[place], source)
        return data[:7] + b".".join(segments)
    token = _token(*_mutate_parts([_decoded(segment) for segment in segments[:2]], source, raw, longest))
    if source.random() < 0.2:
        place = source.randrange(len(token))
        token = token[:place] + source.choice((b"=", b"+", b"-", b"_", b"A", b"\n", b"")) + token[place + 1 :]
    return data[:7] + token


def _loosened(segment: bytes, source: Random) -> bytes:
    """Base64url as a lenient decoder takes it: padded, with junk inside, or with other bits at its end that count for
    nothing; or cut short."""
    action = source.randrange(4)
    if action == 0:
        return segment + source.choice((b"=", b"==", b"\n", b" "))
    if action == 1:
        place = source.randint(0, len(segment))
        return segment[:place] + source.choice((b"!!!!", b"\n", b"+", b"/", b"====")) + segment[place:]
    if action == 2 and segment[-1:] in _ALPHABET:
        return segment[:-1] + _ALPHABET[_ALPHABET.index(segment[-1:]) ^ 1 :][:1]
    return segment[:-1]


def _mutate_parts(parts: list[bytes], source: Random, raw: Raw, longest: int) -> list[bytes]:
    place = 1 if source.random() < 0.7 else 0
    parts[place] = json_mutation.mutate(parts[place], source, raw, longest, _VOCABULARIES[place])
    return parts


def _decoded(segment: bytes) -> bytes:
    try:
        return base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except ValueError:
        return segment


def _labels(*reasons: str) -> tuple[str, ...]:
    return (*(f"refused: {reason}" for reason in reasons), "accepted")


_GOOD_VALUES = _value_seeds()[:1]
_VOCABULARIES = (
    json_mutation.Vocabulary(_HEADER_NAMES, _HEADER_VALUES, [_text(_HEADER)]),
    json_mutation.Vocabulary(_NAMES, _VALUES, [_text(_CLAIMS)]),
)
_OF_BOTH: Sequence[str] = _labels(*_OF_HEADERS, *_OF_CLAIMS)

VALUES = Target(
    "authorization",
    _labels(*_OF_VALUES, *_OF_HEADERS, *_OF_CLAIMS),
    check_values,
    _mutate_values,
    lambda: [*_value_seeds(), *(b"Bearer " + _token(*seed.split(b"\n", 1)) for seed in _claims_seeds())],
    runs=1_500_000,
    max_length=9000,
    words=(b"Bearer ", b"e30", b".", b"=", b"bnVsbA"),
)
CLAIMS = Target("claims", _OF_BOTH, check_claims, _mutate_claims, _claims_seeds, runs=1_200_000, max_length=6000)
