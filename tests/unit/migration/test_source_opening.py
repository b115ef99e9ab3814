"""From an address to its source, and what is said where that does not work."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.migration.sources.opening import open_source
from scripts.migration.sources.options import Options
from scripts.migration.sources.source import SourceError, SourceRow


def _forget(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    for name in modules:
        monkeypatch.delitem(sys.modules, f"scripts.migration.sources.{name}", raising=False)


@pytest.mark.parametrize(
    ("address", "library", "modules"),
    [
        ("duckdb:k9_api.db", "duckdb", ["duckdb_file", "duckdb_reading", "duckdb_values"]),
        ("parquet:reports", "duckdb", ["parquet_files", "duckdb_reading", "duckdb_values"]),
        ("postgresql:", "psycopg", ["postgresql", "postgresql_values"]),
    ],
)
def test_a_library_that_is_missing_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, address: str, library: str, modules: list[str]
) -> None:
    _forget(monkeypatch, *modules)
    monkeypatch.setitem(sys.modules, library, None)
    kind = address.partition(":")[0]
    with pytest.raises(SourceError, match=f"Reading {kind} needs {library}, which is not installed") as missing:
        open_source(address)
    requirements = Path(str(missing.value).rpartition(" ")[2])
    assert requirements == Path("requirements") / f"migrate-{kind}.txt"
    assert f"\n{library}==" in "\n" + (Path(__file__).parents[3] / requirements).read_text()


def test_another_module_that_is_missing_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    _forget(monkeypatch, "duckdb_file", "duckdb_values")
    monkeypatch.setitem(sys.modules, "scripts.migration.sources.json_column", None)
    with pytest.raises(ModuleNotFoundError, match="json_column"):
        open_source("duckdb:k9_api.db")


def test_a_kind_is_imported_when_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "reports.ndjson").write_text('{"id": 1}\n')
    script = (
        "import sys; from scripts.migration.sources.opening import open_source;"
        f"open_source({f'ndjson:{tmp_path}/reports.ndjson'!r});"
        "print(sorted({'duckdb', 'psycopg', 'boto3', 'urllib3'} & set(sys.modules)))"
    )

    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONPATH": "src:."}
    )
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("address", ["k9_api.db", "", "mysql:host", "DUCKDB:x", "https://k9:s3cret@host/"])
def test_an_address_of_no_kind(address: str) -> None:
    with pytest.raises(SourceError, match="is no kind of source: write KIND:PLACE, with one of json, ") as refused:
        open_source(address)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("json", "reports.json", '[{"id": "1"}]'),
        ("ndjson", "reports.ndjson", '{"id": "1"}\n'),
        ("csv", "reports.csv", "id\n1\n"),
    ],
)
def test_files_of_text(tmp_path: Path, kind: str, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    source = open_source(f"{kind}:{tmp_path / name}")
    assert source.collections() == ["reports"]
    (row,) = source.rows("reports")
    assert isinstance(row, SourceRow)
    assert row.values == {"id": "1"}
    source.close()


def test_an_option_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="A source has no option colour; there is type_field"):
        open_source(f"ndjson:{tmp_path}", options={"colour": "blue"})
    for value in (3, ""):
        with pytest.raises(SourceError, match="The option type_field must be a text that is not empty"):
            open_source(f"ndjson:{tmp_path}", options={"type_field": value})


def test_what_a_mapping_wants() -> None:
    assert Options().wants("anything")
    wanted = Options(("users", "k9-*"))
    assert [name for name in ("users", "k9-reports", "reports", "Users") if wanted.wants(name)] == [
        "users",
        "k9-reports",
    ]
