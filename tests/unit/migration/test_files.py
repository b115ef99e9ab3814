"""JSON, NDJSON and CSV: streamed, exact, and the same at every reading."""

import gzip
import json
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scripts.migration.sources.opening import open_source
from scripts.migration.sources.source import Source, SourceError, SourceRow, UnreadableRow


def read(address: str) -> dict[str, list[tuple[str, Any]]]:
    """Every row of every collection, read twice alike: position, and values or the reason why there are none."""
    source = open_source(address)
    first, second = gathered(source), gathered(source)
    source.close()
    assert repr(first) == repr(second)  # NaN is not itself
    return first


def gathered(source: Source) -> dict[str, list[tuple[str, Any]]]:
    return {
        name: [
            (row.position, row.reason if isinstance(row, UnreadableRow) else dict(row.values))
            for row in source.rows(name)
        ]
        for name in source.collections()
    }


def refusal(address: str) -> str:
    with pytest.raises(SourceError) as refused:
        read(address)
    return str(refused.value)


def test_a_list_is_one_collection(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text('[{"a": 1.10}, {"a": 12345678901234567890123456789012345678}, 3, {"a": NaN}, {"a": 1, "a": 2}]')
    rows = read(f"json:{path}")["notes"]
    assert rows[0] == ("notes.json:1", {"a": Decimal("1.10")})
    assert rows[1] == ("notes.json:2", {"a": 12345678901234567890123456789012345678})
    assert rows[2] == ("notes.json:3", "is no object")
    assert rows[3][1]["a"].is_nan()
    assert rows[4] == ("notes.json:5", "an object names a member twice")


def test_an_object_has_a_collection_in_each_list(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_text('\ufeff{"format": {"v": [1]}, "users": [{"a": "é"}], "n": 1, "notes": []}')
    assert read(f"json:{path}") == {"users": [("dump.json:users:1", {"a": "é"})], "notes": []}
    source = open_source(f"json:{path}")
    assert source.left_out() == {"members of the file that are no list": 2}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        '[{"a": 1}',
        '[{"a": 1} {"a": 2}]',
        '{"a": [1], "a": [2]}',
        '{"a" [1]}',
        "3",
        '[{"a": tru}]',
        '[{"a": 1}] x',
        '{"a": [{"b": 1}]} {}',
        '["\n"]',
    ],
)
def test_what_is_no_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    assert "a.json" in refusal(f"json:{tmp_path}/a.json")


def test_a_value_may_be_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    rows = [{"n": n, "text": "ä" * 1_500_000} for n in range(3)] + [{"n": 3, "text": ""}]
    path.write_text(json.dumps(rows), encoding="utf-8")
    assert [values for _, values in read(f"json:{path}")["long"]] == rows


def test_numbers_at_the_end_of_what_is_read_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    path.write_text('[{"a": "' + "x" * (2**20 - 14) + '"}, {"b": 1234567890}]')
    assert read(f"json:{path}")["n"][1][1] == {"b": 1234567890}


def test_objects_by_name_are_rows_that_cannot_be_read_and_not_left_out(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_text('{"version": 2, "meta": {"by": "x"}, "reports": {"r1": {"a": 1}, "r2": {"a": 2}}, "users": []}')
    reason = "is a member of an object: write the objects as a list, with their names"
    assert read(f"json:{path}") == {
        "reports": [("dump.json:reports:r1", reason), ("dump.json:reports:r2", reason)],
        "users": [],
    }
    assert open_source(f"json:{path}").left_out() == {"members of the file that are no list": 2}


def test_a_line_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "notes.ndjson").write_text('{"a": 1}\n\n{"a": \n{"a": "\u2028"}\n[1]\n{"a": 2}')
    rows = read(f"ndjson:{tmp_path}/notes.ndjson")["notes"]
    assert [position for position, _ in rows] == [f"notes.ndjson:{n}" for n in (1, 3, 4, 5, 6)]
    assert rows[1][1].startswith("is no JSON")
    assert rows[2][1] == {"a": "\u2028"}
    assert rows[3][1] == "is no object"


def test_a_folder_has_a_collection_in_each_file(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text('{"x": 1}\n')
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write('{"x": 2}\n')
    (tmp_path / "README").write_text("no data")
    assert read(f"ndjson:{tmp_path}") == {"a": [("a.ndjson:1", {"x": 1})], "b": [("b.jsonl.gz:1", {"x": 2})]}


def test_csv_has_texts(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text('id,text\r\n1,"a ""b"",\nc"\r\n2,\r\n3\r\n', newline="")
    rows = read(f"csv:{tmp_path}")["notes"]
    assert rows == [
        ("notes.csv:3", {"id": "1", "text": 'a "b",\nc'}),
        ("notes.csv:4", {"id": "2", "text": ""}),
        ("notes.csv:5", "has 1 values for 2 columns"),
    ]


@pytest.mark.parametrize("text", ["", "a,a\n1,2\n", "a,\n1,2\n", 'a,b\n1,"2'])
def test_what_is_no_csv_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text(text)
    assert "n.csv" in refusal(f"csv:{tmp_path}/n.csv")


@pytest.mark.parametrize("address", ["json:/no/a.json", "ndjson:/no/a.ndjson", "csv:/no"])
def test_a_file_that_is_not_there_is_named(address: str) -> None:
    assert "/no" in refusal(address)


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_a_folder_without_such_files_is_refused(kind: str, tmp_path: Path) -> None:
    assert "has no files that end" in refusal(f"{kind}:{tmp_path}")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.ndjson", "a.jsonl"):
        (tmp_path / name).write_text("{}\n")
    assert "two files of one name" in refusal(f"ndjson:{tmp_path}")


def test_what_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b'{"a": "\xe4"}\n')
    assert "is not UTF-8" in refusal(f"ndjson:{tmp_path}")


def test_a_gzip_file_that_breaks_off_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"a": 1}\n' * 1000)
    (tmp_path / "a.ndjson.gz").write_bytes(whole[:-20])
    assert "is the file whole?" in refusal(f"ndjson:{tmp_path}")


def test_a_file_that_changes_between_two_readings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text('{"a": 1}\n')
    source = open_source(f"ndjson:{path}")
    assert len(list(source.rows("a"))) == 1
    path.write_text('{"a": 1}\n{"a": 2}\n')
    with pytest.raises(SourceError, match="was changed"):
        list(source.rows("a"))


def test_a_collection_that_is_not_there_is_named(tmp_path: Path) -> None:
    for kind, text in (("json", "[]"), ("ndjson", ""), ("csv", "a\n")):
        (tmp_path / f"a.{kind}").write_text(text)
        with pytest.raises(SourceError, match="b"):
            list(open_source(f"{kind}:{tmp_path}/a.{kind}").rows("b"))


@pytest.mark.parametrize("kind", ["json", "ndjson", "csv"])
def test_memory_stays_flat(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{kind}"
    rows = [{"n": number, "text": "x" * 300} for number in range(50_000)]
    if kind == "json":
        path.write_text(json.dumps(rows))
    elif kind == "ndjson":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        path.write_text("n,text\n" + "".join(f"{row['n']},{row['text']}\n" for row in rows))
    source = open_source(f"{kind}:{path}")
    tracemalloc.start()
    count = sum(isinstance(row, SourceRow) for row in source.rows("rows"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 50_000
    assert peak < 8 * 1024 * 1024 < path.stat().st_size
