"""A proxy in front of a DynamoDB engine that passes a request on, waits until it is applied, and drops the answer."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from tests.support.serving import serving


def _nothing() -> None:
    pass


@dataclass
class LossyProxy:
    """Drops the next `losses` answers of `operation`; `between` runs after each, before the client can try again."""

    endpoint: str = ""
    operation: str = ""
    losses: int = 0
    between: Callable[[], Any] = _nothing
    fired: int = 0
    requests: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def lose(self, operation: str, times: int = 1, between: Callable[[], Any] = _nothing) -> None:
        self.operation, self.losses, self.between, self.fired = operation, times, between, 0

    def takes(self, operation: str) -> bool:
        """Whether this answer is to be lost; counts it."""
        with self.lock:
            self.requests.append(operation)
            if operation != self.operation or self.fired >= self.losses:
                return False
            self.fired += 1
            return True


@contextmanager
def lossy_proxy(upstream: str) -> Iterator[LossyProxy]:
    """A proxy to the engine at `upstream`, on a free port of the loopback interface."""
    proxy = LossyProxy()
    with serving(_handler(proxy, upstream)) as proxy.endpoint:
        yield proxy


def _handler(proxy: LossyProxy, upstream: str) -> type[BaseHTTPRequestHandler]:
    address = urlsplit(upstream)
    assert address.hostname

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            lost = proxy.takes(self.headers["X-Amz-Target"].rpartition(".")[2])
            status, headers, content = self._forward(body)
            if lost:
                proxy.between()
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
            try:
                connection.request("POST", self.path, body, dict(self.headers))
                answer = connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                connection.close()

        def log_message(self, format: str, *arguments: object) -> None:
            """Silent: the tests look at what the proxy counted."""

    return Handler
