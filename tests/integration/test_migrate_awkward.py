"""10,000 rows of every awkward kind (50,000 in full size) into the embedded store, by the commands that people type."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local.store import Store
from scripts.migration.canonical import MultisetDigest
from scripts.migration.exporting import all_rows
from scripts.migration.main import REJECTS
from scripts.migration.target_rows import visible_digest
from shared.database import EmbeddingRepository, ModelVersionRepository, ReportRepository
from tests.support.migration_process import MAPPING, AwkwardRows, Place, run
from tests.support.sizes import size
from tests.support.stack import start_store

ROWS = size(50_000, 10_000)


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Killed in the end, as nobody needs what it would take long to save."""
    running = start_store(tmp_path_factory.mktemp("store"), environment=None)
    yield running
    running.kill()


def test_awkward_rows_arrive_and_every_other_is_a_reject(store: Store, tmp_path: Path) -> None:
    rows = AwkwardRows(tmp_path / "old", ROWS).write()
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    place = Place.make(store, "awkward")
    status, said = run(place, tmp_path, "apply", "ndjson:old", "--mapping", "mapping.yaml", "--accept-rejects")
    assert status == REJECTS, said
    report = json.loads((tmp_path / ".migration" / "report.json").read_text())
    assert report["reading"]["rejects"] == rows.rejects
    assert report["reading"]["accepted"] == rows.accepted
    assert report["reading"]["identical_duplicates"] == rows.identical
    assert report["writing"]["outcomes"] == {"written": rows.accepted.total()}

    assert report["reading"]["content_digest"] == _digest_of_tables(place)
    _check_some_rows(place)


def _digest_of_tables(place: Place) -> str:
    """As verify takes it, without another reading of the source."""
    digest, target = MultisetDigest(), place.target()
    for table in target.tables:
        digest.add_all(visible_digest(row) for row in all_rows(target, table))
    return digest.hex()


def _check_some_rows(place: Place) -> None:
    """What the repositories read is what the generator wrote, whatever the tool says of itself."""
    manager = place.target().reader
    report = ReportRepository(manager).get_report("report-0", "user-0")
    assert report.reference is not None
    assert report.reference["n"] == 12345678901234567890123456789012345678
    assert report.reference["nested"] == {"": None, "list": [[], {}, True, {"deep": [0]}]}
    assert report.created_at == "2019-01-01T00:00:00.000000Z"
    by_form = [ReportRepository(manager).get_report(f"report-{n}", f"user-{n}").created_at for n in range(5, 10)]
    assert by_form == [
        "2019-01-01T00:05:00.000000Z",
        "2019-01-01T00:06:00.000000Z",
        "2019-01-01T00:00:00.000000Z",
        "2019-01-01T00:08:00.000000Z",
        "2019-01-01T00:09:00.000000Z",
    ]
    large = ReportRepository(manager).get_report("report-7", "user-7")
    assert len(large.favorites) == 500
    assert ReportRepository(manager).count_reports("user-1") > ROWS // 100
    assert ModelVersionRepository(manager).list_model_versions("user-1") == {"model-0": 8, "model-1": 8, "model-2": 8}
    assert sum(1 for _ in EmbeddingRepository(manager).get_embeddings_by_model("user-1", "model-1")) > ROWS // 500
