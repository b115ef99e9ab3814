"""Parquet files: those that pyarrow 26 wrote are in data/, so that not all are of the engine that reads them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isnan
from pathlib import Path

import duckdb
import pytest

from scripts.migration.sources.opening import open_source
from scripts.migration.sources.source import Source, SourceError, SourceRow
from tests.support.flat_memory import growth
from tests.support.old_rows import EMBEDDING, REPORT, USER, assert_arrived, migrated

_DATA = Path(__file__).parent / "data"
_PYARROW = _DATA / "pyarrow.parquet"


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    source = open_source(f"parquet:{path}")
    try:
        yield source
    finally:
        source.close()


def _written(path: Path, query: str, options: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet{options})")
    return path


def test_what_pyarrow_wrote_in_three_row_groups() -> None:
    """Dictionary, decimal128, timestamps of three units, a fixed zone, nested types, NaN, float16, unsigned."""
    with _opened(_PYARROW) as source:
        assert source.collections() == ["pyarrow"]
        rows = [row for row in source.rows("pyarrow") if isinstance(row, SourceRow)]
    assert len(rows) == 40
    first = dict(rows[0].values)
    assert rows[0].position == "pyarrow.parquet:1"
    assert isnan(first.pop("ratio"))
    assert first == {
        "id": "r0",
        "kind": "hund 🐕",
        "price": Decimal("12345678901234567890123456789012345678"),
        "at_ms": datetime(2024, 1, 2, 3, 4, 5, 678000),  # noqa: DTZ001 the column has no zone
        "at_us": datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "at_ns": "2024-01-02 03:04:05.678901234+00",
        "day": date(2024, 2, 29),
        "vector": [0.5, -1.25, 0.0],
        "reference": {"id": "p1", "tags": ["a", None, ""], "deep": {"n": 0}},
        "labels": {"k": 1, "l": 2},
        "raw": b"\x00\xff",
        "none": "",
        "huge": 2**64 - 1,
        "time": "10:20:30",
        "half": 1.5,
    }
    assert rows[39].values["id"] == "r39"
    assert rows[38].values["none"] is None
    assert rows[39].values["vector"] == [0.5, -1.25, 39.0]


def test_the_shipped_mapping_brings_old_rows_over(tmp_path: Path) -> None:
    for name, row in {"users": USER, "reports": REPORT, "embeddings": EMBEDDING}.items():
        (tmp_path / "row.json").write_text(json.dumps(row))
        read = f"*, 0 AS __index_level_0__ FROM read_json('{tmp_path}/row.json', convert_strings_to_integers = false)"
        _written(tmp_path / "old" / name / "0.parquet", f"SELECT {read}")
    with _opened(tmp_path / "old") as source:
        assert_arrived(migrated(source, "k9-parquet"))


def test_decimals_that_would_lose_digits_are_refused() -> None:
    with (
        _opened(_DATA / "pyarrow_decimal256.parquet") as source,
        pytest.raises(SourceError, match="decimals of 50 digits in the column n"),
    ):
        list(source.rows("pyarrow_decimal256"))


def test_a_folder_of_files_and_folders(tmp_path: Path) -> None:
    _written(tmp_path / "users.parquet", "SELECT 'u1' AS id")
    _written(tmp_path / "reports" / "part-1.parquet", "SELECT 'r2' AS id, 'new' AS title")
    _written(tmp_path / "reports" / "part-0.parquet", "SELECT 'r1' AS id")
    (tmp_path / "reports" / "_SUCCESS").touch()
    _written(tmp_path / "reports" / "_temporary" / "part-2.parquet", "SELECT 'half' AS id")
    (tmp_path / "notes.txt").write_text("not data")
    with _opened(tmp_path) as source:
        assert source.collections() == ["reports", "users"]
        assert list(source.rows("reports")) == [
            SourceRow("reports/part-0.parquet:1", {"id": "r1"}),
            SourceRow("reports/part-1.parquet:1", {"id": "r2", "title": "new"}),
        ]
        assert list(source.rows("users")) == [SourceRow("users.parquet:1", {"id": "u1"})]
        assert source.left_out() == {"other files": 3}


def test_folders_that_say_a_column_add_it(tmp_path: Path) -> None:
    _written(tmp_path / "reports" / "user_id=a%2Fb" / "kind=x" / "0.parquet", "SELECT 1 AS id")
    _written(tmp_path / "reports" / "user_id=__HIVE_DEFAULT_PARTITION__" / "0.parquet", "SELECT 2 AS id")
    for path in (tmp_path, tmp_path / "reports"):
        with _opened(path) as source:
            assert source.collections() == ["reports"]
            assert list(source.rows("reports")) == [
                SourceRow("reports/user_id=__HIVE_DEFAULT_PARTITION__/0.parquet:1", {"id": 2, "user_id": None}),
                SourceRow("reports/user_id=a%2Fb/kind=x/0.parquet:1", {"id": 1, "user_id": "a/b", "kind": "x"}),
            ]


def test_a_column_that_the_file_has_as_well_as_its_folder_is_refused(tmp_path: Path) -> None:
    _written(tmp_path / "reports" / "user_id=a" / "0.parquet", "SELECT 1 AS id, 'b' AS user_id")
    with _opened(tmp_path) as source, pytest.raises(SourceError, match="has a column user_id, and so has its folder"):
        list(source.rows("reports"))


def test_a_file_name_is_no_pattern(tmp_path: Path) -> None:
    _written(tmp_path / "a1.parquet", "SELECT 'other' AS id")
    for name in ("a[1]", "a?", "a*", "it's"):
        _written(tmp_path / "one.parquet", f"SELECT '{name.replace(chr(39), '')}' AS id").rename(
            tmp_path / f"{name}.parquet"
        )
        with _opened(tmp_path / f"{name}.parquet") as source:
            (row,) = source.rows(name)
        assert isinstance(row, SourceRow)
        assert row.values == {"id": name.replace("'", "")}


def test_two_readings_are_alike(tmp_path: Path) -> None:
    path = _written(
        tmp_path / "t.parquet", "SELECT i AS id, hash(i) AS h FROM range(5000) r(i)", ", ROW_GROUP_SIZE 1000"
    )
    with _opened(path) as source:
        first, second = list(source.rows("t")), list(source.rows("t"))
    assert first == second
    assert len(first) == 5000


@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_file_that_changed_since_it_was_opened(tmp_path: Path, moment: str) -> None:
    path = _written(tmp_path / "t.parquet", "SELECT 1 AS id FROM range(10)")
    with _opened(path) as source:
        rows = source.rows("t")
        if moment == "during":
            next(rows)
        _written(tmp_path / "t.parquet", "SELECT 2 AS id FROM range(20)")
        with pytest.raises(SourceError, match="was changed while it was being read"):
            list(rows)


def test_a_file_that_went_away(tmp_path: Path) -> None:
    path = _written(tmp_path / "t.parquet", "SELECT 1 AS id")
    with _opened(path) as source:
        path.unlink()
        with pytest.raises(SourceError, match=r"t\.parquet cannot be read: No such file"):
            list(source.rows("t"))


def test_a_collection_that_is_not_there(tmp_path: Path) -> None:
    _written(tmp_path / "t.parquet", "SELECT 1 AS id")
    with _opened(tmp_path) as source, pytest.raises(SourceError, match="no Parquet file of reports; there is t"):
        list(source.rows("reports"))


def test_a_place_without_parquet(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no \.parquet file"):
        open_source(f"parquet:{tmp_path}")
    with pytest.raises(SourceError, match="is not there"):
        open_source(f"parquet:{tmp_path / 'missing'}")


def test_a_delta_table_is_refused(tmp_path: Path) -> None:
    _written(tmp_path / "reports" / "0.parquet", "SELECT 1 AS id")
    (tmp_path / "reports" / "_delta_log").mkdir()
    with pytest.raises(SourceError, match="reports is a Delta table"):
        open_source(f"parquet:{tmp_path}")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-100], "No magic bytes"),
        (lambda content: content[:60] + bytes(140) + content[200:], "ZSTD Decompression failure"),
        (lambda content: b"no parquet at all", "cannot be read"),
    ],
    ids=["cut off", "a page", "another kind"],
)
def test_a_damaged_file(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(damage(_PYARROW.read_bytes()))
    with _opened(path) as source, pytest.raises(SourceError, match=message):
        list(source.rows("t"))


def test_memory_is_flat_over_50000_rows(tmp_path: Path) -> None:
    query = (
        "SELECT i AS id, "
        "list_transform(range(100), lambda j: md5((i * 100 + j)::VARCHAR))::VARCHAR AS text FROM range(50000) r(i)"
    )
    path = _written(tmp_path / "t.parquet", query, ", ROW_GROUP_SIZE 5000")
    with _opened(path) as source:
        count, megabytes = growth(source.rows("t"))
    assert count == 50_000
    assert megabytes < 70, "the texts alone are 170 MB"
