"""Credentials as Lambda gives them to a process that SnapStart restores: asked for over HTTP, and good for a while.

With SnapStart no key stands in the environment, since a copy would outlive it.
"""

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.config import get_settings
from shared.database.client import new_client
from shared.process import renew


class _Endpoint(http.server.BaseHTTPRequestHandler):
    answers: list[str]
    """The access keys that are still to be given out; the last one is good for an hour, others are about to end."""

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == "a-token"
        left = timedelta(minutes=1 if len(self.answers) > 1 else 60)
        document = {
            "AccessKeyId": self.answers.pop(0),
            "SecretAccessKey": "secret",
            "Token": "session",
            "Expiration": (datetime.now(UTC) + left).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Endpoint]]:
    _Endpoint.answers = ["FIRST", "SECOND"]
    with http.server.HTTPServer(("127.0.0.1", 0), _Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        address = f"http://127.0.0.1:{server.server_address[1]}/credentials"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a-token")
        renew()
        yield _Endpoint
        server.shutdown()


def test_they_are_found_and_renewed_before_they_end(endpoint: type[_Endpoint]) -> None:
    credentials = new_client(get_settings())._request_signer._credentials  # type: ignore[attr-defined]
    assert credentials.method == "container-role"
    assert credentials.get_frozen_credentials().access_key == "SECOND"
    assert endpoint.answers == []
