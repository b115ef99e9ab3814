"""The product as a user has it: scripts/dev.sh with a folder of its own, or any stage that K9_BASE_URL names.

    K9_BASE_URL=https://abc123.execute-api.us-east-1.amazonaws.com K9_TOKEN=... K9_OTHER_TOKEN=... \
        ./scripts/test.sh tests/e2e

The tokens are of two users. With a named stage only `test_stage.py` runs; the rest is about dev.sh. Tests share
what runs: each minds its own data.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.deployment.stage import Stage, StageError, read_stage
from tests.support.dev import Dev, start_dev

BASE_URL, TOKENS = "K9_BASE_URL", ("K9_TOKEN", "K9_OTHER_TOKEN")

collect_ignore = ["test_dev.py", "test_page.py"] if os.environ.get(BASE_URL) else []


@dataclass(frozen=True)
class Users:
    """The same stage, as one user and as another."""

    one: Stage
    other: Stage


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("k9")


@pytest.fixture(scope="session")
def dev(folder: Path) -> Iterator[Dev]:
    running = start_dev(folder, script=True)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def users(request: pytest.FixtureRequest) -> Users:
    url = os.environ.get(BASE_URL)
    if url:
        return named_stage(url)
    dev: Dev = request.getfixturevalue("dev")
    return Users(dev.stage(), dev.stage("bob"))


def named_stage(url: str) -> Users:
    lacking = [name for name in TOKENS if not os.environ.get(name)]
    if lacking:
        raise pytest.UsageError(f"With {BASE_URL}, set {' and '.join(lacking)} as well: tokens of two users.")
    try:
        one, other = (read_stage(url, os.environ[name]) for name in TOKENS)
    except StageError as error:
        raise pytest.UsageError(f"{BASE_URL} and its tokens: {error}") from error
    return Users(one, other)


@pytest.fixture(scope="module")
def origin() -> str:
    """A web origin that the stage knows; K9_ORIGIN names one of a stage that does not know localhost."""
    return os.environ.get("K9_ORIGIN") or "http://localhost:3000"
