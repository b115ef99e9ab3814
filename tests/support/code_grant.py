"""A hosted login that gives a stage's own token: it sends the user back with a code, and takes code and proof for it.

RFC 6749, section 4.1, with RFC 7636. Everybody who comes is signed in at once.
"""

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.serving import serving


@dataclass
class CodeGrant:
    """`token` is what everybody gets; the first one that is handed out is `first`, if there is one, and useless."""

    token: str
    first: str = ""
    url: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refreshed: int = 0

    def begin(self, query: dict[str, str]) -> str:
        """Where the user is sent back to."""
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def exchange(self, form: dict[str, str]) -> dict[str, object] | None:
        """The tokens; None where code, client, address or proof are not those that the login began with."""
        if form["grant_type"] == "refresh_token":
            self.refreshed += 1
            return {"id_token": self.token, "expires_in": 3600}
        begun = self.codes.pop(form["code"], None)
        proof = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if begun is None or any(begun[name] != form[name] for name in ("client_id", "redirect_uri")):
            return None
        if (begun["code_challenge_method"], begun["code_challenge"]) != ("S256", proof):
            return None
        return {"id_token": self.first or self.token, "refresh_token": "for-renewing", "expires_in": 3600}


@contextmanager
def code_grant(login: CodeGrant) -> Iterator[CodeGrant]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            assert address.path == "/oauth2/authorize"
            self.send_response(302)
            self.send_header("Location", login.begin(dict(parse_qsl(address.query))))
            self.end_headers()

        def do_POST(self) -> None:
            assert self.path == "/oauth2/token"
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            tokens = login.exchange(dict(parse_qsl(form)))
            self.send_response(200 if tokens else 400)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(tokens or {"error": "invalid_grant"}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(Handler) as login.url:
        yield login
