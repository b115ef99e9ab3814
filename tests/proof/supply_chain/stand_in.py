"""Stands in for the registries, on this machine: what pip-audit and npm ask for advisories, and what they are told.

pip-audit has one address built in, over TLS. So this is its proxy, which answers instead of passing on, with a
certificate that is made for the run: the program itself is as it is everywhere.
"""

import gzip
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_AUTHORITY = "K9 API's stand-in"
_BULK = "/-/npm/v1/security/advisories/bulk"
_CLOCKS_APART = timedelta(days=1)


@dataclass(slots=True)
class Known:
    """What the registries know; without anything, as a mirror that has packages alone."""

    python: dict[tuple[str, str], str] = field(default_factory=dict)
    """The advisory's id, by package and version."""

    npm: dict[str, str] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)
    """Packages of Python that it has never heard of."""

    is_mute: bool = False
    """It answers no question for advisories at all."""


@contextmanager
def running_stand_in(known: Known) -> Iterator[dict[str, str]]:
    """The variables by which pip-audit and npm ask it."""
    with tempfile.TemporaryDirectory() as folder:
        authority = _Authority(Path(folder))
        with _serving(known, authority) as address:
            yield {
                "HTTPS_PROXY": address,
                "https_proxy": address,
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
                "REQUESTS_CA_BUNDLE": str(authority.certificate),
                "npm_config_registry": f"{address}/",
                "npm_config_cache": f"{folder}/npm",
                "npm_config_fetch_retries": "0",
                "npm_config_update_notifier": "false",
            }


@contextmanager
def _serving(known: Known, authority: "_Authority") -> Iterator[str]:
    class Handler(_Handler):
        pass

    Handler.known, Handler.authority = known, authority
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    known: Known
    authority: "_Authority"
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        """From here on the connection is the registry's own."""
        self.send_response(200)
        self.end_headers()
        host = self.path.rpartition(":")[0]
        secure = self.authority.context(host).wrap_socket(self.connection, server_side=True)
        self.connection = secure
        self.rfile = secure.makefile("rb")
        self.wfile = cast(Any, secure.makefile("wb", buffering=0))
        self.close_connection = False

    def do_GET(self) -> None:
        match self.path.strip("/").split("/"):
            case ["pypi", name, version, "json"] if not self.known.is_mute and name not in self.known.strangers:
                self._answer(200, {"vulnerabilities": self._of(name, version)})
            case [name] if name in self.known.npm:
                self._answer(200, {"name": name, "versions": {}, "dist-tags": {}})
            case _:
                self._answer(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.known.is_mute or self.path != _BULK:
            return self._answer(405, {})
        asked = json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        told = {name: [_of_npm(name, self.known.npm[name])] for name in asked if name in self.known.npm}
        self._answer(200, told)

    def _of(self, name: str, version: str) -> list[dict[str, Any]]:
        known = self.known.python.get((name, version))
        return [{"id": f"PYSEC-{known}", "aliases": [known], "fixed_in": [], "summary": "made up"}] if known else []

    def _answer(self, status: int, document: Mapping[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what was asked shows in what comes of it."""


def _of_npm(name: str, known: str) -> dict[str, Any]:
    """As npm's documentation of `npm audit` has it, under "Bulk Advisory Endpoint"."""
    return {
        "id": 1,
        "url": f"https://github.com/advisories/{known}",
        "title": f"made up, in {name}",
        "severity": "high",
        "vulnerable_versions": "*",
    }


class _Authority:
    """Makes certificates for whichever host a client believes to speak to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        own = self._signed(self._key, _AUTHORITY, x509.BasicConstraints(ca=True, path_length=None))
        self.certificate = folder / "authority.pem"
        self.certificate.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._made(host)
            return self._contexts[host]

    def _made(self, host: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(key, host, x509.SubjectAlternativeName([x509.DNSName(host)]))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / "server.pem"
        file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _signed(self, key: ec.EllipticCurvePrivateKey, name: str, extension: x509.ExtensionType) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(_AUTHORITY))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCKS_APART)
            .not_valid_after(now + _CLOCKS_APART)
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(self._key, hashes.SHA256())
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
