"""The JWKS fetcher against a real server on the loopback interface."""

import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from shared import jwks as module
from shared.jwks import JwksCache, KeyFetchError, fetch_jwks, jwks_fetcher
from tests.support.tokens import jwks, signing_key

DOCUMENT = jwks(signing_key().jwk())

Answer = Callable[[BaseHTTPRequestHandler], None]


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what several tests are about."""


class Server:
    """Answers each GET with `answer`, and remembers what was asked."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.stop = Event()
        self.answer: Answer = lambda request: send(request, DOCUMENT)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.paths.append(self.path)
                outer.headers.append(dict(self.headers))
                try:
                    outer.answer(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self.http = QuietServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = False
        self.url = f"http://127.0.0.1:{self.http.server_port}/jwks.json"


def send(
    request: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    request.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def serving(server: Server) -> Iterator[Server]:
    thread = Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.http.shutdown()
        thread.join()
        server.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serving(Server())


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(module, "READ_TIMEOUT_SECONDS", 0.3)
    return 0.3


def test_the_document_arrives_whole(server: Server) -> None:
    assert fetch_jwks(server.url) == DOCUMENT
    assert server.paths == ["/jwks.json"]
    assert server.headers[0]["Accept"] == "application/json"
    assert server.headers[0]["Accept-Encoding"] == "identity"


def test_from_the_network_to_a_key(server: Server) -> None:
    key = JwksCache(jwks_fetcher(server.url)).key(signing_key().kid)
    assert key is not None
    assert key.verify(b"message", signing_key().sign(b"message"))


def test_chunks_are_joined(server: Server) -> None:
    def chunked(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for start in range(0, len(DOCUMENT), 100):
            piece = DOCUMENT[start : start + 100]
            request.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        request.wfile.write(b"0\r\n\r\n")

    server.answer = chunked
    assert fetch_jwks(server.url) == DOCUMENT


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: Server, status: int) -> None:
    server.answer = lambda request: send(request, b"", status=status, headers={"Location": "/elsewhere"})
    with pytest.raises(KeyFetchError, match=str(status)):
        fetch_jwks(server.url)
    assert server.paths == ["/jwks.json"]


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_a_failure_is_not_tried_again(server: Server, status: int) -> None:
    server.answer = lambda request: send(request, b"{}", status=status, headers={"Retry-After": "0"})
    with pytest.raises(KeyFetchError, match=str(status)):
        fetch_jwks(server.url)
    assert len(server.paths) == 1


def test_oversize_is_cut_off(server: Server) -> None:
    server.answer = lambda request: send(request, b" " * (8 * module.MAX_RESPONSE_BYTES))
    with pytest.raises(KeyFetchError, match="more than"):
        fetch_jwks(server.url)


def test_compressed_content_is_not_unpacked(server: Server) -> None:
    server.answer = lambda request: send(request, b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert fetch_jwks(server.url) == b"\x1f\x8b"


def test_a_short_answer_is_a_failure(server: Server) -> None:
    def truncated(request: BaseHTTPRequestHandler) -> None:
        send(request, DOCUMENT[:50], headers={"Content-Length": str(len(DOCUMENT))})
        request.close_connection = True

    server.answer = truncated
    with pytest.raises(KeyFetchError, match="ProtocolError"):
        fetch_jwks(server.url)


def test_silence_ends_at_the_read_timeout(server: Server, short_timeout: float) -> None:
    server.answer = lambda request: send(request, DOCUMENT) if server.stop.wait(10) else None
    started_at = time.monotonic()
    with pytest.raises(KeyFetchError, match="ReadTimeoutError"):
        fetch_jwks(server.url)
    assert short_timeout <= time.monotonic() - started_at < 5


def test_dripping_ends_at_the_deadline(server: Server, short_timeout: float) -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        send(request, b"", headers={"Content-Length": "1000"})
        while not server.stop.wait(0.05):
            request.wfile.write(b" ")

    server.answer = drip
    started_at = time.monotonic()
    with pytest.raises(KeyFetchError, match="too slow"):
        fetch_jwks(server.url)
    assert time.monotonic() - started_at < 5


def test_nobody_listens() -> None:
    server = Server()
    server.http.server_close()
    with pytest.raises(KeyFetchError, match="NewConnectionError"):
        fetch_jwks(server.url)


def test_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed_certificate(tmp_path))
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True, do_handshake_on_connect=False)
    for running in serving(server):
        with pytest.raises(KeyFetchError, match="SSLError"):
            fetch_jwks(running.url.replace("http:", "https:"))
    assert server.paths == []


def self_signed_certificate(folder: Path) -> Path:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    private = signing_key().private
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + pem)
    return path
