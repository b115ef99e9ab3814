"""Requests for the gateway's tests."""

from scripts.local.events import HttpRequest


def http_request(
    method: str = "GET", target: str = "/reports", headers: list[tuple[str, str]] | None = None, body: bytes = b""
) -> HttpRequest:
    return HttpRequest(method, target, headers or [], body, "127.0.0.1", "request-1")
