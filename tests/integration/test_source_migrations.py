"""The same awkward rows in every kind of source become the same items, and leave the same rejects behind."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from math import nan
from pathlib import Path
from typing import Any, LiteralString

import boto3
import duckdb
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from scripts.migration.journal import Journal
from scripts.migration.mapping import parse_mapping
from scripts.migration.reading import Contents, FirstReading
from scripts.migration.rejects import Rejects
from scripts.migration.sources.opening import open_source
from scripts.migration.sources.source import Source
from shared.database.attributes import to_item
from tests.support.dynamodb_exports import Export
from tests.support.engines import dynoxide_engine
from tests.support.environment import AWS_IDENTITY
from tests.support.migrating import ListSource
from tests.support.migration_engines import couchdb_server, postgresql_server

_TIMES = "[iso, iso-utc, date, rfc2822, epoch-seconds]"
_MAPPING = f"""
source: old-k9
collections:
  people:
    into: users
    owner: {{field: sub, any_id: true}}
    fields: {{name: name, preferences: preferences, created_at: {{from: created, form: {_TIMES}}}}}
    ignore: [id, _id, _rev]
  notes:
    into: reports
    owner: {{field: sub, any_id: true}}
    key: id
    fields:
      id: {{from: id, keep: true}}
      title: title
      author: {{from: author, default: ""}}
      reference: reference
      favorites: {{from: favorites, default: []}}
      created_at: {{from: created, form: {_TIMES}}}
    ignore: [_id, _rev]
  vectors:
    into: embeddings
    owner: {{field: sub, any_id: true}}
    fields:
      product_id: product
      model_version: model
      embedding_vector: vector
      product: {{from: about, default: {{}}}}
      created_at: {{from: created, form: {_TIMES}}}
    ignore: [id, _id, _rev]
"""
_CREATED = (
    "2021-03-04T05:06:07.890123+02:00",
    "2021-03-04 05:06:07",
    "2021-03-04",
    "Thu, 04 Mar 2021 05:06:07 +0100",
    "1614834367",
)
_AWKWARD = ("", "plain", "Käse 🧀", 'quote " and \\ back', "line\nbreak", "\u202eright to left", "null", "a" * 150)
_LONG = 12345678901234567890123456789012345678

Rows = Mapping[str, Sequence[dict[str, Any]]]


@cache
def _rows(*, exact: bool, loose: bool) -> Rows:
    """`exact`: with numbers of 38 digits, which JavaScript has not. `loose`: with NaN and rows where order counts."""
    subs = [f"user-{i}" for i in range(40)]
    people = [_person(i, sub) for i, sub in enumerate(subs)]
    notes = [_note(i, subs[i % 40], exact) for i in range(1200)]
    vectors = [_vector(i, subs[i % 40]) for i in range(1200)]
    notes += [{**notes[0], "id": "too-large", "reference": {"text": "x" * 399_000}}]
    notes += [{**notes[1], "id": "no-title", "title": ""}, {**notes[2], "id": "no-owner", "sub": None}]
    if loose:
        vectors += [{**vectors[3], "id": "short", "product": "short", "vector": [1.0]}]
        notes += [notes[4], {**notes[5], "title": "The same key, another title"}]
        vectors += [{**vectors[6], "id": "nan", "product": "nan", "vector": [nan, 1.0, 2.0]}]
    return {"people": people, "notes": notes, "vectors": vectors}


def _person(number: int, sub: str) -> dict[str, Any]:
    preferences = {"theme": _AWKWARD[number % 8], "": [], "deep": {"list": [{"on": True}, None, 1.5]}}
    return {"id": sub, "sub": sub, "name": f"N {number}", "preferences": preferences, "created": _CREATED[number % 5]}


def _note(number: int, sub: str, exact: bool) -> dict[str, Any]:
    reference = {"id": f"p{number}", "n": _LONG if exact and number % 3 == 0 else number, "f": 0.1 * number}
    return {
        "id": f"note-{number}",
        "sub": sub,
        "title": f"{number} {_AWKWARD[number % 4]}",
        "author": "" if number % 2 else None,
        "reference": {**reference, "text": _AWKWARD[number % 8]},
        "favorites": [f"p{other}" for other in range(number % 4)] or None,
        "created": _CREATED[number % 5],
    }


def _vector(number: int, sub: str) -> dict[str, Any]:
    return {
        "id": f"vector-{number}",
        "sub": sub,
        "product": f"p{number // 2}",
        "model": f"m-{number % 2}",
        "vector": [0.5, float(number), -1.25],
        "about": {"name": _AWKWARD[number % 8], "price": number / 4} if number % 5 else None,
        "created": _CREATED[number % 5],
    }


@contextmanager
def _duckdb(rows: Rows, folder: Path) -> Iterator[Source]:
    _write_duckdb(rows, folder).close()
    with closing(open_source(f"duckdb:{folder}/k9_api.db")) as source:
        yield source


@contextmanager
def _parquet(rows: Rows, folder: Path) -> Iterator[Source]:
    with _write_duckdb(rows, folder) as connection:
        for name in rows:
            connection.execute(f"COPY {name} TO '{folder}/{name}.parquet' (FORMAT parquet)")
    with closing(open_source(f"parquet:{folder}")) as source:
        yield source


_DUCKDB_TYPES = dict.fromkeys(("preferences", "reference", "about"), "JSON") | {
    "vector": "FLOAT[]",
    "favorites": "VARCHAR[]",
}


def _write_duckdb(rows: Rows, folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(folder / "k9_api.db")
    for name, members in rows.items():
        (folder / "rows.ndjson").write_text("".join(json.dumps(row).replace("NaN", "null") + "\n" for row in members))
        columns = {column: _DUCKDB_TYPES.get(column, "VARCHAR") for column in members[0]}
        read = f"read_json('{folder}/rows.ndjson', format = 'newline_delimited', columns = {columns})"
        connection.execute(f"CREATE TABLE {name} AS FROM {read}")
    connection.execute("UPDATE vectors SET vector = ['NaN'::FLOAT, 1, 2] WHERE id = 'nan'")
    return connection


_POSTGRESQL_TYPES: dict[str, LiteralString] = {
    **dict.fromkeys(("preferences", "reference", "about"), "jsonb"),
    "vector": "float8[]",
    "favorites": "text[]",
}


@contextmanager
def _postgresql(rows: Rows, folder: Path) -> Iterator[Source]:
    with postgresql_server() as server, pytest.MonkeyPatch.context() as patch:
        for variable, value in server.environment.items():
            patch.setenv(variable, value)
        with psycopg.connect() as connection:
            connection.execute("CREATE SCHEMA k9; SET search_path = k9")
            for name, members in rows.items():
                _write_postgresql(connection, name, members)
        with closing(open_source("postgresql:")) as source:
            yield source


def _write_postgresql(connection: psycopg.Connection[Any], name: str, rows: Sequence[dict[str, Any]]) -> None:
    types = ((column, _POSTGRESQL_TYPES.get(column, "text")) for column in rows[0])
    columns = SQL(", ").join(SQL("{} {}").format(Identifier(column), SQL(kind)) for column, kind in types)
    connection.execute(SQL("CREATE TABLE {} ({})").format(Identifier(name), columns))
    with connection.cursor().copy(SQL("COPY {} FROM STDIN").format(Identifier(name))) as copy:
        for row in rows:
            copy.write_row([Jsonb(value) if isinstance(value, dict) else value for value in row.values()])


@contextmanager
def _couchdb(rows: Rows, folder: Path) -> Iterator[Source]:
    with couchdb_server() as server, pytest.MonkeyPatch.context() as patch:
        for variable, value in server.environment.items():
            patch.setenv(variable, value)
        for name, members in rows.items():
            server.request("PUT", name)
            documents = [{**row, "_id": row["id"]} for row in members]
            server.request("POST", f"{name}/_bulk_docs", {"docs": documents})
        with closing(open_source(f"couchdb:{server.root}")) as source:
            yield source


@contextmanager
def _dynamodb(rows: Rows, folder: Path) -> Iterator[Source]:
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in AWS_IDENTITY.items():
            patch.setenv(variable, value)
        with dynoxide_engine() as engine:
            assert engine.endpoint
            patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint)
            for name, members in rows.items():
                _write_dynamodb(name, members)
            with closing(open_source("dynamodb:us-east-1", collections=rows)) as source:
                yield source


def _write_dynamodb(name: str, rows: Sequence[dict[str, Any]]) -> None:
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for row in rows:
        client.put_item(TableName=name, Item=to_item(row))


@contextmanager
def _export(rows: Rows, folder: Path) -> Iterator[Source]:
    for name, members in rows.items():
        lines = [json.dumps({"Item": to_item(row)}) for row in members]
        Export(folder, name, name).write(lines[::2], lines[1::2])
    with closing(open_source(f"dynamodb-export:{folder}")) as source:
        yield source


def _judged(source: Source, folder: Path, mapping: str) -> dict[str, Any]:
    """What a first reading accepts, by its digest and by table, and what it rejects, by code."""
    contents = Contents(source, parse_mapping(mapping, Path("mapping.yaml")))
    with closing(Journal.create(folder / "journal")) as journal, closing(Rejects(folder / "rejects")) as rejects:
        findings = FirstReading(contents, journal, rejects).run()
        return {
            "digest": findings.target.hex(),
            "accepted": dict(findings.accepted),
            "identical": findings.identical,
            "rejects": dict(rejects.counts),
        }


Kind = Callable[[Rows, Path], Any]


@pytest.mark.parametrize(
    ("kind", "exact", "loose"),
    [
        (_duckdb, True, True),
        (_parquet, True, True),
        (_postgresql, True, True),
        (_couchdb, False, False),
        (_dynamodb, True, False),
        (_export, True, False),
    ],
)
def test_the_same_rows_become_the_same_items(kind: Kind, exact: bool, loose: bool, tmp_path: Path) -> None:
    rows = _rows(exact=exact, loose=loose)
    expected = _judged(ListSource(rows), tmp_path, _MAPPING)
    mapping = _MAPPING
    for name in rows if kind is _postgresql else ():
        mapping = mapping.replace(f"\n  {name}:", f"\n  k9.{name}:")
    with kind(rows, tmp_path) as source:
        found = _judged(source, tmp_path, mapping)
        again = _judged(source, tmp_path, mapping)
    assert found == expected
    assert again == expected


def test_what_is_expected_of_them_all(tmp_path: Path) -> None:
    found = _judged(ListSource(_rows(exact=True, loose=True)), tmp_path, _MAPPING)
    assert found["accepted"] == {"users": 40, "reports": 1200, "embeddings": 1200}
    assert found["identical"] == 1
    assert found["rejects"] == {
        "too-large": 1,
        "bad-value": 1,
        "unmapped-owner": 1,
        "duplicate-key": 1,
        "dimension-mismatch": 1,
        "bad-vector": 1,
    }
