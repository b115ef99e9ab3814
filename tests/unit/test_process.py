"""What a process keeps, and what a copy of it begins without (Lambda SnapStart)."""

import functools
import importlib
import inspect
import json
import pkgutil
import random
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import snapshot_restore_py

import handlers
import shared
from shared.auth import get_verifier
from shared.config import get_settings
from shared.database.manager import DatabaseManager, default_manager
from shared.models import json_text
from shared.process import kept_by_process, per_process, renew

SRC = Path(shared.__file__).parents[1]

COPIES = """
import json, os, random, sys
import snapshot_restore_py
import handlers.reports.create_report
from shared.models import json_text
from shared.process import kept_by_process, renew

def drawn():
    return [random.random(), json_text.dumps([]) and json_text._mark().text]

def copy(on_restore):
    reader, writer = os.pipe()
    state = random.getstate()
    if os.fork() == 0:
        random.setstate(state)  # Python draws it anew in a forked process; SnapStart is no fork
        on_restore()
        os.write(writer, json.dumps(drawn()).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reader, 4096))

for prepare, arguments, keywords in snapshot_restore_py.get_before_snapshot():
    prepare(*arguments, **keywords)
prepared = "shared.database.client" in sys.modules
before = drawn()
restores = [entry[0] for entry in snapshot_restore_py.get_after_restore()]
renewed = [copy(lambda: [restore() for restore in restores]) for _ in range(2)]
careless = [copy(lambda: None) for _ in range(2)]
print(json.dumps({"prepared": prepared, "before": before, "renewed": renewed, "careless": careless}))
"""


@pytest.fixture(scope="module")
def copies() -> dict[str, Any]:
    """A process that is copied after its imports, as the memory of a forked one is."""
    command = [sys.executable, "-c", COPIES]
    done = subprocess.run(command, env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_copies_draw_random_numbers_of_their_own(copies: dict[str, Any]) -> None:
    first, second = copies["renewed"]
    assert first[0] != second[0]


def test_copies_mark_numbers_with_texts_of_their_own(copies: dict[str, Any]) -> None:
    marks = {copies["before"][1], *(mark for _, mark in copies["renewed"])}
    assert len(marks) == 3


def test_without_it_they_would_be_alike(copies: dict[str, Any]) -> None:
    """So that the two above are about `renew`, and not about what copying does by itself."""
    first, second = copies["careless"]
    assert first == second
    assert first[1] == copies["before"][1]


def test_a_copy_has_the_sdk_imported(copies: dict[str, Any]) -> None:
    assert copies["prepared"] is True


def test_renewing_drops_settings_clients_and_keys(manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    old = (get_settings(), manager.client, get_verifier(), json_text._mark())
    monkeypatch.setenv("ENVIRONMENT", "staging")
    renew()
    new = (get_settings(), default_manager().client, get_verifier(), json_text._mark())
    assert all(one is not other for one, other in zip(old, new, strict=True))
    assert get_settings().environment == "staging"


def test_renewing_changes_the_state_of_random_numbers() -> None:
    random.seed(1)
    expected = random.Random(1).random()  # noqa: S311 - not a secret
    renew()
    assert random.random() != expected  # noqa: S311 - not a secret


def test_a_value_is_made_once() -> None:
    made: list[int] = []

    @per_process
    def number() -> int:
        made.append(1)
        return len(made)

    assert (number(), number()) == (1, 1)
    renew()
    assert (number(), made) == (2, [1, 1])


def modules() -> Iterator[str]:
    for package in (shared, handlers):
        yield package.__name__
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield module.name


def test_nothing_else_is_kept_by_a_process() -> None:
    """A cache without arguments is a process's own thing: made by lru_cache alone, a copy would go on with it."""
    caches = {
        f"{module}.{name}": value
        for module in modules()
        for name, value in vars(importlib.import_module(module)).items()
        if isinstance(value, functools._lru_cache_wrapper) and not inspect.signature(value).parameters
    }
    assert "shared.config.get_settings" in caches
    kept = [id(one) for one in kept_by_process()]
    assert [name for name, value in caches.items() if id(value) not in kept] == []


def test_without_lambdas_registry_nothing_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    before = len(snapshot_restore_py.get_after_restore())
    alone = runpy.run_path(str(SRC / "shared" / "process.py"))
    assert alone["before_snapshot"](renew) is renew
    assert len(snapshot_restore_py.get_after_restore()) == before
