"""The HTTP server on real sockets, with handlers made up for it."""

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from scripts.local.api import Api
from scripts.local.context import LambdaContext
from scripts.local.failure import LocalStackError
from scripts.local.gateway import MAX_BODY_BYTES, Gateway, PortInUse, ensure_port_is_free
from scripts.local.template import Cors, Route

RULES = Cors(("https://app",), ("GET", "POST"), ("authorization",), ("ETag",), 600)
ROUTES = [
    Route("POST", "/echo", "made_up.echo", "Echo", open=False, timeout=25),
    Route("GET", "/slow", "made_up.slow", "Slow", open=False, timeout=25),
]
SLOW_SECONDS = 0.6


def echo(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(event)}


def slow(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    time.sleep(SLOW_SECONDS)
    return {"statusCode": 200, "body": "done"}


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    module = ModuleType("made_up")
    module.__dict__.update(echo=echo, slow=slow)
    monkeypatch.setitem(sys.modules, "made_up", module)
    served = Gateway(Api(ROUTES, RULES), 0)
    served.start()
    yield served
    served.stop()


@pytest.fixture
def connection(gateway: Gateway) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    yield made
    made.close()


def raw(gateway: Gateway, text: bytes) -> bytes:
    """The whole answer to what is sent as it is."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def has_ipv6_loopback() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def test_a_connection_serves_many_requests(connection: http.client.HTTPConnection) -> None:
    for number in range(3):
        connection.request("POST", f"/echo?n={number}", body=b"{}", headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        event = json.loads(answer.read())
        assert (answer.status, event["rawQueryString"], event["body"]) == (200, f"n={number}", "{}")


@pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no IPv6 loopback")
def test_both_loopback_addresses_answer(gateway: Gateway) -> None:
    connection = http.client.HTTPConnection("::1", gateway.port, timeout=5)
    connection.request("GET", "/nowhere")
    assert connection.getresponse().status == 404
    connection.close()


def test_chunked_bodies_arrive_whole(connection: http.client.HTTPConnection) -> None:
    headers = {"Content-Type": "text/plain"}
    connection.request("POST", "/echo", body=iter([b"one ", b"two"]), headers=headers, encode_chunked=True)
    assert json.loads(connection.getresponse().read())["body"] == "one two"


def test_a_body_that_is_too_large_is_not_read(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/echo")
    connection.putheader("Content-Length", str(MAX_BODY_BYTES + 1))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("connection")) == (413, "close")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Content-Length: +1",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Content-Length: 9",
        b"Transfer-Encoding: chunked\r\n\r\nzz",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc",
    ],
)
def test_bodies_of_unclear_length_are_refused(gateway: Gateway, head: bytes) -> None:
    answer = raw(gateway, b"POST /echo HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"urn:k9:problem:malformed-request" in answer


def test_what_is_not_http_gets_a_problem(gateway: Gateway) -> None:
    answer = raw(gateway, b"GARBAGE\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


def test_an_unknown_method_is_no_route(gateway: Gateway) -> None:
    assert raw(gateway, b"BREW /echo HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 404 ")


def test_head_has_no_body(connection: http.client.HTTPConnection) -> None:
    connection.request("HEAD", "/echo")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (404, b"")


def test_preflights(connection: http.client.HTTPConnection) -> None:
    headers = {"Origin": "https://app", "Access-Control-Request-Method": "POST"}
    connection.request("OPTIONS", "/echo", headers=headers)
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("access-control-allow-origin")) == (204, "https://app")


def test_a_stop_waits_for_what_is_in_flight(gateway: Gateway) -> None:
    answers: list[tuple[int, bytes]] = []

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
        connection.request("GET", "/slow")
        answer = connection.getresponse()
        answers.append((answer.status, answer.read()))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(SLOW_SECONDS / 2)
    gateway.stop()
    for thread in threads:
        thread.join()
    assert answers == [(200, b"done")] * 5


def test_a_stop_does_not_wait_for_idle_connections(gateway: Gateway, connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/nowhere")
    connection.getresponse().read()
    began = time.monotonic()
    gateway.stop()
    assert time.monotonic() - began < 2


def test_a_taken_port_is_named(gateway: Gateway) -> None:
    with pytest.raises(PortInUse, match=f"Port {gateway.port} is in use .* --port {gateway.port + 1}"):
        Gateway(Api([], RULES), gateway.port)
    with pytest.raises(PortInUse):
        ensure_port_is_free(gateway.port)


def test_a_port_that_may_not_be_opened_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(server: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("scripts.local.gateway._Server.server_bind", refuse)
    with pytest.raises(LocalStackError, match="choose one above 1023"):
        Gateway(Api([], RULES), 80)
