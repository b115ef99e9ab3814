"""DuckDB files, as the engine itself writes them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from math import isnan
from pathlib import Path
from struct import pack, unpack_from
from typing import Any, cast

import duckdb
import pytest

from scripts.migration.sources import duckdb_reading
from scripts.migration.sources.opening import open_source
from scripts.migration.sources.source import Source, SourceError, SourceRow, UnreadableRow
from tests.support.flat_memory import growth
from tests.support.old_rows import REPORT_ID, SUB, assert_arrived, migrated

_LONG = "12345678901234567890123456789012345678"
_OLD_K9 = """
    CREATE TABLE users (
        id INTEGER PRIMARY KEY, user_id VARCHAR, name VARCHAR, email VARCHAR, preferences JSON, created_at TIMESTAMP);
    CREATE TABLE reports (
        id UUID PRIMARY KEY, user_id VARCHAR, title VARCHAR, author VARCHAR, date DATE,
        reference JSON, favorites VARCHAR[], created_at TIMESTAMPTZ, updated_at TIMESTAMP);
    CREATE TABLE product_embeddings (
        id INTEGER, product_id VARCHAR, user_id VARCHAR, model_version VARCHAR, embedding FLOAT[3],
        product STRUCT(name VARCHAR), created_at TIMESTAMPTZ);
    INSERT INTO users VALUES (
        1, '11111111-1111-4111-8111-111111111111', 'Ada Lovelace', 'ada@example.com', '{"theme": "dark"}',
        '2023-05-06 07:08:09.123456');
    INSERT INTO reports VALUES (
        '6f1c3f0e-54a5-4ab5-8e3c-0d2b4a1f9c11', '11111111-1111-4111-8111-111111111111', 'Käse 🧀', '', '2024-02-29',
        '{"id": "p1", "price": 12.50}', ['p3', 'p2'], '2024-03-01 10:00:00+02', '2024-03-02 08:00:00');
    INSERT INTO product_embeddings VALUES (
        7, 'p1', '11111111-1111-4111-8111-111111111111', 'pets-1', [0.5, -1.25, 3], {'name': 'Ball'},
        '2024-03-01 10:00:00+00');
"""


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    source = open_source(f"duckdb:{path}")
    try:
        yield source
    finally:
        source.close()


def _written(path: Path, sql: str) -> Path:
    with duckdb.connect(path) as connection:
        connection.execute(sql)
    return path


def _values(path: Path, expression: str) -> Any:
    """What the source gives for an SQL expression that a table keeps."""
    _written(path, f"CREATE TABLE t AS SELECT {expression} AS value")
    with _opened(path) as source:
        (row,) = source.rows("t")
    assert isinstance(row, SourceRow)
    return row.values["value"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "k9_api.db"


def test_an_old_database_is_read_as_it_is(path: Path) -> None:
    with _opened(_written(path, _OLD_K9)) as source:
        assert source.collections() == ["product_embeddings", "reports", "users"]
        (embedding,) = source.rows("product_embeddings")
        (report,) = source.rows("reports")
        (user,) = source.rows("users")
    assert user == SourceRow(
        "users:1",
        {
            "id": 1,
            "user_id": SUB,
            "name": "Ada Lovelace",
            "email": "ada@example.com",
            "preferences": {"theme": "dark"},
            "created_at": datetime(2023, 5, 6, 7, 8, 9, 123456),  # noqa: DTZ001 the column has no zone
        },
    )
    assert report == SourceRow(
        "reports:1",
        {
            "id": REPORT_ID,
            "user_id": SUB,
            "title": "Käse 🧀",
            "author": "",
            "date": date(2024, 2, 29),
            "reference": {"id": "p1", "price": Decimal("12.50")},
            "favorites": ["p3", "p2"],
            "created_at": datetime(2024, 3, 1, 8, tzinfo=UTC),
            "updated_at": datetime(2024, 3, 2, 8),  # noqa: DTZ001 the column has no zone
        },
    )
    assert embedding == SourceRow(
        "product_embeddings:1",
        {
            "id": 7,
            "product_id": "p1",
            "user_id": SUB,
            "model_version": "pets-1",
            "embedding": [0.5, -1.25, 3.0],
            "product": {"name": "Ball"},
            "created_at": datetime(2024, 3, 1, 10, tzinfo=UTC),
        },
    )


def test_the_shipped_mapping_brings_an_old_database_over(path: Path) -> None:
    with _opened(_written(path, _OLD_K9)) as source:
        assert_arrived(migrated(source, "k9-duckdb"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("embedding", "[0.5, -1.25, 3.0]::DOUBLE[]"),
        ("vector", "'[0.5, -1.25, 3.0]'"),
        ("embedding_vector", r"'\x00\x00\x00?\x00\x00\xA0\xBF\x00\x00@@'::BLOB"),
    ],
)
def test_the_shipped_mapping_reads_vectors_however_they_were_kept(path: Path, name: str, value: str) -> None:
    changed = "ALTER TABLE product_embeddings DROP embedding; CREATE TABLE embeddings AS SELECT *, "
    _written(path, f"{_OLD_K9}{changed}{value} AS {name} FROM product_embeddings; DROP TABLE product_embeddings")
    with _opened(path) as source:
        assert_arrived(migrated(source, "k9-duckdb"))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (f"{_LONG}::DECIMAL(38, 0)", Decimal(_LONG)),
        ("0.00000000000000000000000000000000000001::DECIMAL(38, 38)", Decimal("1E-38")),
        ("170141183460469231731687303715884105727::HUGEINT", 2**127 - 1),
        ("340282366920938463463374607431768211455::UHUGEINT", 2**128 - 1),
        ("'infinity'::DOUBLE", float("inf")),
        ("0.1::FLOAT", 0.10000000149011612),
        ("''", ""),
        ("NULL::JSON", None),
        ("'null'::JSON", None),
        ("'[1e400, 0.1]'::JSON", [Decimal("1e400"), Decimal("0.1")]),
        (r"'\x00\xFF'::BLOB", b"\x00\xff"),
        ("'2024-01-02 03:04:05.123456789'::TIMESTAMP_NS", "2024-01-02 03:04:05.123456789"),
        ("'2024-01-02 03:04:05'::TIMESTAMP_S", datetime(2024, 1, 2, 3, 4, 5)),  # noqa: DTZ001 it has no zone
        ("'infinity'::TIMESTAMP", "infinity"),
        ("'-infinity'::DATE", "-infinity"),
        ("DATE '9999-12-31'", date(9999, 12, 31)),
        ("NULL::TIMESTAMPTZ", None),
        ("'0044-03-15 (BC)'::DATE", "0044-03-15 (BC)"),
        ("INTERVAL '1 month 2 days'", "1 month 2 days"),
        ("TIME '10:11:12'", "10:11:12"),
        ("'b'::ENUM('a', 'b')", "b"),
        ("{'a': 'x', 'b': [{'c': NULL}], 'at': 'infinity'::DATE}", {"a": "x", "b": [{"c": None}], "at": "infinity"}),
        ("""{'a "quoted" name': [uuid '6f1c3f0e-54a5-4ab5-8e3c-0d2b4a1f9c11']}""",
         {'a "quoted" name': ["6f1c3f0e-54a5-4ab5-8e3c-0d2b4a1f9c11"]}),
        ("MAP {1: 'one', 2: 'two'}", {"1": "one", "2": "two"}),
        ("MAP {'k': '{\"n\": 1.10}'::JSON}", {"k": {"n": Decimal("1.10")}}),
        ("[{'doc': '{\"n\": 1.10}'::JSON, 'kept': 1}, NULL]", [{"doc": {"n": Decimal("1.10")}, "kept": 1}, None]),
        ("[[1.5, NULL]::FLOAT[2]]::FLOAT[2][1]", [[1.5, None]]),
        ("union_value(id := uuid '6f1c3f0e-54a5-4ab5-8e3c-0d2b4a1f9c11')", "6f1c3f0e-54a5-4ab5-8e3c-0d2b4a1f9c11"),
        ("'101'::BIT", "101"),
    ],
)  # fmt: skip
def test_a_value_arrives_as_plain_python(path: Path, expression: str, value: object) -> None:
    found = _values(path, expression)
    assert (found, type(found)) == (value, type(value))


def test_nan_stays_nan(path: Path) -> None:
    assert isnan(_values(path, "'nan'::FLOAT"))


def test_an_array_is_a_list(path: Path) -> None:
    assert _values(path, "array_value(1.5::FLOAT, 2.5::FLOAT)") == [1.5, 2.5]


def test_a_json_text_that_names_a_member_twice_is_unreadable_and_the_rest_is_read(path: Path) -> None:
    _written(path, """CREATE TABLE t (id INTEGER, doc JSON); INSERT INTO t VALUES (1, '{"a": 1, "a": 2}'), (2, '{}')""")
    with _opened(path) as source:
        twice, fine = source.rows("t")
    assert twice == UnreadableRow("t:1", "the JSON of the column doc cannot be read: an object names a member twice")
    assert fine == SourceRow("t:2", {"id": 2, "doc": {}})


def test_json_that_is_nested_too_deep_is_unreadable(path: Path) -> None:
    _written(path, "CREATE TABLE t AS SELECT (repeat('[', 900) || repeat(']', 900))::JSON AS doc")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(600)
    try:
        with _opened(path) as source:
            (row,) = source.rows("t")
    finally:
        sys.setrecursionlimit(limit)
    assert row == UnreadableRow("t:1", "the JSON of the column doc cannot be read: it is nested too deep")


def test_views_and_other_schemas_are_collections(path: Path) -> None:
    _written(
        path,
        'CREATE SCHEMA old; CREATE TABLE old."re.ports" AS SELECT 1 AS id;'
        'CREATE VIEW "my view" AS SELECT id + 1 AS id FROM old."re.ports"',
    )
    with _opened(path) as source:
        assert source.collections() == ["my view", "old.re.ports"]
        assert list(source.rows("my view")) == [SourceRow("my view:1", {"id": 2})]
        assert list(source.rows("old.re.ports")) == [SourceRow("old.re.ports:1", {"id": 1})]
        assert source.left_out() == {}


def test_a_view_cannot_read_other_files(path: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    _written(path, f"CREATE VIEW v AS FROM read_csv('{tmp_path}/secret.csv')")
    with _opened(path) as source, pytest.raises(SourceError, match="v cannot be read: Permission Error"):
        list(source.rows("v"))


def test_two_readings_are_alike_also_side_by_side(path: Path) -> None:
    _written(path, "CREATE TABLE t AS SELECT i AS id, hash(i) AS mixed FROM range(5000) r(i)")
    with _opened(path) as source:
        pairs = list(zip(source.rows("t"), source.rows("t"), strict=True))
        assert len(pairs) == 5000
        assert all(one == other for one, other in pairs)


def test_what_was_not_yet_checkpointed_is_read(path: Path) -> None:
    script = f"import duckdb, os; c = duckdb.connect({str(path)!r}); c.execute('CREATE TABLE t AS SELECT 1 AS id');"
    subprocess.run([sys.executable, "-c", script + "os._exit(0)"], check=True)
    assert path.with_name("k9_api.db.wal").exists()
    with _opened(path) as source:
        assert list(source.rows("t")) == [SourceRow("t:1", {"id": 1})]


def test_the_file_is_left_as_it_was(path: Path, tmp_path: Path) -> None:
    before = _written(path, _OLD_K9).read_bytes()
    with _opened(path) as source:
        list(source.rows("reports"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_that_is_not_there(path: Path) -> None:
    _written(path, "CREATE TABLE t (id INTEGER)")
    with _opened(path) as source, pytest.raises(SourceError, match="has no table reports; it has t"):
        source.rows("reports")


def test_a_missing_file(path: Path) -> None:
    with pytest.raises(SourceError, match="is not there"):
        open_source(f"duckdb:{path}")
    assert not path.exists()


def test_a_file_of_another_kind(path: Path) -> None:
    path.write_text("something else, long enough to be looked at " * 1000)
    with pytest.raises(SourceError, match="is not a DuckDB database file"):
        open_source(f"duckdb:{path}")


def test_a_file_that_another_process_writes_to(path: Path) -> None:
    script = f"import duckdb; c = duckdb.connect({str(path)!r}); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(SourceError, match=f"open in process {writer.pid}: stop that first"):
            open_source(f"duckdb:{path}")
        writer.communicate("\n")


def test_a_file_of_a_newer_duckdb(path: Path) -> None:
    content = bytearray(_written(path, "CREATE TABLE t (id INTEGER)").read_bytes())
    content[12:20] = pack("<Q", 9999)
    content[:8] = pack("<Q", _block_checksum(bytes(content[8:4096])))
    path.write_bytes(content)
    with pytest.raises(SourceError, match="written by a newer DuckDB than"):
        open_source(f"duckdb:{path}")


def _block_checksum(block: bytes) -> int:
    """DuckDB's checksum of its main header."""
    checksum = 5381
    for (word,) in (unpack_from("<Q", block, at) for at in range(0, len(block), 8)):
        checksum ^= word * 0xBF58476D1CE4E5B9 & (2**64 - 1)
    return checksum


def test_a_damaged_header(path: Path) -> None:
    content = bytearray(_written(path, _OLD_K9).read_bytes())
    content[100] ^= 255
    path.write_bytes(content)
    with pytest.raises(SourceError, match="cannot be opened, or is damaged: Corrupt database file"):
        open_source(f"duckdb:{path}")


def test_a_damaged_block(path: Path) -> None:
    _written(path, "CREATE TABLE t AS SELECT i AS id, 'x' || hash(i) AS text FROM range(200000) r(i)")
    content = bytearray(path.read_bytes())
    content[3 * 4096 + 100] ^= 255
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(SourceError, match="Corrupt database file"), _opened(path) as source:
        list(source.rows("t"))


def test_rows_of_399_kb_are_read_among_small_ones(path: Path) -> None:
    _written(
        path,
        "CREATE TABLE t AS SELECT i AS id, repeat((i % 7)::VARCHAR, CASE WHEN i < 3000 THEN 0 ELSE 399000 END) AS text "
        "FROM range(3500) r(i)",
    )
    with _opened(path) as source:
        found = [(row.values["id"], len(row.values["text"])) for row in source.rows("t") if isinstance(row, SourceRow)]
    assert found == [(i, 0 if i < 3000 else 399_000) for i in range(3500)]


class _ShortOfMemory:
    """A cursor whose memory ends after 256 rows, as DuckDB's may; what it gives then is in another order or is not."""

    def __init__(self, readings: list[list[tuple[int]]]) -> None:
        self._readings = readings
        self._rows = iter(readings[0])
        self._given = 0

    def execute(self, query: str) -> None:
        if query == "rows":
            self._rows = iter(self._readings.pop(0))
            self._given = 0

    def fetchmany(self, size: int) -> list[tuple[int]]:
        if self._given >= 256 and len(self._readings) == 1:
            raise duckdb.OutOfMemoryException
        batch = list(islice(self._rows, size))
        self._given += len(batch)
        return batch


def _gathered(second: list[tuple[int]]) -> list[tuple[int]]:
    cursor = cast("duckdb.DuckDBPyConnection", _ShortOfMemory([[(n,) for n in range(600)], second]))
    return list(duckdb_reading._selected(cursor, "rows", "v"))


def test_after_a_shortage_of_memory_no_row_is_missing_or_there_twice() -> None:
    assert _gathered([(n,) for n in range(600)]) == [(n,) for n in range(600)]


@pytest.mark.parametrize("second", [[(n,) for n in reversed(range(600))], [(n,) for n in range(100)], []])
def test_rows_in_another_order_after_a_shortage_of_memory_are_refused(second: list[tuple[int]]) -> None:
    with pytest.raises(SourceError, match="v gives its rows in another order"):
        _gathered(second)


def test_memory_is_flat_over_50000_rows(path: Path) -> None:
    _written(
        path,
        "CREATE TABLE t AS SELECT i AS id, "
        "list_transform(range(100), lambda j: md5((i * 100 + j)::VARCHAR))::VARCHAR AS text FROM range(50000) r(i)",
    )
    with _opened(path) as source:
        count, megabytes = growth(source.rows("t"))
    assert count == 50_000
    assert megabytes < 70, "the texts alone are 170 MB"
