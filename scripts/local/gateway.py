"""The HTTP server around the API: loopback only, keep-alive, bounded bodies, an end that waits for open requests."""

import contextlib
import errno
import logging
import re
import socket
import threading
import time
import uuid
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from scripts.local.api import Api, HttpAnswer
from scripts.local.events import HttpRequest
from scripts.local.failure import LocalStackError
from shared.errors import ApiError, MalformedRequest, NotFound, PayloadTooLarge

MAX_BODY_BYTES = 10 * 1024 * 1024
"""API Gateway's own limit; the handlers set a lower one."""

_ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_IDLE_SECONDS = 65.0
_BACKLOG = 128
_NO_BODY = (204, 304)
_LOG = logging.getLogger("k9.local")


class PortInUse(LocalStackError):
    """Something else listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} is in use by another program. End that program, or choose another port: "
            f"./scripts/dev.sh --port {port + 1 if port < 65535 else 3001}"
        )


def ensure_port_is_free(port: int) -> None:
    """Raises PortInUse before anything else is started; the gateway itself opens the port later."""
    for family, address in _ADDRESSES:
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            probe.settimeout(1)
            if port and probe.connect_ex((address, port)) == 0:
                raise PortInUse(port)


class Gateway:
    """Serves the API on both loopback addresses, since `localhost` may mean either."""

    def __init__(self, api: Api, port: int) -> None:
        self._servers: list[_Server] = []
        self._threads: list[threading.Thread] = []
        try:
            for family, address in _ADDRESSES:
                self._listen(family, address, api, port)
        except BaseException:
            self._close()
            raise

    @property
    def port(self) -> int:
        return int(self._servers[0].server_address[1])

    def start(self) -> None:
        for server in self._servers:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Accepts nothing more, lets requests in flight end, then closes."""
        for server in self._servers if self._threads else ():
            server.shutdown()
        for server in self._servers:
            server.end_idle_connections()
        self._close()

    def _listen(self, family: socket.AddressFamily, address: str, api: Api, port: int) -> None:
        wanted = self.port if self._servers else port
        try:
            self._servers.append(_Server(family, (address, wanted), api))
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise PortInUse(wanted) from exc
            if exc.errno == errno.EACCES:
                raise LocalStackError(f"Port {wanted} may not be opened by this user: choose one above 1023.") from exc
            if family == socket.AF_INET:
                raise
            _LOG.debug("no IPv6 loopback: %s", exc)

    def _close(self) -> None:
        for server in self._servers:
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = _BACKLOG

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int], api: Api) -> None:
        self.address_family = family
        self.api = api
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._ending = False
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        # The base class looks the host's name up, which can take seconds without a network.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()[:2]
        self.server_name, self.server_port = "localhost", int(self.server_address[1])

    def opened(self, connection: socket.socket) -> None:
        with self._guard:
            self._connections.add(connection)
            if self._ending:
                _end_reading(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._guard:
            self._connections.discard(connection)

    def end_idle_connections(self) -> None:
        """Closes the reading side alone: an idle connection ends, a request in flight still gets its answer."""
        with self._guard:
            self._ending = True
            for connection in self._connections:
                _end_reading(connection)


def _end_reading(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._api_server.opened(self.connection)

    def finish(self) -> None:
        self._api_server.closed(self.connection)
        with contextlib.suppress(ConnectionError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def _serve(self) -> None:
        began = time.monotonic()
        request = self._request(b"")
        try:
            request = self._request(self._read_body())
            answer = self._api_server.api.answer(request)
        except ApiError as error:
            # The rest of the body is still on its way, so the connection cannot be used again.
            self.close_connection = True
            answer = self._api_server.api.problem(request, error)
        self._send(answer)
        milliseconds = (time.monotonic() - began) * 1000
        _LOG.info("%s %s %d %.0f ms", request.method, ascii(request.raw_path)[1:-1], answer.status, milliseconds)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

    def _request(self, body: bytes) -> HttpRequest:
        return HttpRequest(
            method=self.command,
            target=self.path,
            headers=[(name, value.strip()) for name, value in self.headers.items()],
            body=body,
            source_ip=str(self.client_address[0]),
            request_id=str(uuid.uuid4()),
        )

    def _read_body(self) -> bytes:
        if self.headers.get_all("Transfer-Encoding"):
            return self._read_chunks()
        length = self._content_length()
        body = self.rfile.read(length)
        if len(body) != length:
            raise MalformedRequest(f"The body ended after {len(body)} of {length} bytes.")
        return body

    def _content_length(self) -> int:
        stated = set(self.headers.get_all("Content-Length", ["0"]))
        length = stated.pop()
        if stated or not (length.isascii() and length.isdigit()):
            raise MalformedRequest("Content-Length is not one number.")
        return self._bounded(int(length))

    def _bounded(self, size: int) -> int:
        if size > MAX_BODY_BYTES:
            raise PayloadTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
        return size

    def _read_chunks(self) -> bytes:
        codings = self.headers.get_all("Transfer-Encoding", [])
        if [coding.strip().lower() for coding in codings] != ["chunked"] or "Content-Length" in self.headers:
            raise MalformedRequest("The length of the body is stated in a way that cannot be read.")
        body = bytearray()
        while size := self._chunk_size():
            self._bounded(len(body) + size)
            body += self.rfile.read(size)
            if self.rfile.readline(3).strip():
                raise MalformedRequest("A chunk of the body does not end where it says.")
        while self.rfile.readline(1024).strip():
            continue
        return bytes(body)

    def _chunk_size(self) -> int:
        stated = self.rfile.readline(1024).partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", stated):  # RFC 9112, section 7.1; int() alone would take -5 and 0x10
            raise MalformedRequest("A chunk of the body has no readable size.")
        return int(stated, 16)

    def _send(self, answer: HttpAnswer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status not in _NO_BODY:
            self.send_header("content-length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD" and answer.status not in _NO_BODY:
            self.wfile.write(answer.body)
        self.wfile.flush()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses by itself (a request line or header that cannot be read), in the API's shape."""
        self.close_connection = True
        self.request_version = "HTTP/1.1"
        self.command = getattr(self, "command", None) or "GET"
        target = getattr(self, "path", None) or "/"
        request = HttpRequest(self.command, target, [], b"", str(self.client_address[0]), str(uuid.uuid4()))
        error = NotFound if code == HTTPStatus.NOT_IMPLEMENTED else MalformedRequest
        self._send(self._api_server.api.problem(request, error(f"{message or explain or code}.")))

    def version_string(self) -> str:
        return "k9-local"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """`_serve` logs one line with the time that it took."""

    @property
    def _api_server(self) -> _Server:
        return cast(_Server, self.server)
