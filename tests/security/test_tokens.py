"""Every way to forge, spoil or misuse a bearer token that the bar names, and some more: all end in the same 401."""

import ast
import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from importlib.metadata import version
from pathlib import Path
from threading import Barrier
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jose import jws as jose_jws

from shared import auth
from shared.auth import Caller, TokenVerifier, authenticate
from shared.config import ConfigurationError, TokenUse, get_settings
from shared.errors import Forbidden, Unauthenticated, Unavailable
from shared.jwks import JwksCache, KeyFetchError, VerificationKey
from tests.support.tokens import (
    ALICE,
    CLIENT_ID,
    ISSUER,
    OMIT,
    SigningKey,
    TokenFactory,
    base64url,
    jwks,
    signing_key,
    to_json,
)

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000
LEEWAY = 30
BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

unhurried = settings(deadline=None)  # a busy machine is no fault of the code

TOKENS = TokenFactory(clock=lambda: NOW)
VERIFIER = TOKENS.verifier()
VALID = TOKENS.id_token(groups=["k9-admins"])
HEADER, PAYLOAD, SIGNATURE = VALID.split(".")


def refusal(token: str, verifier: TokenVerifier = VERIFIER) -> str:
    """The reason `token` is refused for, after a look at what the client is told."""
    with pytest.raises(Unauthenticated) as refused:
        verifier.verify(token)
    assert refused.value.status == 401
    assert refused.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    assert refused.value.detail == "A valid bearer token is required."
    return refused.value.reason


def public_key(encoding: serialization.Encoding) -> bytes:
    return TOKENS.key.private.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def hs256(secret: bytes, alg: str = "HS256") -> str:
    """The forgery of key confusion: the public key as the secret of an HMAC."""
    signing_input = f"{base64url(to_json(TOKENS.header({'alg': alg})))}.{PAYLOAD}"
    return f"{signing_input}.{base64url(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}"


def resigned(token: str, algorithm: hashes.HashAlgorithm) -> str:
    signing_input = token.rpartition(".")[0]
    signature = TOKENS.key.private.sign(signing_input.encode(), padding.PKCS1v15(), algorithm)
    return f"{signing_input}.{base64url(signature)}"


def with_header(**header: object) -> str:
    return TOKENS.id_token(header=header)


class TestAccepted:
    def test_an_id_token(self) -> None:
        caller = VERIFIER.verify(VALID)
        assert caller == Caller(ALICE, frozenset({"k9-admins"}), "alice@example.com", "Alice Example")

    def test_an_access_token(self) -> None:
        assert TOKENS.verifier("access").verify(TOKENS.access_token()) == Caller(ALICE, frozenset(), None, "alice")

    def test_a_signature_by_python_jose(self) -> None:
        """The factory signs with `cryptography`; a token that python-jose itself makes is no different."""
        pem = TOKENS.key.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        token = jose_jws.sign(TOKENS.id_claims(), pem, headers={"kid": TOKENS.key.kid}, algorithm="RS256")
        assert VERIFIER.verify(token).user_id == ALICE

    @pytest.mark.parametrize(
        ("claim", "value"),
        [
            ("exp", NOW + 1),
            ("exp", NOW - LEEWAY + 1),
            ("exp", NOW + 0.5),
            ("iat", NOW + LEEWAY),
            ("iat", 0),
            ("nbf", NOW),
            ("nbf", NOW + LEEWAY),
            ("exp", 253402300799),
            ("sub", "s" * 128),
            ("sub", "s"),
            ("identities", [{"providerName": "Google", "nested": [[{"deep": [1]}]]}]),
            ("custom:limit", 1e300),
            ("custom:text", 'brackets [[[{{{ and \\" quotes ' * 9),
        ],
        ids=lambda value: repr(value)[:24],
    )
    def test_claims_at_their_limits(self, claim: str, value: object) -> None:
        assert VERIFIER.verify(TOKENS.id_token(**{claim: value})).email == "alice@example.com"

    def test_the_longest_token(self) -> None:
        tokens = (
            TOKENS.id_token(pad="x" * size, header={"typ": "y" * extra})
            for size in range(5340, 5370)
            for extra in range(3)
        )
        assert VERIFIER.verify(next(token for token in tokens if len(token) == 8192)).user_id == ALICE

    def test_the_deepest_claims(self) -> None:
        deepest: object = 1
        for _ in range(31):
            deepest = [deepest]
        assert VERIFIER.verify(TOKENS.id_token(deepest=deepest, wide=[[]] * 40)).user_id == ALICE

    def test_harmless_header_parameters(self) -> None:
        assert VERIFIER.verify(with_header(typ="JWT", x5t="abc")).user_id == ALICE

    def test_any_allowed_client(self) -> None:
        verifier = TokenVerifier(
            issuer=ISSUER,
            client_ids=frozenset({"web", "mobile"}),
            token_use="id",
            keys=JwksCache(TOKENS.jwks),
            clock=TOKENS.clock,
        )
        assert verifier.verify(TOKENS.id_token(aud="mobile")).user_id == ALICE
        assert refusal(VALID, verifier) == "client"

    def test_the_default_clock_is_the_present(self) -> None:
        tokens = TokenFactory()
        verifier = TokenVerifier(
            issuer=ISSUER, client_ids=frozenset({CLIENT_ID}), token_use="id", keys=JwksCache(tokens.jwks)
        )
        assert verifier.verify(tokens.id_token()).user_id == ALICE
        assert verifier.verify(tokens.id_token(iat=time.time() + 20)).user_id == ALICE
        assert refusal(tokens.id_token(exp=time.time() - 31), verifier) == "expired"
        assert refusal(TokenFactory(clock=lambda: 1_000_000_000).id_token(), verifier) == "expired"


class TestAlgorithm:
    @pytest.mark.parametrize("alg", ["none", "nOnE", "None", "", "rs256", "RS256 ", "RS384", "RS512", "PS256", "ES256"])
    def test_any_other_name(self, alg: str) -> None:
        assert refusal(with_header(alg=alg)) == "alg"

    @pytest.mark.parametrize("alg", [{"RS256": 1}, ["RS256"], None, True, 256, OMIT], ids=repr)
    def test_no_name_at_all(self, alg: object) -> None:
        assert refusal(with_header(alg=alg)) == "alg"

    def test_none_without_a_signature(self) -> None:
        assert refusal(f"{base64url(to_json({'alg': 'none', 'kid': TOKENS.key.kid}))}.{PAYLOAD}.") == "alg"

    @pytest.mark.parametrize("encoding", [serialization.Encoding.PEM, serialization.Encoding.DER])
    def test_the_public_key_as_an_hmac_secret(self, encoding: serialization.Encoding) -> None:
        assert refusal(hs256(public_key(encoding))) == "alg"
        assert refusal(hs256(public_key(encoding), alg="RS256")) == "signature"

    def test_rs512_proper(self) -> None:
        assert refusal(resigned(with_header(alg="RS512"), hashes.SHA512())) == "alg"

    def test_another_hash_under_the_right_name(self) -> None:
        assert refusal(resigned(VALID, hashes.SHA512())) == "signature"


class TestKeyId:
    @pytest.mark.parametrize(
        "kid", [OMIT, None, "", 1, True, ["test-key-1"], {"a": 1}, "k" * 129, "k" * 2048], ids=repr
    )
    def test_not_a_name(self, kid: object) -> None:
        assert refusal(with_header(kid=kid)) == "kid"

    @pytest.mark.parametrize(
        "kid", ["../../../../dev/null", "' OR 1=1 --", "test-key-1\0", "TEST-KEY-1", "test-key-1 ", "k" * 128, "\u00e9"]
    )
    def test_not_a_name_of_this_pool(self, kid: str) -> None:
        assert refusal(with_header(kid=kid)) == "unknown_kid"

    def test_another_pools_key_under_this_pools_name(self) -> None:
        stranger = TokenFactory(key=SigningKey(signing_key("stranger").private, TOKENS.key.kid), clock=TOKENS.clock)
        assert refusal(stranger.id_token()) == "signature"

    def test_this_pools_other_key(self) -> None:
        other = signing_key("test-key-2")
        document = jwks(TOKENS.key.jwk(), other.jwk())
        verifier = TokenVerifier(
            issuer=ISSUER,
            client_ids=frozenset({CLIENT_ID}),
            token_use="id",
            keys=JwksCache(lambda: document),
            clock=TOKENS.clock,
        )
        assert verifier.verify(replace(TOKENS, key=other).id_token()).user_id == ALICE
        assert refusal(with_header(kid=other.kid), verifier) == "signature"


class TestUnsupportedHeader:
    @pytest.mark.parametrize(
        "parameter",
        [
            {"jku": "https://evil.example/jwks.json"},
            {"x5u": "https://evil.example/cert.pem"},
            {"x5c": ["MIIC"]},
            {"jwk": signing_key("stranger").jwk()},
            {"crit": ["exp"], "exp": NOW},
            {"crit": []},
            {"b64": True},
            {"zip": "DEF"},
            {"enc": "A256GCM"},
            {"jku": None},
        ],
        ids=lambda parameter: next(iter(parameter)),
    )
    def test_refused_even_under_a_valid_signature(self, parameter: dict[str, object]) -> None:
        assert refusal(TOKENS.id_token(header=parameter)) == "header_unsupported"

    def test_an_embedded_key_is_not_used(self) -> None:
        stranger = TokenFactory(key=signing_key("stranger"), clock=TOKENS.clock)
        assert refusal(stranger.id_token(header={"jwk": stranger.key.jwk(), "kid": TOKENS.key.kid})) == (
            "header_unsupported"
        )


class TestTimes:
    NOT_A_DATE: tuple[object, ...] = (OMIT, None, "1800003600", True, False, [NOW], {}, -1, 10**12, 10**400, 1e300)

    @pytest.mark.parametrize("exp", [NOW - LEEWAY, NOW - 3600, 0])
    def test_expired(self, exp: int) -> None:
        assert refusal(TOKENS.id_token(exp=exp)) == "expired"

    @pytest.mark.parametrize("exp", NOT_A_DATE, ids=lambda value: repr(value)[:24])
    def test_exp_is_required_and_a_date(self, exp: object) -> None:
        assert refusal(TOKENS.id_token(exp=exp)) == "exp"

    @pytest.mark.parametrize("iat", NOT_A_DATE, ids=lambda value: repr(value)[:24])
    def test_iat_is_required_and_a_date(self, iat: object) -> None:
        assert refusal(TOKENS.id_token(iat=iat)) == "iat"

    @pytest.mark.parametrize("nbf", NOT_A_DATE[1:], ids=lambda value: repr(value)[:24])
    def test_nbf_is_optional_and_a_date(self, nbf: object) -> None:
        assert refusal(TOKENS.id_token(nbf=nbf)) == "nbf"

    @pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
    @pytest.mark.parametrize("number", ["1e400", "-1e400", "1E999999"])
    def test_a_number_that_python_reads_as_infinity(self, claim: str, number: str) -> None:
        payload = to_json(TOKENS.id_claims(**{claim: "@"})).replace(b'"@"', number.encode())
        assert refusal(TOKENS.sign_raw(to_json(TOKENS.header()), payload)) == claim

    @pytest.mark.parametrize("claim", ["iat", "nbf"])
    def test_from_the_future(self, claim: str) -> None:
        assert refusal(TOKENS.id_token(**{claim: NOW + LEEWAY + 1})) == f"{claim}_future"

    def test_without_leeway(self) -> None:
        strict = TOKENS.verifier(leeway=0)
        assert strict.verify(TOKENS.id_token(exp=NOW + 1, iat=NOW)).user_id == ALICE
        assert refusal(TOKENS.id_token(exp=NOW), strict) == "expired"
        assert refusal(TOKENS.id_token(iat=NOW + 1), strict) == "iat_future"

    @pytest.mark.parametrize("leeway", [0, 60])
    def test_leeway_at_its_limits(self, leeway: float) -> None:
        assert TOKENS.verifier(leeway=leeway).verify(TOKENS.id_token(exp=NOW - leeway + 1)).user_id == ALICE

    @pytest.mark.parametrize("leeway", [-1, 60.5, 3600, float("nan"), float("inf")])
    def test_leeway_is_at_most_a_minute(self, leeway: float) -> None:
        with pytest.raises(ValueError, match="leeway"):
            TOKENS.verifier(leeway=leeway)


class TestOrigin:
    @pytest.mark.parametrize(
        "iss",
        [
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_OtherPool",
            ISSUER[:-1],
            ISSUER + "/",
            ISSUER + "x",
            ISSUER.upper(),
            ISSUER.replace("https", "http"),
            "",
            [ISSUER],
            {ISSUER: 1},
            None,
            OMIT,
        ],
        ids=repr,
    )
    def test_another_issuer(self, iss: object) -> None:
        assert refusal(TOKENS.id_token(iss=iss)) == "iss"

    @pytest.mark.parametrize(
        "client", ["another", "", CLIENT_ID + " ", [CLIENT_ID], {CLIENT_ID: 1}, None, 1, OMIT], ids=repr
    )
    def test_another_client(self, client: object) -> None:
        assert refusal(TOKENS.id_token(aud=client)) == "client"
        assert refusal(TOKENS.access_token(client_id=client), TOKENS.verifier("access")) == "client"

    def test_the_claim_of_the_other_use_does_not_count(self) -> None:
        assert refusal(TOKENS.id_token(aud=OMIT, client_id=CLIENT_ID)) == "client"
        assert refusal(TOKENS.access_token(client_id=OMIT, aud=CLIENT_ID), TOKENS.verifier("access")) == "client"

    @pytest.mark.parametrize(("issued", "wanted"), [("access", "id"), ("id", "access")])
    def test_the_other_use(self, issued: TokenUse, wanted: TokenUse) -> None:
        token = TOKENS.id_token(client_id=CLIENT_ID, token_use=issued)
        assert refusal(token, TOKENS.verifier(wanted)) == "token_use"

    @pytest.mark.parametrize("token_use", [OMIT, None, "", "ID", ["id"], "refresh"], ids=repr)
    def test_no_use(self, token_use: object) -> None:
        assert refusal(TOKENS.id_token(token_use=token_use)) == "token_use"


class TestIdentity:
    @pytest.mark.parametrize("sub", [OMIT, None, "", 1, True, ["alice"], {"id": "alice"}, "s" * 129], ids=repr)
    def test_no_subject(self, sub: object) -> None:
        assert refusal(TOKENS.id_token(sub)) == "sub"

    @pytest.mark.parametrize(
        "groups",
        ["k9-admins", None, {"k9-admins": 1}, 1, ["k9-admins", 1], ["k9-admins", None], [["k9-admins"]]],
        ids=repr,
    )
    def test_groups_that_are_no_list_of_names(self, groups: object) -> None:
        assert refusal(TOKENS.id_token(groups=groups)) == "groups"

    def test_no_groups(self) -> None:
        assert VERIFIER.verify(TOKENS.id_token()).groups == frozenset()
        assert VERIFIER.verify(TOKENS.id_token(groups=[])).groups == frozenset()

    @pytest.mark.parametrize(
        "email", [OMIT, None, "", "  ", 1, ["a@example.com"], "e" * 255], ids=lambda e: repr(e)[:16]
    )
    def test_an_email_that_is_none(self, email: object) -> None:
        assert VERIFIER.verify(TOKENS.id_token(email=email)).email is None

    @pytest.mark.parametrize(
        ("claims", "name"),
        [
            ({}, "Alice Example"),
            ({"name": "\u5c71\u7530\u3000\u592a\u90ce"}, "\u5c71\u7530\u3000\u592a\u90ce"),
            ({"name": "n" * 200}, "n" * 200),
            ({"name": "n" * 201}, "alice"),
            ({"name": OMIT}, "alice"),
            ({"name": 1}, "alice"),
            ({"name": " "}, "alice"),
            ({"name": OMIT, "cognito:username": OMIT, "username": "ally"}, "ally"),
            ({"name": OMIT, "cognito:username": OMIT}, None),
        ],
    )
    def test_the_name(self, claims: dict[str, object], name: str | None) -> None:
        assert VERIFIER.verify(TOKENS.id_token(**claims)).name == name


class TestSerialization:
    """The compact form and its JSON: one way to write a token, and no other."""

    @pytest.mark.parametrize("position", range(0, len(VALID), 7))
    def test_truncated(self, position: int) -> None:
        refusal(VALID[:position])

    @pytest.mark.parametrize(
        "token",
        [
            "",
            ".",
            "..",
            "...",
            VALID + ".",
            "." + VALID,
            f"{HEADER}.{PAYLOAD}",
            f"{VALID}.{SIGNATURE}.{SIGNATURE}",
            HEADER,
        ],
        ids=lambda token: str(token.count(".")),
    )
    def test_too_few_or_too_many_segments(self, token: str) -> None:
        assert refusal(token) in {"segments", "json"}
        assert token == ".." or refusal(token) == "segments"

    def test_an_empty_signature(self) -> None:
        assert refusal(f"{HEADER}.{PAYLOAD}.") == "signature"

    @pytest.mark.parametrize("length", [1, 255, 257, 4096])
    def test_a_signature_of_another_length(self, length: int) -> None:
        assert refusal(f"{HEADER}.{PAYLOAD}.{base64url(b's' * length)}") == "signature"

    @pytest.mark.parametrize("segment", [0, 1, 2])
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda text: text + "=",
            lambda text: text + "==",
            lambda text: text + "===",
            lambda text: text[:4] + "====" + text[4:],
            lambda text: text[:9] + "!" + text[9:],
            lambda text: text[:9] + "!!!!" + text[9:],
            lambda text: text[:9] + "+" + text[10:],
            lambda text: text[:9] + "/" + text[10:],
            lambda text: text[:9] + "\0" + text[9:],
            lambda text: text[:9] + " " + text[9:],
            lambda text: text[:9] + "\n" + text[9:],
            lambda text: " " + text,
            lambda text: text + " ",
            lambda text: text + "\n",
            lambda text: text + "A" * (1 + (-1 - len(text)) % 4 + 1),
        ],
    )
    def test_padding_junk_and_spaces(self, segment: int, spoil: Callable[[str], str]) -> None:
        segments = VALID.split(".")
        segments[segment] = spoil(segments[segment])
        assert refusal(".".join(segments)) in {"base64url", "signature", "json"}

    @pytest.mark.parametrize("length", range(3))
    def test_flipped_last_bits(self, length: int) -> None:
        """The unused bits of a last character: the same octets for a lax decoder, another text for the log."""
        token = TOKENS.id_token(pad="x" * length)
        for segment in range(3):
            segments = token.split(".")
            last = BASE64URL.index(segments[segment][-1])
            for bit in (1, 2, 4, 8, 16, 32):
                segments[segment] = segments[segment][:-1] + BASE64URL[last ^ bit]
                refusal(".".join(segments))

    def test_tampered_payload(self) -> None:
        for claims in (TOKENS.id_claims("mallory"), TOKENS.id_claims(groups=["k9-admins", "root"])):
            assert refusal(f"{HEADER}.{base64url(to_json(claims))}.{SIGNATURE}") == "signature"

    def test_the_header_of_another_token(self) -> None:
        assert refusal(f"{with_header(typ='JWT').split('.')[0]}.{PAYLOAD}.{SIGNATURE}") == "signature"

    def test_too_long(self) -> None:
        assert refusal(VALID + "A" * (8193 - len(VALID))) == "length"
        assert refusal("A" * 2**20) == "length"
        assert refusal(TOKENS.id_token(pad="x" * 2**20)) == "length"

    @pytest.mark.parametrize(
        "token", [VALID + "\u00e9", "\ud800" + VALID, VALID.replace("e", "\u0435", 1), "\u2024".join("abc")]
    )
    def test_not_ascii(self, token: str) -> None:
        assert refusal(token) == "ascii"

    @pytest.mark.parametrize(
        "token", [VALID.encode(), None, 1, [VALID], bytearray(b"x")], ids=lambda t: type(t).__name__
    )
    def test_not_a_string(self, token: object) -> None:
        assert refusal(cast(str, token)) == "ascii"

    @pytest.mark.parametrize("part", ["header", "payload"])
    @pytest.mark.parametrize(
        "document",
        [
            b"",
            b"null",
            b"1",
            b'"text"',
            b"[]",
            b'[{"alg":"RS256"}]',
            b"{",
            b"{}{}",
            b'{"a":1,}',
            b"{'a':1}",
            b'{"a":NaN}',
            b'{"a":Infinity}',
            b'{"a":-Infinity}',
            b'{"a":01}',
            b'{"a":1,"a":1}',
            b'{"a":{"b":1,"b":2}}',
            b'{"a":"\\ud800"}',
            b'{"\\uDC00":1}',
            b'{"a":"\x01"}',
            b'{"a":"\xff"}',
            b'{"a":"\xed\xa0\x80"}',
            b"\xef\xbb\xbf{}",
            '{"a":1}'.encode("utf-16"),
            b'{"a":' + b"1" * 5000 + b"}",
            b'{"a":-' + b"9" * 5000 + b"}",
            b'{"a":' + b"[" * 33 + b"]" * 33 + b"}",
            b'{"a":' * 32 + b"[]" + b"}" * 32,
            b'{"a":[' + b"[]," * 40 + b"[" * 31 + b"]" * 31 + b"]}",
            b"[" * 5000,
            b'{"a":' * 1000,
            b'"' + b'\\"' * 2500 + b"[" * 40,
        ],
        ids=lambda document: repr(document)[:32] if isinstance(document, bytes) else document,
    )
    def test_not_one_strict_json_object(self, part: str, document: bytes) -> None:
        header, payload = to_json(TOKENS.header()), to_json(TOKENS.id_claims())
        token = TOKENS.sign_raw(document, payload) if part == "header" else TOKENS.sign_raw(header, document)
        assert refusal(token) == "json"

    def test_a_duplicate_alg(self) -> None:
        header = b'{"alg":"none","kid":"test-key-1","alg":"RS256"}'
        assert refusal(TOKENS.sign_raw(header, to_json(TOKENS.id_claims()))) == "json"

    def test_a_duplicate_sub(self) -> None:
        payload = to_json(TOKENS.id_claims()).replace(b'{"sub":', b'{"sub":"mallory","sub":', 1)
        assert refusal(TOKENS.sign_raw(to_json(TOKENS.header()), payload)) == "json"

    def test_a_deep_header(self) -> None:
        deep: object = 1
        for _ in range(33):
            deep = [deep]
        assert refusal(with_header(deep=deep)) == "json"

    def test_escapes_are_fine(self) -> None:
        payload = to_json(TOKENS.id_claims(name="Zo\u00eb \U0001f436"))
        assert b"\\ud83d\\udc36" in payload
        assert VERIFIER.verify(TOKENS.sign_raw(to_json(TOKENS.header()), payload)).name == "Zo\u00eb \U0001f436"


class TestOneCharacter:
    """Any one-character change of a valid token is refused."""

    @unhurried
    @given(position=st.integers(0, len(VALID) - 1), character=st.characters() | st.sampled_from(BASE64URL + ".=+/"))
    @example(position=len(VALID) - 1, character="\n")
    def test_replaced(self, position: int, character: str) -> None:
        if character != VALID[position]:
            refusal(VALID[:position] + character + VALID[position + 1 :])

    @unhurried
    @given(position=st.integers(0, len(VALID)), character=st.characters() | st.sampled_from(BASE64URL + ".=+/"))
    @example(position=len(VALID), character="\n")
    @example(position=0, character="\ufeff")
    def test_inserted(self, position: int, character: str) -> None:
        refusal(VALID[:position] + character + VALID[position:])

    def test_removed_swapped_or_flipped_everywhere(self) -> None:
        for position, character in enumerate(VALID):
            refusal(VALID[:position] + VALID[position + 1 :])
            for other in {BASE64URL[(BASE64URL.find(character) + 1) % 64], character.swapcase()} - {character}:
                refusal(VALID[:position] + other + VALID[position + 1 :])


class TestArbitraryInput:
    """Whatever comes, the answer is a Caller or an Unauthenticated: no other exception leaves the verifier."""

    JSON = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    )
    CLAIM = st.sampled_from(
        ["exp", "iat", "nbf", "iss", "aud", "token_use", "sub", "cognito:groups", "name", "email", "cognito:username"]
    )

    @unhurried
    @given(st.text())
    def test_text(self, token: str) -> None:
        refusal(token)

    @unhurried
    @given(st.binary(), st.binary())
    def test_signed_octets(self, header: bytes, payload: bytes) -> None:
        refusal(TOKENS.sign_raw(header, payload))

    @unhurried
    @given(JSON)
    def test_signed_payload(self, payload: object) -> None:
        refusal(TOKENS.sign(payload))

    @unhurried
    @given(st.dictionaries(st.sampled_from(["alg", "kid", "crit", "typ"]), JSON))
    def test_signed_header(self, header: dict[str, object]) -> None:
        self.verify(TOKENS.id_token(header=header))

    @unhurried
    @given(st.dictionaries(CLAIM, JSON, min_size=1))
    def test_signed_claims(self, claims: dict[str, object]) -> None:
        self.verify(TOKENS.id_token(**claims))

    def verify(self, token: str) -> None:
        try:
            caller = VERIFIER.verify(token)
        except Unauthenticated:
            return
        assert caller.user_id
        repr(caller).encode("utf-8")


class TestOrder:
    """The first fault decides, and what costs or trusts more comes later."""

    class NoKeys:
        def key(self, kid: str) -> VerificationKey | None:
            raise AssertionError("looked up a key")

    @pytest.mark.parametrize(
        ("token", "reason"),
        [
            (VALID + "\u00e9", "ascii"),
            (VALID + "." + "A" * 9000, "length"),
            (VALID + ".", "segments"),
            (f"{HEADER}.{PAYLOAD}.!", "base64url"),
            (f"!.{PAYLOAD}.{SIGNATURE}", "base64url"),
            (f"{HEADER}.!.{SIGNATURE}", "base64url"),
            (f"{base64url(b'[]')}.{PAYLOAD}.{SIGNATURE}", "json"),
            (f"{HEADER}.{base64url(b'[]')}.{SIGNATURE}", "json"),
            (with_header(alg="HS256", kid=""), "alg"),
            (with_header(kid="", jku=""), "kid"),
            (with_header(jku=""), "header_unsupported"),
        ],
    )
    def test_no_key_is_looked_up_for_a_token_that_cannot_be_good(self, token: str, reason: str) -> None:
        verifier = TokenVerifier(
            issuer=ISSUER, client_ids=frozenset({CLIENT_ID}), token_use="id", keys=self.NoKeys(), clock=TOKENS.clock
        )
        assert refusal(token, verifier) == reason

    def test_the_claims(self) -> None:
        """Each fault is put right in turn; the next one shows."""
        claims: dict[str, Any] = TOKENS.id_claims(
            "", "k9-admins", exp=OMIT, iat=OMIT, nbf=None, iss="x", token_use="access", aud="x"
        )
        header = TOKENS.sign(claims).partition(".")[0]
        assert refusal(f"{header}.{base64url(to_json(claims))}.{SIGNATURE}") == "signature"
        repairs: list[tuple[str, dict[str, object]]] = [
            ("exp", {"exp": NOW - 3600}),
            ("expired", {"exp": NOW + 3600}),
            ("iat", {"iat": NOW + 3600}),
            ("iat_future", {"iat": NOW}),
            ("nbf", {"nbf": NOW + 3600}),
            ("nbf_future", {"nbf": NOW}),
            ("iss", {"iss": ISSUER}),
            ("token_use", {"token_use": "id"}),
            ("client", {"aud": CLIENT_ID}),
            ("sub", {"sub": ALICE}),
            ("groups", {"cognito:groups": ["k9-admins"]}),
        ]
        for reason, repair in repairs:
            assert refusal(TOKENS.sign(claims)) == reason
            claims |= repair
        assert VERIFIER.verify(TOKENS.sign(claims)).groups == {"k9-admins"}

    def test_keys_that_cannot_be_had_are_no_fault_of_the_token(self) -> None:
        def outage() -> bytes:
            raise KeyFetchError("status 500")

        verifier = TokenVerifier(
            issuer=ISSUER, client_ids=frozenset({CLIENT_ID}), token_use="id", keys=JwksCache(outage)
        )
        with pytest.raises(Unavailable) as refused:
            verifier.verify(VALID)
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})


class TestSecrecy:
    def test_a_refusal_holds_nothing_of_the_token(self) -> None:
        canary = "canary-5f2c"
        token = TOKENS.id_token(canary, aud=canary, email=canary, header={"kid": canary})
        for spoiled in (token, token[:-4], token + "=", TOKENS.id_token(aud=canary, name=canary)):
            with pytest.raises(Unauthenticated) as refused:
                VERIFIER.verify(spoiled)
            assert canary not in f"{refused.value!r} {vars(refused.value)}"
            assert refused.value.__suppress_context__ or refused.value.__context__ is None

    def test_a_caller_does_not_print_who_it_is(self) -> None:
        printed = repr(VERIFIER.verify(VALID))
        assert "alice@example.com" not in printed
        assert "Alice Example" not in printed


class TestCaller:
    def test_group(self) -> None:
        Caller("u", frozenset({"k9-admins"})).require_group("k9-admins")

    @pytest.mark.parametrize("group", ["Admins", "k9-admins ", "K9-ADMINS", "k9", ""])
    def test_another_group(self, group: str) -> None:
        with pytest.raises(Forbidden, match=r"^Only members of the group k9-admins may do this\.$") as refused:
            VERIFIER.verify(TOKENS.id_token(groups=[group])).require_group("k9-admins")
        assert refused.value.status == 403

    def test_frozen(self) -> None:
        caller = Caller("u")
        with pytest.raises(FrozenInstanceError):
            caller.user_id = "v"  # type: ignore[misc]
        assert not hasattr(caller, "__dict__")


class TestAuthorization:
    @pytest.fixture(autouse=True)
    def trusted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        TOKENS.trust(monkeypatch)

    def refusal(self, *values: str) -> str:
        with pytest.raises(Unauthenticated) as refused:
            authenticate(values)
        return refused.value.reason

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
    def test_the_scheme_in_any_case(self, scheme: str) -> None:
        assert authenticate([f"{scheme} {VALID}"]).user_id == ALICE

    def test_the_factory_writes_the_header(self) -> None:
        assert authenticate([TOKENS.bearer("bob", ["k9-admins"])]) == Caller(
            "bob", frozenset({"k9-admins"}), "alice@example.com", "Alice Example"
        )

    def test_none(self) -> None:
        """Also the answer to a forged `requestContext.authorizer.claims`: nothing but the header is ever looked at."""
        assert self.refusal() == "authorization_count"

    def test_two(self) -> None:
        assert self.refusal(f"Bearer {VALID}", f"Bearer {VALID}") == "authorization_count"

    @pytest.mark.parametrize("joined", [f"Bearer {VALID}, Bearer {VALID}", f"Bearer {VALID},Bearer {VALID}"])
    def test_two_that_a_gateway_joined(self, joined: str) -> None:
        assert self.refusal(joined) == "segments"

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "Bearer",
            VALID,
            f"Basic {VALID}",
            f"Token {VALID}",
            f"Bearer:{VALID}",
            f"Bearer\t{VALID}",
            f"Bearer\u00a0{VALID}",
            f"Bearer\n{VALID}",
            f" Bearer {VALID}",
            f"\ufeffBearer {VALID}",
            f"Bearer{VALID}",
            f"Bearers {VALID}",
        ],
        ids=lambda value: repr(value)[:14],
    )
    def test_another_scheme(self, value: str) -> None:
        assert self.refusal(value) == "authorization_scheme"

    @pytest.mark.parametrize(
        "value",
        [
            "Bearer ",
            f"Bearer  {VALID}",
            f"Bearer {VALID} ",
            f"Bearer {VALID}\n",
            f"Bearer {VALID}\r\n",
            f"Bearer \t{VALID}",
            f"Bearer Bearer {VALID}",
            f"Bearer bearer {VALID}",
            f'Bearer "{VALID}"',
            f"Bearer token={VALID}",
            f"Bearer {VALID}\u00e9",
            "Bearer " + "A" * 2**20,
        ],
        ids=lambda value: repr(value)[:16],
    )
    def test_something_else_than_a_token(self, value: str) -> None:
        assert self.refusal(value) in {"base64url", "segments", "ascii", "length"}

    @pytest.mark.parametrize(
        "value", [f"Bearer {VALID}".encode(), None, 7, [f"Bearer {VALID}"]], ids=lambda value: type(value).__name__
    )
    def test_not_a_string(self, value: object) -> None:
        assert self.refusal(cast(str, value)) == "authorization_scheme"

    def test_a_bare_string_is_not_a_list_of_one(self) -> None:
        assert self.refusal(*f"Bearer {VALID}") == "authorization_count"


class TestProcessVerifier:
    """What `authenticate` builds from the environment, and that it builds it once."""

    @pytest.fixture
    def tokens(self) -> TokenFactory:
        return TokenFactory()

    @pytest.fixture
    def fetches(self, tokens: TokenFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
        fetched: list[str] = []

        def fetch(url: str) -> bytes:
            fetched.append(url)
            return tokens.jwks()

        for name, value in {
            "COGNITO_USER_POOL_ID": "eu-west-1_K9TestPool",
            "COGNITO_CLIENT_IDS": f"other,{CLIENT_ID}",
            "COGNITO_TOKEN_USE": "id",
            "COGNITO_ISSUER": "",
            "COGNITO_JWKS_URL": "",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("shared.jwks.fetch_jwks", fetch)
        get_settings.cache_clear()
        auth._build_verifier.cache_clear()
        yield fetched
        get_settings.cache_clear()
        auth._build_verifier.cache_clear()

    def test_the_settings_name_the_pool(self, tokens: TokenFactory, fetches: list[str]) -> None:
        assert authenticate([tokens.bearer()]).user_id == ALICE
        assert fetches == [f"{ISSUER}/.well-known/jwks.json"]
        for refused in (tokens.bearer(aud="stranger"), f"Bearer {tokens.access_token()}"):
            with pytest.raises(Unauthenticated):
                authenticate([refused])

    def test_access_tokens_by_setting(
        self, tokens: TokenFactory, fetches: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COGNITO_TOKEN_USE", "access")
        assert authenticate([f"Bearer {tokens.access_token()}"]).name == "alice"
        with pytest.raises(Unauthenticated):
            authenticate([tokens.bearer()])

    def test_fifty_first_calls_make_one_fetch(self, tokens: TokenFactory, fetches: list[str]) -> None:
        barrier = Barrier(50)

        def call(_: int) -> str:
            barrier.wait()
            return authenticate([tokens.bearer()]).user_id

        with ThreadPoolExecutor(50) as threads:
            assert set(threads.map(call, range(50))) == {ALICE}
        assert len(fetches) == 1

    def test_a_reset_starts_anew(self, tokens: TokenFactory, fetches: list[str]) -> None:
        authenticate([tokens.bearer()])
        auth._build_verifier.cache_clear()
        authenticate([tokens.bearer()])
        assert len(fetches) == 2

    def test_a_missing_variable_is_named(self, fetches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("COGNITO_CLIENT_IDS")
        with pytest.raises(ConfigurationError, match="COGNITO_CLIENT_IDS"):
            authenticate([f"Bearer {VALID}"])

    def test_keys_over_plain_http_are_refused(self, fetches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COGNITO_JWKS_URL", "http://keys.example/jwks.json")
        with pytest.raises(ConfigurationError, match="COGNITO_JWKS_URL"):
            authenticate([f"Bearer {VALID}"])

    def test_no_token_needs_no_settings(self, fetches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("COGNITO_CLIENT_IDS")
        with pytest.raises(Unauthenticated):
            authenticate([])


class TestRecordedException:
    """CVE-2026-85394 (docs/security-exceptions.md): present in python-jose, out of reach here."""

    def test_the_installed_python_jose_still_has_it(self) -> None:
        forged = hs256(public_key(serialization.Encoding.DER))
        accepted = jose_jws.verify(forged, public_key(serialization.Encoding.DER), algorithms=None)
        assert json.loads(accepted)["sub"] == ALICE, "fixed: delete the entry in docs/security-exceptions.md"

    def test_the_forgery_is_refused(self) -> None:
        assert refusal(hs256(public_key(serialization.Encoding.DER))) == "alg"

    def test_it_is_recorded_for_this_version(self) -> None:
        record = (ROOT / "docs" / "security-exceptions.md").read_text(encoding="utf-8")
        assert "## CVE-2026-85394" in record
        assert f"python-jose {version('python-jose')}" in record
        assert "| Recorded | 2026-11-20 |" in record

    def test_no_source_file_imports_more_of_python_jose_than_the_rsa_key(self) -> None:
        imported = {
            (path.relative_to(ROOT).as_posix(), module, name)
            for path in (ROOT / "src").rglob("*.py")
            for module, name in imports(path)
            if module.partition(".")[0] == "jose"
        }
        assert imported == {("src/shared/jwks.py", "jose.backends.cryptography_backend", "CryptographyRSAKey")}

    def test_nothing_else_imports_it_either(self) -> None:
        """In a fresh process: neither python-jose's token modules, nor urllib3 before the first fetch."""
        probe = "import sys, shared.auth; print([m for m in sys.modules if m in sys.argv[1:]])"
        forbidden = ["jose.jwt", "jose.jws", "jose.jwe", "jose.jwk", "urllib3", "boto3", "numpy"]
        ran = subprocess.run(
            [sys.executable, "-c", probe, *forbidden], cwd=ROOT / "src", capture_output=True, text=True, check=True
        )
        assert ran.stdout.strip() == "[]"


class TestUnusedEcdsa:
    """CVE-2024-23342 (docs/security-exceptions.md): in a package that python-jose asks for, and never loads here."""

    def test_it_is_recorded_for_this_version(self) -> None:
        record = (ROOT / "docs" / "security-exceptions.md").read_text(encoding="utf-8")
        assert f"ecdsa {version('ecdsa')}" in record.partition("## CVE-2024-23342")[2]

    def test_no_process_that_checks_tokens_loads_it(self) -> None:
        probe = "import sys, shared.auth, shared.jwks, jose.jwt, jose.jwk; print('ecdsa' in sys.modules)"
        ran = subprocess.run(
            [sys.executable, "-c", probe], cwd=ROOT / "src", capture_output=True, text=True, check=True
        )
        assert ran.stdout.strip() == "False"

    def test_no_source_file_imports_it(self) -> None:
        importing = {path for path in (ROOT / "src").rglob("*.py") for module, _ in imports(path) if "ecdsa" in module}
        assert not importing


def imports(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)
