"""Killed with SIGKILL at random moments and resumed: the same rows as after an undisturbed run."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scripts.local.store import Store
from scripts.migration.journal import Journal
from scripts.migration.main import REJECTS
from tests.support.lossy_proxy import lossy_proxy
from tests.support.migrating import tables_digest
from tests.support.migration_process import MAPPING, AwkwardRows, Place, kill_after, run, start
from tests.support.sizes import size
from tests.support.stack import running_store

MIGRATIONS, KILLS_EACH = size(5, 2), 5
ROWS, UNITS_A_SECOND = 900, 700
"""Slowed down so that it writes for three seconds in all."""

APPLY = ("apply", "ndjson:../old", "--mapping", "../mapping.yaml", "--accept-rejects")
PACE = ("--max-wcu", str(UNITS_A_SECOND), "--threads", "6")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("store"), environment=None) as running:
        yield running


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    AwkwardRows(folder / "old", ROWS, owners=7, has_large=False).write()
    (folder / "mapping.yaml").write_text(MAPPING)
    return folder


@pytest.fixture(scope="module")
def undisturbed(store: Store, source: Path) -> Place:
    place = Place.make(store, "undisturbed")
    (source / "undisturbed").mkdir()
    status, said = run(place, source / "undisturbed", *APPLY)
    assert status == REJECTS, said
    return place


@pytest.mark.parametrize("seed", range(MIGRATIONS))
def test_a_run_that_is_killed_and_resumed_again_and_again_ends_the_same(
    seed: int, store: Store, source: Path, undisturbed: Place
) -> None:
    moments = random.Random(seed)  # noqa: S311 - not a secret
    place, folder = Place.make(store, f"killed-{seed}"), source / f"killed-{seed}"
    folder.mkdir()
    kills, in_writing = 0, 0
    while kills < KILLS_EACH:
        process = start(place, folder, *_next_verb(folder), *PACE)
        if kills == 0:  # wherever it is: starting, reading
            was_killed = kill_after(process, moments.uniform(0.3, 1.0))
        else:
            was_killed = kill_after(process, moments.uniform(0, 0.6), line="reading:")
        assert was_killed, "the run ended before it could be killed: slow it down"
        kills += 1
        in_writing += _phase(folder) == "writing"
    assert in_writing >= KILLS_EACH - 2, "too few kills met a run that was writing"
    assert _written(folder), "no run got as far as its first acknowledgement"
    status, said = run(place, folder, *_next_verb(folder))
    assert status == REJECTS, said
    assert tables_digest(place.target()) == tables_digest(undisturbed.target())


def test_a_second_run_of_the_whole_sends_no_write(store: Store, source: Path, undisturbed: Place) -> None:
    place = Place.make(store, "twice")
    (source / "twice").mkdir()
    assert run(place, source / "twice", *APPLY)[0] == REJECTS
    with lossy_proxy(store.endpoint) as proxy:
        status, said = run(place.through(proxy.endpoint), source / "twice", *APPLY)
    assert status == REJECTS, said
    writes = [name for name in proxy.requests if name in ("PutItem", "BatchWriteItem", "UpdateItem", "DeleteItem")]
    assert writes == ["PutItem", "DeleteItem"]  # the lock is taken and given back
    assert "BatchGetItem" in proxy.requests
    assert tables_digest(place.target()) == tables_digest(undisturbed.target())


def _next_verb(folder: Path) -> tuple[str, ...]:
    """What a person would type: apply until something was written, resume after that."""
    return ("resume",) if _phase(folder) == "writing" else APPLY


def _phase(folder: Path) -> str | None:
    path = folder / ".migration" / "journal.sqlite"
    if not path.exists():
        return None
    with closing(Journal(path)) as journal:
        return journal.get("phase")


def _written(folder: Path) -> int:
    """Rows that are acknowledged so far."""
    if _phase(folder) is None:
        return 0
    with closing(Journal(folder / ".migration" / "journal.sqlite")) as journal:
        return sum(journal.outcome_counts().values())
