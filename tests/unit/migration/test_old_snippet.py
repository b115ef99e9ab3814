"""The few lines that older users have to bring their reports over still work, from the project's root as well."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from shared.config import get_settings
from shared.database import DatabaseManager, ReportRepository
from tests.support.migrating import CREATED

SNIPPET = """
import json
from src.shared.database import DBReport, ReportRepository

with open("{export}") as file:
    for item in json.load(file):
        report = DBReport(**item)
        ReportRepository.create_report(report)
"""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "reports.json"
    reports: list[dict[str, Any]] = [
        {"id": f"report-{n}", "user_id": "user-1", "title": f"Report {n}", "author": "Ann", "date": "2021-03-04",
         "reference": {"id": n, "price": 9.5}, "favorites": ["p1", "p2"], "created_at": CREATED}
        for n in range(5)
    ]  # fmt: skip
    path.write_text(json.dumps([*reports, {"user_id": "user-1", "title": "Only what is needed"}]))
    return path


def test_the_old_snippet_works(export: Path, manager: DatabaseManager, tmp_path: Path) -> None:
    """`src.shared` is another module than `shared`, with a manager of its own over the same tables."""
    script = tmp_path / "migrate_reports.py"
    script.write_text(SNIPPET.format(export=export))
    runpy.run_path(str(script))
    assert ReportRepository.count_reports("user-1") == 6
    first = ReportRepository.get_report("report-0", "user-1")
    assert (first.title, first.reference, first.favorites) == ("Report 0", {"id": 0, "price": 9.5}, {"p1", "p2"})
    assert first.created_at == "2021-03-04T05:06:07.000000Z"
    assert len(manager.client.scan(TableName=get_settings().reports_table)["Items"]) == 6
