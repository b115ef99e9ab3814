"""A hosted login as Cognito has it, as far as the documentation page uses it, at an origin of its own on this machine.

What it is strict about: the app client, the page's address, one use of each code, and the proof of who asked for it
(RFC 7636, section 4.6). It asks nobody for a password: everyone is the same person.
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.serving import serving
from tests.support.tokens import CLIENT_ID, TokenFactory

PERSON = "33333333-3333-4333-8333-333333333333"
EMAIL = "carol@example.com"


class Refused(Exception):
    """An error of OAuth, by its code (RFC 6749, section 5.2)."""


@dataclass
class HostedLogin:
    """`page` is the one address that people may be sent back to; the other fields are for tests to look at or set."""

    tokens: TokenFactory
    page: str = ""
    url: str = ""
    seconds: int = 3600
    refuses_sign_in: bool = False
    refuses_sign_out: bool = False
    issued: int = 0
    challenges: dict[str, str] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser goes next."""
        expected = {"response_type": "code", "client_id": CLIENT_ID, "redirect_uri": self.page}
        expected |= {"code_challenge_method": "S256", "scope": "openid email profile"}
        if {name: query.get(name) for name in expected} != expected or not query.get("state"):
            raise Refused("invalid_request")
        if self.refuses_sign_in:
            answer = {"error": "access_denied", "error_description": "User is disabled."}
        else:
            code = uuid.uuid4().hex
            self.challenges[code] = query["code_challenge"]
            answer = {"code": code}
        return f"{self.page}?{urlencode({**answer, 'state': query['state']})}"

    def exchange(self, form: dict[str, str]) -> dict[str, Any]:
        if form.get("client_id") != CLIENT_ID:
            raise Refused("invalid_client")
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.refresh_tokens:
                raise Refused("invalid_grant")
            return self._tokens()
        challenge = self.challenges.pop(form["code"], None)
        proof = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        if challenge != proof or form["redirect_uri"] != self.page:
            raise Refused("invalid_grant")
        refresh = uuid.uuid4().hex
        self.refresh_tokens.add(refresh)
        return {**self._tokens(), "refresh_token": refresh}

    def revoke(self, form: dict[str, str]) -> None:
        if self.refuses_sign_out:
            raise Refused("unsupported_token_type")
        self.refresh_tokens.discard(form["token"])

    def _tokens(self) -> dict[str, Any]:
        """Each with a number, so that tests can tell them apart."""
        self.issued += 1
        token = self.tokens.id_token(PERSON, email=EMAIL, jti=str(self.issued))
        return {"id_token": token, "access_token": "none", "token_type": "Bearer", "expires_in": self.seconds}


@contextmanager
def running_login(tokens: TokenFactory) -> Iterator[HostedLogin]:
    login = HostedLogin(tokens)
    with serving(type("Connection", (_Connection,), {"login": login})) as login.url:
        yield login


class _Connection(BaseHTTPRequestHandler):
    login: HostedLogin

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.login.asked.append(address.path)
        try:
            if address.path == "/logout":
                self._redirect(query["logout_uri"])
            else:
                self._redirect(self.login.authorize(query))
        except Refused as refused:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": str(refused)})

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(text).items()}
        self.login.asked.append(f"{self.path} {form.get('grant_type', '')}".strip())
        try:
            if self.path == "/oauth2/revoke":
                self.login.revoke(form)
                self._answer(HTTPStatus.OK, {})
            else:
                self._answer(HTTPStatus.OK, self.login.exchange(form))
        except Refused as refused:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": str(refused)})

    def _redirect(self, address: str) -> None:
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, status: HTTPStatus, document: dict[str, Any]) -> None:
        """Any page may read it, as with Cognito: whoever has no code gets nothing."""
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""
