"""What every test starts from: a function's environment, and nothing remembered from the test before."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from handlers import worker
from scripts.building.swagger_ui import ensure_swagger_ui
from shared import tasks
from shared.database.manager import DatabaseManager, default_manager
from shared.process import renew
from tests.support.api import Api
from tests.support.emulated import emulated_aws
from tests.support.environment import function_environment
from tests.support.sizes import size
from tests.support.tokens import TokenFactory

settings.register_profile("k9", max_examples=size(100, 25))
settings.load_profile("k9")
sys.path.append(str(ensure_swagger_ui()))  # as a layer is on a function's path

_MEASURED = Path(__file__).parent / "unit"
"""Where tests are whose coverage is measured, which takes as long as they do: they alone reach all of the code."""

_MEASURED_SETS = 3
"""Sets of parameters of a test that are measured: those after them hardly ever reach other code, nor do those that
Hypothesis makes up."""

_OF_SCRIPTS = tuple(_MEASURED / folder for folder in ("building", "deployment", "local", "migration"))

ALICE = "11111111-1111-4111-8111-111111111111"
BOB = "22222222-2222-4222-8222-222222222222"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seen: Counter[str] = Counter()
    for item in items:
        test = item.nodeid.partition("[")[0]
        seen[test] += 1
        is_elsewhere = not item.path.is_relative_to(_MEASURED) or any(map(item.path.is_relative_to, _OF_SCRIPTS))
        is_made_up = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if is_elsewhere or is_made_up or seen[test] > _MEASURED_SETS:
            item.add_marker("no_cover")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in function_environment().items():
        monkeypatch.setenv(name, value)
    renew()
    yield
    renew()


@pytest.fixture
def manager() -> Iterator[DatabaseManager]:
    """The process's manager over tables in moto, in this process: nothing opens a socket."""
    with emulated_aws():
        tasks.set_local_worker(worker.handler)
        yield default_manager()
        assert tasks.wait_for_local_tasks(20)
        tasks.set_local_worker(None)


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> TokenFactory:
    factory = TokenFactory()
    factory.trust(monkeypatch)
    return factory


@pytest.fixture
def alice(manager: DatabaseManager, tokens: TokenFactory) -> Api:
    return Api.as_user(ALICE, tokens, name="Alice Example", email="alice@example.com")


@pytest.fixture
def bob(manager: DatabaseManager, tokens: TokenFactory) -> Api:
    return Api.as_user(BOB, tokens, name="Bob Example", email="bob@example.com")
