"""A server that speaks CouchDB's protocol, and one that misbehaves as servers and networks do."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from urllib3 import HTTPResponse

from scripts.migration.mapping import load_mapping
from scripts.migration.sources import couchdb_http
from scripts.migration.sources.opening import open_source
from scripts.migration.sources.source import Source, SourceError, SourceRow
from tests.support.flat_memory import growth
from tests.support.migration_engines import CouchDbServer, couchdb_server
from tests.support.old_rows import EMBEDDING, REPORT, REPORT_ID, USER, assert_arrived, migrated
from tests.support.serving import serving


@pytest.fixture(scope="module")
def server() -> Iterator[CouchDbServer]:
    with couchdb_server() as running:
        yield running


@pytest.fixture(autouse=True)
def credentials(server: CouchDbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(couchdb_http, "_RETRIES", couchdb_http._RETRIES.new(backoff_factor=0, backoff_jitter=0))


@pytest.fixture
def database(server: CouchDbServer) -> str:
    for name in server.request("GET", "_all_dbs"):
        server.request("DELETE", quote(name, safe=""))
    server.request("PUT", "pet_reports")
    return "pet_reports"


def _fill(server: CouchDbServer, database: str, documents: list[dict[str, Any]]) -> None:
    server.request("POST", f"{quote(database, safe='')}/_bulk_docs", {"docs": documents})


@contextmanager
def _opened(root: str, **options: Any) -> Iterator[Source]:
    source = open_source(f"couchdb:{root}", options=options)
    try:
        yield source
    finally:
        source.close()


def _rows(source: Source, collection: str) -> list[SourceRow]:
    return [row for row in source.rows(collection) if isinstance(row, SourceRow)]


def _without_revision(row: SourceRow) -> dict[str, Any]:
    return {name: value for name, value in row.values.items() if name != "_rev"}


def test_documents_are_rows_and_what_is_left_out_is_counted(server: CouchDbServer, database: str) -> None:
    documents: list[dict[str, Any]] = [
        {"_id": "a/b ü", "title": "Käse 🧀", "empty": "", "none": None, "deep": {"list": [1, {"x": [True]}]}},
        {"_id": '"quoted"', "date": "29.02.2024", "_attachments": _attachments("one.txt", "two.txt")},
        {"_id": "gone", "title": "deleted"},
        {"_id": "_design/reports", "views": {}},
        {"_id": "_design/users", "views": {}},
    ]
    _fill(server, database, documents)
    gone = server.request("GET", f"{database}/gone")
    server.request("DELETE", f"{database}/gone?rev={gone['_rev']}")
    with _opened(server.root) as source:
        assert source.collections() == ["pet_reports"]
        rows = _rows(source, "pet_reports")
        assert rows == _rows(source, "pet_reports")
        assert source.left_out() == {"design documents": 2, "attachments": 2}
    assert [row.position for row in rows] == ['pet_reports/"quoted"', "pet_reports/a/b ü"]
    assert _without_revision(rows[0]) == {"_id": '"quoted"', "date": "29.02.2024"}
    assert _without_revision(rows[1]) == documents[0]
    assert str(rows[0].values["_rev"]).startswith("1-")


def _attachments(*names: str) -> dict[str, Any]:
    return {name: {"content_type": "text/plain", "data": "aGk="} for name in names}


def test_of_a_conflict_the_winner_is_read_and_the_others_are_counted(server: CouchDbServer, database: str) -> None:
    revisions = [{"_id": "a", "_rev": f"1-{letter * 32}", "from": letter} for letter in "bac"]
    server.request("POST", f"{database}/_bulk_docs", {"docs": revisions, "new_edits": False})
    with _opened(server.root) as source:
        (row,) = _rows(source, database)
        assert source.left_out() == {"conflicting revisions": 2}
    assert row.values == {"_id": "a", "_rev": f"1-{'c' * 32}", "from": "c"}


def test_each_database_is_a_collection(server: CouchDbServer, database: str) -> None:
    for name in ("users", "old+embeddings", "_replicator"):
        server.request("PUT", quote(name, safe=""))
    _fill(server, "old+embeddings", [{"_id": "e1"}])
    with _opened(server.root + "/") as source:
        assert sorted(source.collections()) == ["old+embeddings", "pet_reports", "users"]
        assert [row.position for row in _rows(source, "old+embeddings")] == ["old+embeddings/e1"]
        assert source.left_out() == {"system databases": 1}
    with _opened(server.root + "/old%2Bembeddings") as source:
        assert source.collections() == ["old+embeddings"]


@pytest.mark.parametrize("said_by", ["address", "mapping"])
def test_a_database_split_by_type(server: CouchDbServer, database: str, said_by: str) -> None:
    kinds: list[object] = ["report", "user", None, 3, "a/b"]
    _fill(server, database, [{"_id": f"d{i}", "type": kind} for i, kind in enumerate(kinds)])
    _fill(server, database, [{"_id": "d5"}, {"_id": "d6", "type": "report", "_attachments": _attachments("x")}])
    _fill(server, database, [{"_id": "_design/x", "views": {}}])
    address = f"{server.root}/{database}" + ("?type_field=type" if said_by == "address" else "")
    options = {"type_field": "type"} if said_by == "mapping" else {}
    with _opened(address, **options) as source:
        assert source.collections() == ["pet_reports/", "pet_reports/a/b", "pet_reports/report", "pet_reports/user"]
        found = {name: [row.values["_id"] for row in _rows(source, name)] for name in source.collections()}
        assert source.left_out() == {"design documents": 1, "attachments": 1}
    assert found == {
        "pet_reports/": ["d2", "d3", "d5"],
        "pet_reports/a/b": ["d4"],
        "pet_reports/report": ["d0", "d6"],
        "pet_reports/user": ["d1"],
    }


_OLD_ROWS = {"user": USER, "report": REPORT, "embedding": EMBEDDING}


def test_the_shipped_mapping_brings_a_database_for_each_kind_over(server: CouchDbServer, database: str) -> None:
    server.request("DELETE", database)
    for kind, row in _OLD_ROWS.items():
        server.request("PUT", f"{kind}s")
        _fill(server, f"{kind}s", [{"_id": REPORT_ID, **row}])
    with _opened(server.root) as source:
        assert_arrived(migrated(source, "k9-couchdb"))


def test_the_shipped_mapping_brings_a_database_of_all_kinds_over(server: CouchDbServer, database: str) -> None:
    _fill(server, database, [{**row, "_id": f"{kind}-1", "type": kind} for kind, row in _OLD_ROWS.items()])
    mapping = load_mapping("k9-couchdb-types")
    with _opened(server.root, **mapping.options) as source:
        assert_arrived(migrated(source, "k9-couchdb-types"))


def test_a_report_whose_id_k9_does_not_allow_gets_the_same_new_one_each_time(
    server: CouchDbServer, database: str
) -> None:
    document = {name: value for name, value in REPORT.items() if name != "id"}
    _fill(server, database, [{**document, "_id": "too long " * 20}])
    with _opened(server.root) as source:
        ids = {migrated(source, "k9-couchdb")["reports"]["id"] for _ in range(2)}
    assert len(ids) == 1
    assert not ids & {REPORT_ID, "too long " * 20}


@pytest.mark.parametrize("count", [0, 1, 16, 17, 48, 49, 5000])
def test_no_document_is_lost_between_pages(server: CouchDbServer, database: str, count: int) -> None:
    _fill(server, database, [{"_id": f"{i:05}"} for i in range(count)])
    with _opened(server.root) as source:
        assert [row.values["_id"] for row in _rows(source, database)] == [f"{i:05}" for i in range(count)]


def test_a_database_that_was_written_to_between_readings(server: CouchDbServer, database: str) -> None:
    _fill(server, database, [{"_id": "a"}])
    with _opened(server.root) as source:
        _rows(source, database)
        _fill(server, database, [{"_id": "b"}])
        with pytest.raises(SourceError, match="pet_reports was written to while it was being read"):
            _rows(source, database)


def test_a_database_that_was_written_to_during_a_reading(server: CouchDbServer, database: str) -> None:
    _fill(server, database, [{"_id": f"{i:03}"} for i in range(100)])
    with _opened(server.root) as source:
        reading = source.rows(database)
        next(reading)
        first = server.request("GET", f"{database}/000")
        server.request("DELETE", f"{database}/000?rev={first['_rev']}")
        _fill(server, database, [{"_id": "000x"}])
        with pytest.raises(SourceError, match="was written to"):
            list(reading)


def test_a_password_from_a_file(server: CouchDbServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("COUCHDB_PASSWORD")
    monkeypatch.setenv("COUCHDB_PASSWORD_FILE", str(tmp_path / "password"))
    with pytest.raises(SourceError, match="The file that COUCHDB_PASSWORD_FILE names cannot be read"):
        open_source(f"couchdb:{server.root}")
    (tmp_path / "password").write_text(server.password + "\n")
    with _opened(server.root) as source:
        source.collections()


def test_a_wrong_password_is_not_told(server: CouchDbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUCHDB_PASSWORD", "wr0ng-s3cret")
    with pytest.raises(SourceError, match=r"does not let us in \(401\): set COUCHDB_USER") as refused:
        open_source(f"couchdb:{server.root}")
    assert "wr0ng-s3cret" not in str(refused.value)


def test_half_of_the_credentials(server: CouchDbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUCHDB_USER")
    with pytest.raises(SourceError, match="Set both COUCHDB_USER and COUCHDB_PASSWORD"):
        open_source(f"couchdb:{server.root}")


def test_the_credentials_are_not_shown(server: CouchDbServer) -> None:
    with _opened(server.root) as source:
        assert "Basic" not in repr(source)


def test_a_database_that_is_not_there(server: CouchDbServer) -> None:
    with pytest.raises(SourceError, match=r"/missing is not there \(404\)"):
        open_source(f"couchdb:{server.root}/missing")


def test_a_collection_that_is_not_there(server: CouchDbServer, database: str) -> None:
    with _opened(server.root) as source, pytest.raises(SourceError, match="no collection reports; it has pet_reports"):
        source.rows("reports")


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(SourceError, match=r"does not answer .*: is the address right"):
        open_source("couchdb:http://127.0.0.1:1/")


@pytest.mark.parametrize(
    "place",
    [
        "http://k9:s3cret@127.0.0.1:1/",
        "127.0.0.1:1",
        "http://127.0.0.1:1/a/b",
        "http://[::1",
        "http://127.0.0.1:1/?x=s3cret",
    ],
)
def test_an_address_that_is_none(place: str) -> None:
    with pytest.raises(SourceError, match="address") as refused:
        open_source(f"couchdb:{place}")
    assert "s3cret" not in str(refused.value)


def test_memory_is_flat_over_50000_documents(server: CouchDbServer, database: str) -> None:
    for start in range(0, 50_000, 5000):
        _fill(server, database, [{"_id": f"{i:05}", "text": "x" * 500} for i in range(start, start + 5000)])
    with _opened(server.root) as source:
        count, megabytes = growth(source.rows(database))
    assert count == 50_000
    assert megabytes < 20, "the texts alone are 25 MB"


Reply = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def _scripted(replies: Callable[[str], Iterator[Reply]]) -> Iterator[str]:
    """A server whose answers to each path come one after the other."""
    running: dict[str, Iterator[Reply]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            next(running.setdefault(path, replies(path)))(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(Handler) as url:
        yield url


def _json(text: str, status: int = 200, **headers: str) -> Reply:
    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(text.encode())), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(text.encode())

    return reply


def _cut_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"rows": [')


_INFO = _json('{"update_seq": "7-abc", "doc_count": 1, "doc_del_count": 0}')
_INFO_OF_ANOTHER_NODE = _json('{"update_seq": "7-xyz", "doc_count": 1, "doc_del_count": 0}')
_DOCUMENT = '{"_id": "a", "n": 12345678901234567890123456789012345678, "f": 1.10}'
_PAGE = _json('{"rows": [{"id": "a", "key": "a", "doc": ' + _DOCUMENT + "}]}")


def _answers(page: list[Reply], info: list[Reply] | None = None) -> Callable[[str], Iterator[Reply]]:
    """Those before the last one come once each, the last one for ever."""

    def of(path: str) -> Iterator[Reply]:
        replies = page if path.endswith("_all_docs") else info or [_INFO]
        yield from replies[:-1]
        while True:
            yield replies[-1]

    return of


@pytest.mark.parametrize(
    "trouble",
    [_json("{}", 503), _json("{}", 500), _json("slow down", 429, Retry_After="0"), _cut_off],
    ids=["503", "500", "429", "cut off"],
)
def test_a_trouble_that_passes(trouble: Reply) -> None:
    replies = _answers([trouble, trouble, _PAGE], [_INFO, trouble, _INFO_OF_ANOTHER_NODE])
    with _scripted(replies) as root, _opened(f"{root}/db") as source:
        (row,) = _rows(source, "db")
    assert row.values == {"_id": "a", "n": 12345678901234567890123456789012345678, "f": Decimal("1.10")}


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (_json("{}", 503), "answers 503, also after 8 more tries"),
        (_cut_off, "_all_docs does not answer"),
        (_json("<html>"), "answers with what is not JSON"),
        (_json('{"total": 3}'), "answers without rows: is a CouchDB there"),
        (_json("[]"), "answers without rows: is a CouchDB there"),
        (_json("", 301, Location="http://127.0.0.1:1/"), r"says that it is elsewhere \(301\)"),
        (_json('{"rows": [{"id": "a", "key": "a", "doc": null}]}'), "db was written to while it was being read"),
    ],
)
def test_a_trouble_that_stays(page: Reply, message: str) -> None:
    with (
        _scripted(_answers([page])) as root,
        _opened(f"{root}/db") as source,
        pytest.raises(SourceError, match=message),
    ):
        _rows(source, "db")


def test_a_server_of_another_kind() -> None:
    with _scripted(_answers([_PAGE], [_json(json.dumps({"hello": "world"}))])) as root:
        with pytest.raises(SourceError, match="answers without update_seq: is a CouchDB there"):
            open_source(f"couchdb:{root}/db")
        with pytest.raises(SourceError, match="_all_dbs does not answer with a list"):
            open_source(f"couchdb:{root}/")


def test_tries_wait_longer_and_longer_and_then_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    retries, waits = couchdb_http._RETRIES.new(backoff_jitter=0), []
    while retries.total:
        retries = retries.increment("GET", "/", HTTPResponse(status=503))
        waits.append(retries.get_backoff_time())
    assert waits == sorted(waits)
    assert len(waits) == 8
    assert 30 < sum(waits) < 90
