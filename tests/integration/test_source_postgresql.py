"""A PostgreSQL server of our own: one snapshot for all readings, and every type as plain Python."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isnan
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Placeholder
from psycopg.types.json import Jsonb

from scripts.migration.sources.opening import open_source
from scripts.migration.sources.source import Source, SourceError, SourceRow, UnreadableRow
from tests.support.flat_memory import growth
from tests.support.migration_engines import PostgreSqlServer, postgresql_server
from tests.support.old_rows import EMBEDDING, REPORT, USER, assert_arrived, migrated

_LONG = "12345678901234567890123456789012345678"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSqlServer]:
    with postgresql_server() as running:
        yield running


@pytest.fixture(autouse=True)
def libpq(server: PostgreSqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def database(libpq: None) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS old CASCADE")
        yield connection


Database = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def _opened(address: str = "postgresql:") -> Iterator[Source]:
    source = open_source(address)
    try:
        yield source
    finally:
        source.close()


def test_an_old_database_is_read_as_it_is(database: Database) -> None:
    database.execute("""
        CREATE TABLE reports (
            id uuid PRIMARY KEY, user_id text, title varchar(200), date date, reference jsonb, favorites text[],
            created_at timestamptz, updated_at timestamp);
        INSERT INTO reports VALUES (
            '6f1c3f0e-54a5-4ab5-8e3c-0d2b4a1f9c11', 'u1', 'Käse 🧀', '2024-02-29',
            '{"price": 12.50, "sizes": [1, 2.0], "none": null, "": ""}', '{p2,NULL,""}',
            '2024-03-01 10:00:00.000001+02', '2024-03-01 10:00:00')
    """)
    with _opened() as source:
        assert source.collections() == ["public.reports"]
        assert source.left_out() == {}
        assert list(source.rows("reports")) == list(source.rows("public.reports"))
        (row,) = source.rows("reports")
    assert row == SourceRow(
        "public.reports/6f1c3f0e-54a5-4ab5-8e3c-0d2b4a1f9c11",
        {
            "id": "6f1c3f0e-54a5-4ab5-8e3c-0d2b4a1f9c11",
            "user_id": "u1",
            "title": "Käse 🧀",
            "date": date(2024, 2, 29),
            "reference": {"price": Decimal("12.50"), "sizes": [1, Decimal("2.0")], "none": None, "": ""},
            "favorites": ["p2", None, ""],
            "created_at": datetime(2024, 3, 1, 8, 0, 0, 1, tzinfo=UTC),
            "updated_at": datetime(2024, 3, 1, 10, 0),  # noqa: DTZ001 the column has no zone
        },
    )


@pytest.mark.parametrize(
    ("kind", "vector"),
    [("real[]", [0.5, -1.25, 3.0]), ("text", "[0.5,-1.25,3]"), ("bytea", b"\0\0\0\x3f\0\0\xa0\xbf\0\0\x40\x40")],
)
def test_the_shipped_mapping_brings_old_tables_over(database: Database, kind: LiteralString, vector: object) -> None:
    """The vectors of pgvector arrive as such a text."""
    _keep(database, "users", USER)
    _keep(database, "reports", REPORT)
    _keep(database, "product_embeddings", EMBEDDING | {"embedding": vector}, embedding=kind)
    with _opened() as source:
        assert_arrived(migrated(source, "k9-postgresql"))


def _keep(database: Database, table: str, row: dict[str, Any], **types: LiteralString) -> None:
    kinds = {**_TYPES, **types}
    columns = SQL(", ").join(SQL("{} {}").format(Identifier(name), SQL(kinds[name])) for name in row)
    database.execute(SQL("CREATE TABLE {} ({})").format(Identifier(table), columns))
    values = [Jsonb(value) if isinstance(value, dict) else value for value in row.values()]
    places = SQL(", ").join(Placeholder() * len(row))
    database.execute(SQL("INSERT INTO {} VALUES ({})").format(Identifier(table), places), values)


_TYPES: dict[str, LiteralString] = {
    **dict.fromkeys(("user_id", "name", "email", "title", "author", "product_id", "model_version"), "text"),
    **dict.fromkeys(("preferences", "reference", "product"), "jsonb"),
    "id": "uuid",
    "date": "date",
    "favorites": "text[]",
    "created_at": "timestamptz",
    "updated_at": "timestamp",
}


def _value(database: Database, kind: LiteralString, text: str) -> Any:
    database.execute("DROP TABLE IF EXISTS one; CREATE TABLE one (value " + kind + ")")
    database.execute("INSERT INTO one VALUES (%s)", [text])
    with _opened() as source:
        (row,) = source.rows("one")
    assert isinstance(row, SourceRow)
    return row.values["value"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("numeric", _LONG, Decimal(_LONG)),
        ("numeric(38, 38)", "0.00000000000000000000000000000000000001", Decimal("1E-38")),
        ("numeric", "Infinity", Decimal("Infinity")),
        ("bigint", "-9223372036854775808", -(2**63)),
        ("real", "0.1", 0.1),
        ("float8", "0.30000000000000004", 0.30000000000000004),
        ("jsonb", f"[{_LONG}, 1e-3, {_LONG}.5]", [int(_LONG), Decimal("0.001"), Decimal(f"{_LONG}.5")]),
        ("jsonb", "null", None),
        ("json[]", '{"{\\"a\\": 1.10}",NULL}', [{"a": Decimal("1.10")}, None]),
        ("jsonb[]", '{{"[1]"},{"\\"x\\""}}', [[[1]], ["x"]]),
        ("text", "", ""),
        ("bytea", r"\x00ff", b"\x00\xff"),
        ("real[]", "{0.5,-1.25,3}", [0.5, -1.25, 3.0]),
        ("date", "infinity", "infinity"),
        ("timestamptz", "-infinity", "-infinity"),
        ("timestamp", "0044-03-15 BC", "0044-03-15 00:00:00 BC"),
        ("date", "12024-01-01", "12024-01-01"),
        ("timestamptz[]", "{2024-01-01 00:00+01}", [datetime(2023, 12, 31, 23, tzinfo=UTC)]),
        ("interval", "1 month 2 days", "1 mon 2 days"),
        ("time", "10:11:12.5", "10:11:12.5"),
        ("inet", "10.0.0.1/8", "10.0.0.1/8"),
        ("int4range", "[1,3)", "[1,3)"),
        ("char(3)", "ab", "ab "),
        ("bit(3)", "101", "101"),
        ("boolean", "t", True),
    ],
)
def test_a_value_arrives_as_plain_python(database: Database, kind: LiteralString, text: str, value: object) -> None:
    found = _value(database, kind, text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("kind", ["numeric", "float8"])
def test_nan_stays_nan(database: Database, kind: LiteralString) -> None:
    assert isnan(_value(database, kind, "NaN"))


def test_types_of_the_database_itself(database: Database) -> None:
    """An unknown type is the text that the server writes, as pgvector's `[0.5,1]` is."""
    database.execute("""
        CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN score AS numeric;
        CREATE TABLE t (m mood, ms mood[], p pair, s score);
        INSERT INTO t VALUES ('good', '{bad,NULL}', '(1,x)', 1.50)
    """)
    with _opened() as source:
        (row,) = source.rows("t")
    assert row == SourceRow("public.t:1", {"m": "good", "ms": ["bad", None], "p": "(1,x)", "s": Decimal("1.50")})


def test_json_that_names_a_member_twice_is_unreadable_and_the_rest_is_read(database: Database) -> None:
    database.execute("""
        CREATE TABLE t (doc json, id int PRIMARY KEY); INSERT INTO t VALUES ('{"a": 1, "a": 2}', 1), ('{}', 2)
    """)
    with _opened() as source:
        twice, fine = source.rows("t")
    assert twice == UnreadableRow(
        "public.t/1", "the JSON of the column doc cannot be read: an object names a member twice"
    )
    assert fine == SourceRow("public.t/2", {"doc": {}, "id": 2})


def test_tables_views_and_schemas_are_collections_and_a_part_of_a_table_is_none(database: Database) -> None:
    database.execute("""
        CREATE SCHEMA old; CREATE TABLE old."re.ports" (a int, b text, PRIMARY KEY (b, a));
        INSERT INTO old."re.ports" VALUES (1, 'x');
        CREATE TABLE parted (id int) PARTITION BY RANGE (id);
        CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (9); INSERT INTO parted VALUES (1);
        CREATE VIEW "my view" AS SELECT a + 1 AS a FROM old."re.ports";
        CREATE MATERIALIZED VIEW kept AS SELECT 1 AS a
    """)
    with _opened() as source:
        assert source.collections() == ["old.re.ports", "public.kept", "public.my view", "public.parted"]
        assert list(source.rows("old.re.ports")) == [SourceRow('old.re.ports/["x","1"]', {"a": 1, "b": "x"})]
        assert list(source.rows("my view")) == [SourceRow("public.my view:1", {"a": 2})]
        assert list(source.rows("parted")) == [SourceRow("public.parted:1", {"id": 1})]


def test_all_readings_see_the_same_snapshot(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 2000) i"
    )
    with _opened() as source:
        reading = source.rows("t")
        first = [next(reading) for _ in range(10)]
        database.execute("UPDATE t SET n = 1; DELETE FROM t WHERE id > 1000; INSERT INTO t VALUES (5000, 2)")
        first += reading
        assert first == list(source.rows("t"))
    assert len(first) == 2000
    assert {row.values["n"] for row in first if isinstance(row, SourceRow)} == {0}


def test_readings_side_by_side(database: Database) -> None:
    database.execute("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 1000) i")
    with _opened() as source:
        pairs = list(zip(source.rows("t"), source.rows("t"), strict=True))
    assert len(pairs) == 1000
    assert all(one == other for one, other in pairs)


def test_the_transaction_writes_nothing(database: Database) -> None:
    database.execute("""
        CREATE TABLE t (id int);
        CREATE FUNCTION sly() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING id';
        CREATE VIEW v AS SELECT sly() AS id
    """)
    with (
        _opened() as source,
        pytest.raises(SourceError, match="v cannot be read: cannot execute INSERT in a read-only"),
    ):
        list(source.rows("v"))


def test_another_database_by_name(database: Database) -> None:
    database.execute("DROP DATABASE IF EXISTS other")
    database.execute("CREATE DATABASE other")
    with _opened("postgresql:other") as source:
        assert source.collections() == []
        with pytest.raises(SourceError, match="The database other has no table reports; it has none"):
            source.rows("reports")


def test_a_password_file_does_as_well(
    server: PostgreSqlServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pgpass").write_text(f"127.0.0.1:{server.port}:*:k9:{server.password}\n")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    with _opened() as source:
        source.collections()


def test_a_wrong_password_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "wr0ng-s3cret")
    with pytest.raises(SourceError, match='password authentication failed for user "k9"') as refused:
        open_source("postgresql:")
    assert "wr0ng-s3cret" not in str(refused.value)
    assert "PGPASSWORD (or a password file)" in str(refused.value)


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    with pytest.raises(SourceError, match="PostgreSQL cannot be reached or used: connection failed"):
        open_source("postgresql:")


def test_a_database_that_is_not_there() -> None:
    with pytest.raises(SourceError, match='database "missing" does not exist'):
        open_source("postgresql:missing")


@pytest.mark.parametrize("address", ["postgresql://k9:s3cret@localhost/db", "postgresql:password=s3cret"])
def test_an_address_with_a_secret_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(SourceError, match="all else is set in PGHOST") as refused:
        open_source(address)
    assert "s3cret" not in str(refused.value)


def test_a_table_that_the_user_may_not_read(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.execute("""
        DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'guest';
        GRANT USAGE ON SCHEMA public TO guest; CREATE TABLE t (id int)
    """)
    monkeypatch.setenv("PGUSER", "guest")
    monkeypatch.setenv("PGPASSWORD", "guest")
    with _opened() as source, pytest.raises(SourceError, match="t cannot be read: permission denied for table t"):
        list(source.rows("t"))


def test_a_policy_that_hides_rows_is_no_smaller_table(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.execute("""
        DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN PASSWORD 'clerk'; GRANT USAGE ON SCHEMA public TO clerk;
        CREATE TABLE t AS SELECT 1 AS id; ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO clerk
    """)
    monkeypatch.setenv("PGUSER", "clerk")
    monkeypatch.setenv("PGPASSWORD", "clerk")
    with _opened() as source, pytest.raises(SourceError, match="would be affected by row-level security"):
        list(source.rows("t"))


def test_a_text_that_is_not_utf8(database: Database) -> None:
    database.execute("DROP DATABASE IF EXISTS raw")
    database.execute("CREATE DATABASE raw ENCODING 'SQL_ASCII' TEMPLATE template0")
    with psycopg.connect(dbname="raw", autocommit=True) as raw:
        raw.execute(r"CREATE TABLE t AS SELECT E'K\xe4se' AS title")
    with (
        _opened("postgresql:raw") as source,
        pytest.raises(SourceError, match="t cannot be read: invalid byte sequence"),
    ):
        list(source.rows("t"))


def test_a_connection_that_is_cut_is_no_end_of_the_table(database: Database) -> None:
    database.execute("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 5000) i")
    with _opened() as source:
        reading = source.rows("t")
        next(reading)
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND state = 'idle in transaction'"
        )
        with pytest.raises(SourceError, match="t cannot be read: terminating connection"):
            list(reading)


def test_memory_is_flat_over_50000_rows(database: Database) -> None:
    database.execute("""
        CREATE TABLE t AS SELECT i AS id, jsonb_build_object('text', repeat(md5(i::text), 60)) AS doc
        FROM generate_series(1, 50000) i
    """)
    with _opened() as source:
        count, megabytes = growth(source.rows("t"))
    assert count == 50_000
    assert megabytes < 20, "the texts alone are 100 MB"


def test_rows_of_399_kb(database: Database) -> None:
    database.execute("CREATE TABLE t AS SELECT i AS id, repeat('x', 399000) AS text FROM generate_series(1, 300) i")
    with _opened() as source:
        sizes = [len(row.values["text"]) for row in source.rows("t") if isinstance(row, SourceRow)]
    assert sizes == [399_000] * 300
