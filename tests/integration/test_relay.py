"""A loopback port seen at another address of this machine."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from scripts.local.containers import relay
from scripts.local.containers.engine import Bridge
from scripts.local.containers.relay import relayed
from scripts.local.failure import LocalStackError
from scripts.local.ports import free_port

GATEWAY = "127.0.0.2"
BRIDGE = Bridge(IPv4Address(GATEWAY), IPv4Network("127.0.0.0/8"))
"""Another address of this machine, as the gateway of a containers' network is."""


def give_back(connection: socket.socket) -> None:
    with connection:
        connection.sendall(b"".join(iter(lambda: connection.recv(65536), b"")))


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that gives back what it got once the client has ended its side."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    give_back(server.accept()[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def exchange(address: tuple[str, int], sent: bytes) -> bytes:
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_all_bytes_go_both_ways(echo: int) -> None:
    sent = bytes(range(256)) * 8192
    with relayed(BRIDGE, echo) as port:
        assert exchange((GATEWAY, port), sent) == sent


def test_many_at_once(echo: int) -> None:
    answers: list[bytes] = []
    with relayed(BRIDGE, echo) as port:
        threads = [
            threading.Thread(target=lambda text=text: answers.append(exchange((GATEWAY, port), text)))
            for text in (b"%d" % number for number in range(20))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == sorted(b"%d" % number for number in range(20))


def test_it_listens_at_that_address_alone(echo: int) -> None:
    with relayed(BRIDGE, echo) as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_server_that_is_gone_ends_the_connection() -> None:
    with relayed(BRIDGE, free_port()) as port:
        assert exchange((GATEWAY, port), b"") == b""


def test_afterwards_nothing_listens(echo: int) -> None:
    with relayed(BRIDGE, echo) as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((GATEWAY, port), timeout=5)


def test_an_address_that_comes_later_can_be_had_now() -> None:
    """An engine makes its network with the first container, and the address with it."""
    with relayed(Bridge(IPv4Address("192.0.2.77"), IPv4Network("192.0.2.0/24")), free_port()) as port:
        assert port > 0


def test_whoever_is_not_of_the_network_is_sent_away(echo: int) -> None:
    """Linux takes packets for the address from any interface."""
    with relayed(Bridge(IPv4Address(GATEWAY), IPv4Network("127.0.0.128/25")), echo) as port:
        with pytest.raises(OSError):  # noqa: PT011 - how it shows depends on who is first
            exchange((GATEWAY, port), b"x" * 1_000_000)
        answers = socket.create_connection((GATEWAY, port), timeout=5, source_address=("127.0.0.200", 0))
        with answers:
            answers.sendall(b"x")
            answers.shutdown(socket.SHUT_WR)
            assert answers.recv(10) == b"x"


def test_an_address_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_IP_FREEBIND", 9999)
    with pytest.raises(LocalStackError, match=r"The address 127\.0\.0\.2 of the containers' network cannot be used"):
        relayed(BRIDGE, free_port()).__enter__()
