"""Exports of DynamoDB to S3, laid out as its documentation describes them."""

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scripts.migration.sources.opening import open_source
from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow
from shared.database.attributes import to_item
from tests.support.dynamodb_exports import Export
from tests.support.flat_memory import growth
from tests.support.old_rows import EMBEDDING, REPORT, USER, assert_arrived, migrated

_LONG = "12345678901234567890123456789012345678"


def _item(**attributes: Any) -> str:
    return json.dumps({"Item": attributes}, ensure_ascii=False)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    return Export(tmp_path)


def test_every_kind_of_attribute(export: Export) -> None:
    nested = {"M": {"": {"L": [{"N": "1.50"}, {"NULL": True}, {"S": ""}, {"M": {"b": {"B": "AP8="}}}]}}}
    line = _item(
        id={"S": "r1"},
        title={"S": "Käse 🧀"},
        big={"N": _LONG},
        tiny={"N": "1E-130"},
        vector={"L": [{"N": "0.5"}, {"N": "-1.25"}]},
        favorites={"SS": ["p2", "p1"]},
        numbers={"NS": ["10", "9.5"]},
        binaries={"BS": ["AQ==", "AA=="]},
        raw={"B": "AP8="},
        yes={"BOOL": True},
        no={"BOOL": False},
        none={"NULL": True},
        nested=nested,
    )
    (row,) = export.write([line]).rows()
    assert row == SourceRow(
        "file0.json.gz:1",
        {
            "id": "r1",
            "title": "Käse 🧀",
            "big": Decimal(_LONG),
            "tiny": Decimal("1E-130"),
            "vector": [Decimal("0.5"), Decimal("-1.25")],
            "favorites": ["p1", "p2"],
            "numbers": [Decimal("9.5"), Decimal(10)],
            "binaries": [b"\x00", b"\x01"],
            "raw": b"\x00\xff",
            "yes": True,
            "no": False,
            "none": None,
            "nested": {"": [Decimal("1.50"), None, "", {"b": b"\x00\xff"}]},
        },
    )


def test_the_shipped_mapping_brings_old_rows_over(tmp_path: Path) -> None:
    for name, row in {"users": USER, "reports": REPORT, "embeddings": EMBEDDING}.items():
        Export(tmp_path, name, name).write([json.dumps({"Item": to_item(row)})])
    assert_arrived(migrated(open_source(f"dynamodb-export:{tmp_path}"), "k9-dynamodb"))


def test_all_files_of_all_exports_twice_alike(tmp_path: Path) -> None:
    Export(tmp_path, "reports", "1").write([_item(id={"S": "a"})], [], [_item(id={"S": "b"}), _item(id={"S": "c"})])
    Export(tmp_path, "users", "2").write([_item(id={"S": "u"})])
    source = open_source(f"dynamodb-export:{tmp_path}")
    assert source.collections() == ["reports", "users"]
    rows = [row for row in source.rows("reports") if isinstance(row, SourceRow)]
    assert [(row.position, row.values["id"]) for row in rows] == [
        ("file0.json.gz:1", "a"),
        ("file2.json.gz:1", "b"),
        ("file2.json.gz:2", "c"),
    ]
    assert list(source.rows("reports")) == rows
    assert source.left_out() == {}
    source.close()


def test_the_folder_of_the_export_itself_will_do(export: Export) -> None:
    export.write([_item(id={"S": "a"})])
    assert open_source(f"dynamodb-export:{export.folder}").collections() == ["old-reports"]


def test_a_checksum_of_the_plain_bytes_will_do(export: Export) -> None:
    assert len(export.write([_item(id={"S": "a"})], of_plain_bytes=True).rows()) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"Item": {"id": {"S": "a"', "the line is no item of DynamoDB's"),
        ('{"Metadata": {}}', "the line has no Item"),
        ("[]", "the line has no Item"),
        ('{"Item": []}', "the line has no Item"),
        ('{"Item": {"id": {"S": "a"}, "id": {"S": "b"}}}', "names a member twice"),
        (_item(id={"X": "a"}), "the attribute id is no value of DynamoDB's"),
        (_item(id={"N": "ten"}), "the attribute id is no value of DynamoDB's"),
        (_item(id={"B": "?"}), "the attribute id is no value of DynamoDB's"),
        (_item(id={"S": "a", "N": "1"}), "the attribute id is no value of DynamoDB's"),
        (_item(id="a"), "the attribute id is no value of DynamoDB's"),
    ],
)
def test_a_line_that_is_no_item_is_unreadable_and_the_rest_is_read(export: Export, line: str, reason: str) -> None:
    bad, fine = export.write([line, _item(id={"S": "b"})]).rows()
    assert isinstance(bad, UnreadableRow)
    assert bad.position == "file0.json.gz:1"
    assert reason in bad.reason
    assert fine == SourceRow("file0.json.gz:2", {"id": "b"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda packed: packed[:-12], "is damaged .Compressed file ended"),
        (lambda packed: packed[:-6] + b"\x00" + packed[-5:], "is damaged"),
        (lambda packed: packed[:15] + bytes([packed[15] ^ 255]) + packed[16:], "is damaged"),
        (
            lambda packed: gzip.compress(gzip.decompress(packed).replace(b"one", b"two")),
            "its checksum is not the manife",
        ),
        (lambda packed: b"plain text", "is damaged .Not a gzipped file"),
    ],
    ids=["cut off", "checksum of gzip", "a byte", "another content", "no gzip"],
)
def test_no_row_of_a_damaged_file_is_given(export: Export, damage: Callable[[bytes], bytes], message: str) -> None:
    export.write([_item(id={"S": f"one {i}"}) for i in range(1000)])
    export.path().write_bytes(damage(export.path().read_bytes()))
    rows = open_source(export.address).rows("old-reports")
    with pytest.raises(SourceError, match=message):
        next(rows)


def test_a_file_that_changed_between_readings(export: Export) -> None:
    source = open_source(export.write([_item(id={"S": "a"})]).address)
    list(source.rows("old-reports"))
    export.path().write_bytes(gzip.compress(_item(id={"S": "b"}).encode()))
    with pytest.raises(SourceError, match="its checksum is not the manifest's"):
        list(source.rows("old-reports"))


def test_a_file_with_fewer_items_than_the_manifest_says(export: Export) -> None:
    export.write([_item(id={"S": "a"})])
    manifest = export.folder / "manifest-files.json"
    text = manifest.read_text().replace('"itemCount": 1', '"itemCount": 2')
    export.manifest("manifest-files", text)
    with pytest.raises(SourceError, match=r"is not whole: it has 1 items by its summary and 2 by its list"):
        export.rows()
    summary = (export.folder / "manifest-summary.json").read_text().replace('"itemCount": 1', '"itemCount": 2')
    export.manifest("manifest-summary", summary)
    with pytest.raises(SourceError, match=r"file0\.json\.gz has 1 items, and the manifest says 2"):
        export.rows()


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ({"outputFormat": "ION"}, "in the format ION, which is not read: export the table again with DYNAMODB_JSON"),
        ({"exportType": "INCREMENTAL_EXPORT"}, "only what changed .INCREMENTAL_EXPORT.: make a full export"),
    ],
)
def test_an_export_of_another_kind(export: Export, summary: dict[str, Any], message: str) -> None:
    export.write([_item(id={"S": "a"})], **summary)
    with pytest.raises(SourceError, match=message):
        open_source(export.address)


@pytest.mark.parametrize("name", ["manifest-summary", "manifest-files"])
@pytest.mark.parametrize("ending", [".md5", ".checksum"])
def test_a_manifest_that_does_not_have_its_checksum(export: Export, name: str, ending: str) -> None:
    export.write([_item(id={"S": "a"})])
    (export.folder / f"{name}.md5").rename(export.folder / f"{name}{ending}")
    assert open_source(export.address).collections() == ["old-reports"]
    with (export.folder / f"{name}.json").open("a") as manifest:
        manifest.write(" ")
    with pytest.raises(SourceError, match=f"its checksum is not the one in {name}{ending}"):
        open_source(export.address)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("manifest-summary", "{", "manifest-summary.json is not JSON"),
        ("manifest-summary", "[]", "is no manifest of an export"),
        ("manifest-summary", '{"outputFormat": "DYNAMODB_JSON", "itemCount": 1}', "does not say tableArn"),
        ("manifest-files", '{"itemCount": 1, "md5Checksum": ""}', "does not say 'dataFileS3Key'"),
        ("manifest-files", "\x80", "is not JSON"),
    ],
)
def test_a_manifest_that_is_none(export: Export, name: str, text: str, message: str) -> None:
    export.write([_item(id={"S": "a"})])
    export.manifest(name, text)
    with pytest.raises(SourceError, match=message):
        open_source(export.address)


def test_missing_files(export: Export) -> None:
    with pytest.raises(SourceError, match=r"has no manifest-summary\.json"):
        open_source(export.address)
    export.write([_item(id={"S": "a"})])
    export.path().unlink()
    with pytest.raises(SourceError, match=r"file0\.json\.gz is missing from the export"):
        open_source(export.address)
    (export.folder / "manifest-files.json").unlink()
    with pytest.raises(SourceError, match=r"manifest-files\.json cannot be read"):
        open_source(export.address)


def test_two_exports_of_one_table(tmp_path: Path) -> None:
    for id_ in ("1", "2"):
        Export(tmp_path, id=id_).write([])
    with pytest.raises(SourceError, match="are both exports of old-reports: name the folder of one"):
        open_source(f"dynamodb-export:{tmp_path}")


def test_a_collection_that_is_not_there(export: Export) -> None:
    with pytest.raises(SourceError, match="no export of users; there is one of old-reports"):
        list(open_source(export.write([]).address).rows("users"))


def test_memory_is_flat_over_50000_items(export: Export) -> None:
    export.write(_item(id={"S": str(i)}, text={"S": "x" * 600}) for i in range(50_000))
    count, megabytes = growth(open_source(export.address).rows("old-reports"))
    assert count == 50_000
    assert megabytes < 10, "the texts alone are 30 MB"
