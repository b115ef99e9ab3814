"""Tables of the older layout in the embedded store and in the strict engine, both as servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from scripts.migration.mapping import load_mapping
from scripts.migration.sources import dynamodb_tables
from scripts.migration.sources.opening import open_source
from scripts.migration.sources.source import Source, SourceError, SourceRow
from shared.database.attributes import to_item
from tests.support.engines import Engine, dynoxide_engine, ministack_engine
from tests.support.environment import AWS_IDENTITY
from tests.support.flat_memory import growth
from tests.support.old_rows import EMBEDDING, REPORT, USER, assert_arrived, migrated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import KeySchemaElementTypeDef

_LONG = "12345678901234567890123456789012345678"
_OLD_TABLES = {"users": "user_id", "reports": "id", "embeddings": "product_id"}
_NUMBERS = count()
_ONE_TRY = Config(retries={"mode": "standard", "total_max_attempts": 1})


@pytest.fixture(scope="module", params=["ministack", "dynoxide"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:  # this runs before any test has its environment
        for name, value in AWS_IDENTITY.items():
            patch.setenv(name, value)
        ministack = request.param == "ministack"
        with ministack_engine(tmp_path_factory.mktemp("store")) if ministack else dynoxide_engine() as running:
            yield running


@pytest.fixture
def client(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> "DynamoDBClient":
    assert engine.endpoint
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", engine.endpoint)
    return boto3.client("dynamodb")


@pytest.fixture
def table(client: "DynamoDBClient") -> str:
    """An empty table of embeddings that product_id alone is the key of."""
    return _create(client, "product_id")


def _create(client: "DynamoDBClient", hash_key: str, *range_key: str, name: str | None = None) -> str:
    name = name or f"old-embeddings-{next(_NUMBERS)}"
    schema: list[KeySchemaElementTypeDef] = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    schema += [{"AttributeName": part, "KeyType": "RANGE"} for part in range_key]
    client.create_table(
        TableName=name,
        KeySchema=schema,
        AttributeDefinitions=[{"AttributeName": part, "AttributeType": "S"} for part in (hash_key, *range_key)],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def _fill(client: "DynamoDBClient", table: str, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), 25):
        batch = rows[start : start + 25]
        left = client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": to_item(row)}} for row in batch]})
        assert not left["UnprocessedItems"]


@contextmanager
def _opened(*collections: str) -> Iterator[Source]:
    source = open_source("dynamodb:us-east-1", collections=collections)
    try:
        yield source
    finally:
        source.close()


def _rows(source: Source, table: str) -> list[SourceRow]:
    return [row for row in source.rows(table) if isinstance(row, SourceRow)]


def test_every_kind_of_attribute(client: "DynamoDBClient", table: str) -> None:
    client.put_item(
        TableName=table,
        Item={
            "product_id": {"S": "Käse 🧀"},
            "user_id": {"S": ""},
            "vector": {"L": [{"N": "0.5"}, {"N": "-1.25"}, {"N": "3"}]},
            "big": {"N": _LONG},
            "favorites": {"SS": ["p2", "p1"]},
            "numbers": {"NS": ["10", "9.5"]},
            "binaries": {"BS": [b"\x01", b"\x00"]},
            "raw": {"B": b"\x00\xff"},
            "yes": {"BOOL": True},
            "none": {"NULL": True},
            "nested": {"M": {"deep": {"L": [{"M": {"n": {"N": "1.5"}}}, {"NULL": True}]}}},
        },
    )
    with _opened(table) as source:
        (row,) = source.rows(table)
        assert source.left_out() == {}
    assert row == SourceRow(
        f"{table}/Käse 🧀",
        {
            "product_id": "Käse 🧀",
            "user_id": "",
            "vector": [Decimal("0.5"), Decimal("-1.25"), Decimal(3)],
            "big": Decimal(_LONG),
            "favorites": ["p1", "p2"],
            "numbers": [Decimal("9.5"), Decimal(10)],
            "binaries": [b"\x00", b"\x01"],
            "raw": b"\x00\xff",
            "yes": True,
            "none": None,
            "nested": {"deep": [{"n": Decimal("1.5")}, None]},
        },
    )


def test_the_shipped_mapping_brings_old_tables_over(client: "DynamoDBClient") -> None:
    mapping = load_mapping("k9-dynamodb")
    for (name, key), row in zip(_OLD_TABLES.items(), (USER, REPORT, EMBEDDING), strict=True):
        _create(client, key, name=name)
        _fill(client, name, [row])
    with _opened(*mapping.collections) as source:
        assert sorted(source.collections()) == sorted(_OLD_TABLES)
        assert_arrived(migrated(source, "k9-dynamodb"))


def test_a_key_of_two_parts(client: "DynamoDBClient") -> None:
    table = _create(client, "product_id", "model")
    _fill(client, table, [{"product_id": "p1", "model": "m2"}, {"product_id": "p1", "model": "m1"}])
    with _opened(table) as source:
        assert [row.position for row in _rows(source, table)] == [f'{table}/["p1","m1"]', f'{table}/["p1","m2"]']


def test_only_what_the_mapping_names_is_a_collection(client: "DynamoDBClient", table: str) -> None:
    other = _create(client, "id")
    with _opened(table) as source:
        assert source.collections() == [table]
        with pytest.raises(SourceError, match=f"no table {other} in us-east-1; there is {table}"):
            source.rows(other)
    with _opened("old-embeddings-*") as source:
        assert {table, other} <= set(source.collections())
        assert not [name for name in source.collections() if name.startswith("k9-")]
    with _opened("missing") as source:
        assert source.collections() == []
    with _opened() as source:
        assert [name for name in source.collections() if name.startswith("k9-")]


def test_every_page_is_read_twice_alike(client: "DynamoDBClient", table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb_tables, "_ITEMS_AT_A_TIME", 7)
    _fill(client, table, [{"product_id": f"p{i}", "n": i} for i in range(50)])
    with _opened(table) as source:
        first = _rows(source, table)
        assert _rows(source, table) == first
    assert sorted(row.values["n"] for row in first) == list(range(50))


@pytest.mark.parametrize("change", ["added", "removed", "changed"])
def test_a_table_that_was_written_to_between_readings(client: "DynamoDBClient", table: str, change: str) -> None:
    _fill(client, table, [{"product_id": f"p{i}", "product": {"a": 1, "b": i}} for i in range(10)])
    with _opened(table) as source:
        _rows(source, table)
        assert len(_rows(source, table)) == 10
        if change == "removed":
            client.delete_item(TableName=table, Key={"product_id": {"S": "p3"}})
        else:
            name = "p3" if change == "changed" else "p10"
            _fill(client, table, [{"product_id": name, "product": {"a": 1, "b": 99}}])
        with pytest.raises(SourceError, match=f"The table {table} was written to since it was first read"):
            _rows(source, table)


def test_a_table_that_goes_away(client: "DynamoDBClient", table: str) -> None:
    with _opened(table) as source:
        client.delete_table(TableName=table)
        with pytest.raises(SourceError, match=f"The table {table} cannot be read. AWS refused .*ResourceNotFound"):
            _rows(source, table)


def test_items_of_399_kb(client: "DynamoDBClient", table: str) -> None:
    for i in range(5):
        _fill(client, table, [{"product_id": f"p{i}", "text": "x" * 399_000}])
    with _opened(table) as source:
        assert [len(row.values["text"]) for row in _rows(source, table)] == [399_000] * 5


@pytest.mark.parametrize("engine", ["dynoxide"], indirect=True)
def test_memory_is_flat_over_50000_items(client: "DynamoDBClient", table: str) -> None:
    _fill(client, table, [{"product_id": f"p{i}", "text": "x" * 400} for i in range(50_000)])
    with _opened(table) as source:
        number, megabytes = growth(source.rows(table))
    assert number == 50_000
    assert megabytes < 10, "the texts alone are 20 MB"


def test_a_store_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
    monkeypatch.setattr(dynamodb_tables, "_CONFIG", dynamodb_tables._CONFIG.merge(_ONE_TRY))
    with pytest.raises(SourceError, match="Could not connect to the endpoint URL"):
        open_source("dynamodb:us-east-1")


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(SourceError, match="There are no AWS credentials"):
        open_source("dynamodb:us-east-1")


def test_an_address_without_a_region() -> None:
    with pytest.raises(SourceError, match="is dynamodb:REGION, such as dynamodb:us-east-1"):
        open_source("dynamodb:")
