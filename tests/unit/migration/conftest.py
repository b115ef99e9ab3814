"""Tables in moto, in this process, and a folder for each migration."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.migration.target import Target
from scripts.migration.work import WorkFolder
from shared.config import get_settings
from shared.database import DatabaseManager
from tests.support.migrating import Migration

Rows = Mapping[str, Sequence[Mapping[str, Any] | str]]


@pytest.fixture
def target(manager: DatabaseManager) -> Target:
    return Target(get_settings(), connections=4)


@pytest.fixture
def migration(target: Target, tmp_path: Path) -> Callable[[Rows], Migration]:
    """Makes a migration of rows into the tables; all those of one test share a folder."""
    return lambda rows: Migration(WorkFolder(tmp_path), target, rows)
