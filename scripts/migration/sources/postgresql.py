"""A PostgreSQL database: every reading in one snapshot, through cursors of the server's.

Host, user and password come from where libpq finds them (PGHOST, PGUSER, PGPASSWORD, PGPASSFILE, PGSERVICE and others),
so that neither the address nor a message has a secret.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from scripts.migration.sources.key_text import key_text
from scripts.migration.sources.options import Options
from scripts.migration.sources.postgresql_values import converter, use_plain_values
from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow

_CONNECT_SECONDS = 10
_ROWS_AT_A_TIME = 256
_DATABASE = re.compile(r"[^\s:/@=?]*")
_HOME = "public"

# Without row_security a policy that hides rows is an error, and not a table with fewer rows.
_SESSION: LiteralString = """
    SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex';
    SET extra_float_digits = 1; SET synchronize_seqscans = off; SET row_security = off;
    SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0
"""
_TABLES: LiteralString = """
    SELECT n.nspname, c.relname, ARRAY(
        SELECT a.attname::text FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k(number, place), pg_attribute a
        WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND a.attnum = k.number ORDER BY k.place)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
      AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class _Table:
    """`key` are the columns of its primary key, which tell in messages which row is meant."""

    schema: str
    name: str
    key: tuple[str, ...]

    @property
    def collection(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class PostgreSql:
    """A table is called `schema.table`, and if its schema is `public`, `table` will do."""

    connection: psycopg.Connection[tuple[Any, ...]]
    tables: dict[str, _Table]

    def collections(self) -> list[str]:
        return list(self.tables)

    def rows(self, collection: str) -> Iterator[SourceRow | UnreadableRow]:
        table = self.tables.get(collection) or self.tables.get(f"{_HOME}.{collection}")
        if table is None:
            there = ", ".join(self.tables) or "none"
            raise SourceError(f"The database {self.connection.info.dbname} has no table {collection}; it has {there}.")
        return self._rows(table)

    def left_out(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        self.connection.close()

    def _rows(self, table: _Table) -> Iterator[SourceRow | UnreadableRow]:
        try:
            with self.connection.cursor(f"rows_{uuid4().hex}") as cursor:
                cursor.itersize = _ROWS_AT_A_TIME
                cursor.execute(SQL("SELECT * FROM {}").format(Identifier(table.schema, table.name)))
                columns = [(column.name, converter(column.type_code)) for column in cursor.description or ()]
                for number, values in enumerate(cursor, 1):
                    yield _row(table, number, columns, values)
        except psycopg.Error as error:
            raise SourceError(f"{table.collection} cannot be read: {_reason(error)}.") from error


def open_source(place: str, options: Options) -> PostgreSql:
    """Raises SourceError where there is no server, or it does not let us in."""
    if not _DATABASE.fullmatch(place):
        raise SourceError(
            "The address of a PostgreSQL is postgresql: or postgresql:DATABASE; all else is set in PGHOST, PGPORT, "
            "PGUSER, PGPASSWORD or PGPASSFILE, as for psql."
        )
    try:
        return _opened(place)
    except psycopg.Error as error:
        raise SourceError(
            f"PostgreSQL cannot be reached or used: {_reason(error)}. PGHOST, PGPORT, PGUSER, PGDATABASE and "
            "PGPASSWORD (or a password file) say where it is and who we are, as for psql."
        ) from error


def _opened(database: str) -> PostgreSql:
    place = make_conninfo(dbname=database or None, connect_timeout=_CONNECT_SECONDS, client_encoding="utf8")
    connection = psycopg.connect(place, autocommit=True)
    try:
        connection.execute(_SESSION)
        connection.isolation_level, connection.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
        connection.autocommit = False
        use_plain_values(connection)
        tables = (_Table(schema, name, tuple(key)) for schema, name, key in connection.execute(_TABLES))
        return PostgreSql(connection, {table.collection: table for table in tables})
    except psycopg.Error:
        connection.close()
        raise


Columns = list[tuple[str, Callable[[Any], Any] | None]]


def _row(table: _Table, number: int, columns: Columns, values: tuple[Any, ...]) -> SourceRow | UnreadableRow:
    row = {}
    fault = None
    for (name, convert), value in zip(columns, values, strict=True):
        try:
            row[name] = convert(value) if convert else value
        except ValueError as error:
            row[name], fault = value, f"the JSON of the column {name} cannot be read: {error}"
    position = f"{table.collection}:{number}"
    if table.key:
        position = f"{table.collection}/{key_text([row[name] for name in table.key])}"
    return UnreadableRow(position, fault) if fault else SourceRow(position, row)


def _reason(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
