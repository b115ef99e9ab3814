"""The product as a user starts it: scripts/dev.sh, one folder of state, one process at a time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dev import Dev, start_dev


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("k9")


@pytest.fixture(scope="module")
def dev(folder: Path) -> Iterator[Dev]:
    running = start_dev(folder, script=True)
    yield running
    assert running.stop() == 0
