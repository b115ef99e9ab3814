"""The user pool's JWK Set: what comes from its endpoint, or from whoever stands in between."""

import base64
import json
from random import Random
from typing import Any

from jose.backends.cryptography_backend import CryptographyRSAKey

from shared.jwks import parse_jwks

from . import json_mutation
from .strict_json import base64url, strict_object
from .target import Raw, Target

_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_NUMBERS = Random(0)  # noqa: S311 - moduli to parse, not to sign with


def check(data: bytes) -> str:
    """The keys that are read are exactly those that RFC 7517, and the sizes that this service takes, allow."""
    expected = _usable(data)
    try:
        found = parse_jwks(data)
    except ValueError:
        assert expected is None, "a JWK Set is refused"
        return "refused"
    assert {kid: _numbers(key) for kid, key in found.items()} == expected, "the keys are not those of the document"
    return "accepted" if found else "accepted: no key"


def _numbers(key: object) -> tuple[int, int]:
    assert isinstance(key, CryptographyRSAKey)
    numbers = key.prepared_key.public_numbers()
    return numbers.n, numbers.e


def _usable(document: bytes) -> dict[str, tuple[int, int]] | None:
    found = strict_object(document)
    if found is None or not isinstance(found.get("keys"), list):
        return None
    keys: dict[str, tuple[int, int]] = {}
    for jwk in found["keys"]:
        numbers = _numbers_of(jwk) if isinstance(jwk, dict) else None
        if numbers is not None:
            keys.setdefault(jwk["kid"], numbers)
    return keys


def _numbers_of(jwk: dict[str, Any]) -> tuple[int, int] | None:
    kid, n, e = jwk.get("kid"), _number(jwk.get("n")), _number(jwk.get("e"))
    is_usable = (
        isinstance(kid, str)
        and 1 <= len(kid) <= 128
        and jwk.get("kty") == "RSA"
        and ("use" not in jwk or jwk["use"] == "sig")
        and ("alg" not in jwk or jwk["alg"] == "RS256")
        and not _PRIVATE & jwk.keys()
    )
    if not is_usable or n is None or e is None or not n % 2 or not e % 2:
        return None
    return (n, e) if 2**2047 <= n < 2**8192 and 2**16 < e < 2**32 else None


def _number(encoded: object) -> int | None:
    octets = base64url(encoded.encode()) if isinstance(encoded, str) and encoded.isascii() else None
    return None if octets is None else int.from_bytes(octets, "big")


def _encoded(number: int, size: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(size, "big")).rstrip(b"=").decode()


def _modulus(bits: int) -> str:
    return _encoded(_NUMBERS.getrandbits(bits) | 1 << bits - 1 | 1, -(-bits // 8))


_JWK = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "fuzz-key-1", "n": _modulus(2048), "e": "AQAB"}
_NAMES = (*_JWK, "keys", "d", "k", "oth", "x5c")
_VALUES = (
    *map(json.dumps, [*_JWK.values(), _JWK, _modulus(2047), _modulus(2049), "AQAA", "AQAC", "AQ", "AP__", "_____w"]),
    '"enc"',
    '"EC"',
)


def _seeds() -> list[bytes]:
    other = {**_JWK, "kid": "fuzz-key-2", "n": _modulus(2056)}
    documents: list[object] = [
        {"keys": [_JWK]},
        {"keys": [{"kty": "EC"}, _JWK, other, {**other, "n": _modulus(2048)}]},
        {"keys": []},
        {"keys": [{**_JWK, "n": _modulus(2047)}, {**_JWK, "e": "AQAA"}, {**_JWK, "use": "enc"}, {**_JWK, "d": "AQ"}]},
        {"keys": {}},
        [],
    ]
    return [json.dumps(document).encode() for document in documents]


_VOCABULARY = json_mutation.Vocabulary(_NAMES, _VALUES, _seeds()[:2])


def _mutate(data: bytes, source: Random, raw: Raw, longest: int) -> bytes:
    return json_mutation.mutate(data, source, raw, longest, _VOCABULARY)


KEY_SETS = Target(
    "key-set",
    ("refused", "accepted: no key", "accepted"),
    check,
    _mutate,
    _seeds,
    runs=600_000,
    words=(b'"kid"', b"AQAB"),
)
