"""A user pool for the length of a run: one RSA key, one signed token, and the JWKS on a loopback address."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from benchmarks.scene import claims

_KID = "bench-key-1"


@dataclass(frozen=True)
class Pool:
    token: str
    jwks_url: str


@contextmanager
def running_pool() -> Iterator[Pool]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _server_of(_jwks(private)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Pool(_token(private), f"http://127.0.0.1:{server.server_port}/jwks.json")
    finally:
        server.shutdown()
        server.server_close()


def _server_of(document: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: Any) -> None:
            """A line per cold start would bury the table."""

    return Handler


def _jwks(private: rsa.RSAPrivateKey) -> bytes:
    numbers = private.public_key().public_numbers()
    n, e = (_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
    key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": _KID, "n": n, "e": e}
    return json.dumps({"keys": [key]}).encode()


def _token(private: rsa.RSAPrivateKey) -> str:
    header = _base64url(json.dumps({"kid": _KID, "alg": "RS256"}).encode())
    signed = f"{header}.{_base64url(json.dumps(claims()).encode())}"
    return f"{signed}.{_base64url(private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()
