"""No sockets: what a test reaches over a network is not what it says it tests."""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def no_sockets() -> Iterator[None]:
    """Opening a socket raises SocketBlockedError until the test ends."""
    disable_socket()
    yield
    enable_socket()
