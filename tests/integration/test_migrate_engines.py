"""On the strictest engine: what moto and the embedded store let pass, DynamoDB would refuse."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scripts.migration.journal import Journal
from scripts.migration.reading import Contents
from scripts.migration.run import Pace
from scripts.migration.target import Target
from scripts.migration.verifying import Verifier
from scripts.migration.work import WorkFolder
from shared.config import Settings
from shared.database import EmbeddingRepository, ReportRepository
from tests.support.engines import Engine, dynoxide_engine
from tests.support.migrating import ListSource, Migration, note, tables_digest, vector

LONG = "語" * 200
ROWS = {
    "people": [{"sub": "user-0", "name": "Ann", "created": "2019-01-01T00:00:00Z"}],
    "notes": [
        note(
            n,
            sub=f"user-{n % 3}",
            favorites=["a", LONG],
            reference={"": {"d": [n, 12345678901234567890123456789012345678]}},
        )
        for n in range(120)
    ],
    "vectors": [vector(n, sub=f"user-{n % 3}", model=f"m-{n % 2}") for n in range(1, 121)],
}


@pytest.fixture
def engine() -> Iterator[Engine]:
    with dynoxide_engine() as running:
        yield running


def target_of(engine: Engine) -> Target:
    """Without a bucket, which this engine does not have."""
    environ = engine.settings(engine.endpoint).environ
    return Target(Settings({name: value for name, value in environ.items() if name != "SIMILARITY_BUCKET"}))


@pytest.mark.parametrize("batches", [True, False])
def test_everything_arrives_once_and_stays_as_users_leave_it(batches: bool, engine: Engine, tmp_path: Path) -> None:
    target = target_of(engine)
    made = Migration(WorkFolder(tmp_path), target, ROWS, pace=Pace(threads=8, batches=batches))
    assert made.apply() == {"WRITTEN": 241}
    whole = tables_digest(target)
    assert made.apply() == {"PRESENT": 241}
    assert tables_digest(target) == whole

    ReportRepository(target.reader).update_report("note-1", "user-1", {"title": "Mine"})
    EmbeddingRepository(target.reader).delete_embedding("p1", "user-1", "m-1")
    better = {**ROWS, "notes": [{**row, "author": "Ann"} for row in ROWS["notes"]]}
    assert Migration(WorkFolder(tmp_path), target, better).apply() == {"PRESENT": 120, "REPLACED": 119, "KEPT": 2}
    assert ReportRepository(target.reader).get_report("note-1", "user-1").title == "Mine"


def test_verification_reads_more_than_one_answer_holds(engine: Engine, tmp_path: Path) -> None:
    """A hundred rows of 200 KB: BatchGetItem answers at most 16 MB, and leaves keys for later."""
    target = target_of(engine)
    rows = {"notes": [note(n, reference={"text": "x" * 200_000}) for n in range(100)]}
    made = Migration(WorkFolder(tmp_path), target, rows)
    made.apply()
    with closing(Journal(made.folder.journal)) as journal:
        found = Verifier(Contents(ListSource(rows), made.mapping), journal, target, "old-k9").run()
    assert found.is_right
    assert found.by_state["equal"] == 100
