"""A relay in front of the API through which nothing succeeds at first.

Of each request, told by method, path and Idempotency-Key, the first answer gets lost after the API has done what was
asked, and the second try is turned away: a POST as the API does it, anything else as its gateway. From the third on the
API answers.
"""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.support.serving import serving

_HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "host")


@dataclass
class Unreliable:
    """`tries` counts how often each request came."""

    api: str
    url: str = ""
    tries: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, request: tuple[str, str, str]) -> int:
        with self.lock:
            self.tries[request] += 1
            return self.tries[request]


@contextmanager
def unreliable(api: str) -> Iterator[Unreliable]:
    relay = Unreliable(api)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            count = relay.count((self.command, self.path, self.headers.get("Idempotency-Key", "")))
            if count == 2:
                self._answer(429, [("Retry-After", "1")] if self.command == "POST" else [], b"")
                return
            status, headers, content = self._pass_on(body)
            if count == 1:
                self.close_connection = True
                return
            self._answer(status, headers, content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # as http.server calls them

        def _pass_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(urlsplit(relay.api).netloc, timeout=30)
            try:
                sent = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
                connection.request(self.command, self.path, body=body or None, headers=sent)
                answer = connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                connection.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(Handler) as relay.url:
        yield relay
