"""The client's tests run over both of its surfaces, and open no socket but the pair that wakes asyncio's loop."""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket

from tests.unit.client.world import SURFACES, Surface, World


@pytest.fixture(autouse=True)
def no_sockets() -> Iterator[None]:
    """As in the other unit tests, but for unix sockets."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=sorted(SURFACES))
def surface(request: pytest.FixtureRequest, world: World) -> Surface:
    return SURFACES[request.param](world)
