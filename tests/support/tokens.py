"""Tokens as a Cognito user pool issues them, and every way to spoil one.

    tokens = TokenFactory()
    tokens.trust(monkeypatch)                        # shared.auth.authenticate now accepts this pool's tokens
    event["headers"]["authorization"] = tokens.bearer(sub="alice")

    tokens.id_token(groups=["k9-admins"], email="a@example.com")
    tokens.id_token(exp=OMIT)                        # a claim left out
    tokens.id_token(header={"alg": "none"})          # header parameters replaced or added, signed all the same

No keyword means a valid token of the moment. Signing takes under a millisecond: the RSA key is made once per process.
"""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from shared.auth import TokenVerifier
from shared.config import TokenUse
from shared.jwks import JwksCache

ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_K9TestPool"
CLIENT_ID = "4k9testclient0000000000000"
ALICE = "11111111-1111-4111-8111-111111111111"

DEFAULT_USE: Final[TokenUse] = "id"


class _Absent:
    """Its name is the same in every process, as the names of tests made of it must be."""

    def __repr__(self) -> str:
        return "absent"


OMIT: Final = _Absent()
"""As the value of a claim or header parameter: leave it out."""

Header = Mapping[str, object]


def base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def to_json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("utf-8")


@dataclass(frozen=True)
class SigningKey:
    """A private RSA key with the name that tokens call it by."""

    private: rsa.RSAPrivateKey
    kid: str

    def sign(self, signing_input: bytes) -> bytes:
        return self.private.sign(signing_input, padding.PKCS1v15(), hashes.SHA256())

    def jwk(self, **overrides: object) -> dict[str, Any]:
        """The public key as the pool's JWKS lists it (RFC 7517, section 4)."""
        numbers = self.private.public_key().public_numbers()
        jwk = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")),
            "e": base64url(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")),
        }
        return _overridden(jwk, overrides)


@lru_cache
def signing_key(kid: str = "test-key-1", bits: int = 2048) -> SigningKey:
    """The key of that name: the same one all through the process."""
    return SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=bits), kid)


def jwks(*jwks: Mapping[str, object]) -> bytes:
    """A JWKS document of these keys (RFC 7517, section 5)."""
    return to_json({"keys": list(jwks)})


@dataclass(frozen=True)
class TokenFactory:
    """The issuing side of one user pool and app client. `clock` is what the pool takes for the present."""

    issuer: str = ISSUER
    client_id: str = CLIENT_ID
    key: SigningKey = field(default_factory=signing_key)
    clock: Callable[[], float] = time.time
    lifetime: int = 3600

    def id_token(self, sub: object = ALICE, groups: object = OMIT, *, header: Any = None, **overrides: Any) -> str:
        """An id token; keywords replace claims. A claim whose name is no identifier goes in `**{"cognito:...": x}`."""
        return self.sign(self.id_claims(sub, groups, **overrides), header)

    def access_token(self, sub: object = ALICE, groups: object = OMIT, *, header: Any = None, **overrides: Any) -> str:
        """An access token: `client_id` for `aud`, `username` for `cognito:username`, and no profile claims."""
        return self.sign(self.access_claims(sub, groups, **overrides), header)

    def bearer(self, sub: object = ALICE, groups: object = OMIT, **overrides: Any) -> str:
        """An Authorization value with an id token."""
        return f"Bearer {self.id_token(sub, groups, **overrides)}"

    def id_claims(self, sub: object = ALICE, groups: object = OMIT, **overrides: Any) -> dict[str, Any]:
        claims = self._claims("id", sub, groups) | {
            "aud": self.client_id,
            "cognito:username": "alice",
            "email": "alice@example.com",
            "email_verified": True,
            "name": "Alice Example",
        }
        return _overridden(claims, overrides)

    def access_claims(self, sub: object = ALICE, groups: object = OMIT, **overrides: Any) -> dict[str, Any]:
        claims = self._claims("access", sub, groups) | {
            "client_id": self.client_id,
            "username": "alice",
            "scope": "aws.cognito.signin.user.admin",
            "version": 2,
        }
        return _overridden(claims, overrides)

    def header(self, overrides: Header | None = None) -> dict[str, Any]:
        return _overridden({"kid": self.key.kid, "alg": "RS256"}, overrides or {})

    def sign(self, claims: object, header: Header | None = None) -> str:
        """Any JSON as the payload, under a valid signature."""
        return self.sign_raw(to_json(self.header(header)), to_json(claims))

    def sign_raw(self, header: bytes, payload: bytes) -> str:
        """Any octets as header and payload, under a valid signature."""
        signing_input = f"{base64url(header)}.{base64url(payload)}"
        return f"{signing_input}.{base64url(self.key.sign(signing_input.encode('ascii')))}"

    def jwks(self) -> bytes:
        return jwks(self.key.jwk())

    def verifier(self, token_use: TokenUse = DEFAULT_USE, *, leeway: float = 30) -> TokenVerifier:
        """A verifier of this pool's tokens that runs on the pool's clock and reaches no network."""
        return TokenVerifier(
            issuer=self.issuer,
            client_ids=frozenset({self.client_id}),
            token_use=token_use,
            keys=JwksCache(self.jwks, clock=self.clock),
            clock=self.clock,
            leeway=leeway,
        )

    def trust(self, monkeypatch: pytest.MonkeyPatch, token_use: TokenUse = DEFAULT_USE) -> None:
        """Until the test ends, `shared.auth.authenticate` accepts this pool, whatever the environment says."""
        verifier = self.verifier(token_use)
        monkeypatch.setattr("shared.auth.get_verifier", lambda: verifier)

    def _claims(self, token_use: TokenUse, sub: object, groups: object) -> dict[str, object]:
        now = int(self.clock())
        claims: dict[str, object] = {
            "sub": sub,
            "cognito:groups": groups,
            "iss": self.issuer,
            "token_use": token_use,
            "origin_jti": "5bd4d0b5-9f0e-4d4f-9d35-5a1ed0f0a001",
            "event_id": "64f1d7a2-1f0a-4b8e-8c53-7a2ed0f0a002",
            "jti": "7c1f2f4e-0a51-4f7b-bf5b-1c3ed0f0a003",
            "auth_time": now,
            "iat": now,
            "exp": now + self.lifetime,
        }
        return claims


def _overridden(members: Mapping[str, object], overrides: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **overrides}.items() if value is not OMIT}
