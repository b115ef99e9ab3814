"""A second reading of which bearer tokens are accepted: the rules of docs and RFCs, in no order, as one conjunction."""

import zlib
from collections.abc import Sequence
from typing import Any, Literal

from .strict_json import base64url, strict_object

ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_K9FuzzPool"
CLIENT = "4k9fuzzclient0000000000000"
KID = "fuzz-key-1"
NOW = 1_700_000_000.0
LEEWAY = 30
FORBIDDEN = {"crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc"}

Identity = tuple[str, frozenset[str], str | None, str | None]
"""Subject, groups, e-mail and name."""


def signed(signing_input: bytes) -> bytes:
    """The stand-in of a signature: as hard to get right by chance, and a thousand times as fast."""
    return zlib.crc32(signing_input).to_bytes(4, "big") + zlib.adler32(signing_input).to_bytes(4, "big")


def identity_of_values(values: Sequence[str], use: Literal["id", "access"]) -> Identity | None:
    """Who the values of Authorization name; None where they are to be refused."""
    if len(values) != 1 or values[0][:7].lower() != "bearer ":
        return None
    return identity_of(values[0][7:], use)


def identity_of(token: str, use: Literal["id", "access"]) -> Identity | None:
    """Who a token names; None where it is to be refused."""
    if len(token) > 8192 or not token.isascii() or token.count(".") != 2:
        return None
    segments = token.encode().split(b".")
    parts = [base64url(segment) for segment in segments]
    if parts[0] is None or parts[1] is None or parts[2] != signed(b".".join(segments[:2])):
        return None
    header, claims = strict_object(parts[0]), strict_object(parts[1])
    if header is None or claims is None or not _is_header(header) or not _are_claims(claims, use):
        return None
    name = _first(claims, 200, "name", "cognito:username", "username")
    return claims["sub"], frozenset(claims.get("cognito:groups", ())), _first(claims, 254, "email"), name


def _is_header(header: dict[str, Any]) -> bool:
    return header.get("alg") == "RS256" and header.get("kid") == KID and not FORBIDDEN & header.keys()


def _are_claims(claims: dict[str, Any], use: str) -> bool:
    client = claims.get("aud" if use == "id" else "client_id")
    sub, groups = claims.get("sub"), claims.get("cognito:groups", [])
    return (
        all(_is_date(claims[name]) if name in claims else name == "nbf" for name in ("exp", "iat", "nbf"))
        and claims["exp"] > NOW - LEEWAY
        and max(claims["iat"], claims.get("nbf", 0)) <= NOW + LEEWAY
        and claims.get("iss") == ISSUER
        and claims.get("token_use") == use
        and client == CLIENT
        and isinstance(sub, str)
        and 1 <= len(sub) <= 128
        and isinstance(groups, list)
        and all(isinstance(group, str) for group in groups)
    )


def _is_date(value: object) -> bool:
    """Seconds since 1970, up to the year 9999."""
    return type(value) in (int, float) and 0 <= value <= 253_402_300_799  # type: ignore[operator]


def _first(claims: dict[str, Any], longest: int, *names: str) -> str | None:
    texts = (claims.get(name) for name in names)
    return next((text for text in texts if isinstance(text, str) and len(text) <= longest and text.strip()), None)
