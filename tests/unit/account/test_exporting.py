"""The copy of an account: all of it, of nobody else, whole whatever is cut off, and not to be had before."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from moto.s3.exceptions import NoSuchUpload
from moto.s3.models import S3Backend

from shared.account import exporting, sections
from shared.account.account_exports import ExportStore
from shared.account.export_status import MOST_TRIES, ExportStatus
from shared.account.exporting import export
from shared.account.status_object import CLAIM, ClaimLost
from shared.avatars.names import Upload, key_of
from shared.database import DatabaseManager, UserRepository
from shared.errors import Unavailable
from shared.models.fields import now, parse_timestamp, timestamp
from shared.similarity.objects import ObjectStore, default_objects
from shared.similarity.uploads import create_upload
from tests.support.accounts import Clock, Erasure, embed, every_version, opened, settle_in, versioned
from tests.support.faults import all_faulty, recorded

A = "a"
SMALL = 400
"""Bytes of a part; S3 wants 5 MB, which this engine is told to forget."""


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def objects(manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    monkeypatch.setattr(S3Backend, "upload_part", _upload_part)
    return versioned(default_objects())


_moto_upload_part = S3Backend.upload_part


def _upload_part(*arguments: Any, **named: Any) -> Any:
    """S3 says so; this engine fails where it does not know an upload."""
    try:
        return _moto_upload_part(*arguments, **named)
    except KeyError as error:
        raise NoSuchUpload(upload_id=str(error)) from error


@pytest.fixture
def store(manager: DatabaseManager, objects: ObjectStore) -> ExportStore:
    settle_in(manager, objects, A)
    return ExportStore(objects, A, clock=Clock())


def clock_of(store: ExportStore) -> Clock:
    assert isinstance(store.clock, Clock)
    return store.clock


def work(store: ExportStore, check: Any = lambda: None, part_bytes: int = SMALL) -> None:
    status = store.status()
    assert status
    export(store.objects, owner=A, export_id=status.id, check=check, clock=store.clock, part_bytes=part_bytes)


def copy_of(store: ExportStore) -> dict[str, Any]:
    status = store.status()
    assert status
    assert status.state == "done"
    stored = store.objects.get(store.file_key(status.id))
    assert stored
    assert status.archive
    assert status.archive.size == len(stored.body)
    return opened(stored.body)


def test_it_holds_all_that_the_user_owns(store: ExportStore) -> None:
    store.request()
    work(store)
    files = copy_of(store)
    assert files.keys() == {
        "profile-00001.ndjson",
        "reports-00001.ndjson",
        "embeddings-00001.ndjson",
        "embeddings-00002.ndjson",
        "manifest.json",
    }
    (profile,) = files["profile-00001.ndjson"]
    assert (profile["user_id"], profile["name"], profile["preferences"]) == (A, "a's name", {"a": 1})
    assert {name: entry["dimension"] for name, entry in profile["models"].items()} == {"m": 2, "n/1@x": 3}
    reports = files["reports-00001.ndjson"]
    assert [report["title"] for report in reports] == ["r1", "r0"]
    assert all(report["reference"] == {"price": "249.99"} for report in reports)
    assert all(report["favorites"] == ["f1", "f2"] for report in reports)
    first, second = files["embeddings-00001.ndjson"], files["embeddings-00002.ndjson"]
    assert [(row["product_id"], row["model_version"]) for row in (*first, *second)] == [
        ("p0", "m"),
        ("p1", "m"),
        ("p2", "m"),
        ("q", "n/1@x"),
    ]
    assert second[0]["embedding_vector"] == ["2.0", "0.5", "0.5"]
    assert second[0]["product"] == {"p": "1.5"}


def test_its_manifest_tells_of_every_file(store: ExportStore) -> None:
    requested = store.request()
    work(store)
    manifest = copy_of(store)["manifest.json"]
    assert (manifest["format"], manifest["user_id"]) == ("k9-account-1", A)
    assert requested.requested_at == manifest["requested_at"] <= manifest["finished_at"]
    status = store.status()
    assert status
    assert status.archive
    listed = {entry.name: (entry.lines, entry.size, entry.sha256) for entry in status.archive.entries[:-1]}
    assert {file["name"]: (file["lines"], file["bytes"], file["sha256"]) for file in manifest["files"]} == listed
    assert sum(lines for lines, _, _ in listed.values()) == 1 + 2 + 4
    assert (status.lines("reports"), status.lines("embeddings")) == (2, 4)


def test_the_same_rows_give_the_same_files_however_they_are_cut(
    store: ExportStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.request()
    work(store, part_bytes=5 * 1024 * 1024)
    whole = copy_of(store)
    assert store.status().archive.etags.__len__() == 1  # type: ignore[union-attr]
    monkeypatch.setattr(sections, "FILE_BYTES", 1)
    monkeypatch.setattr(sections, "_PAGE_ROWS", 1)
    monkeypatch.setattr(exporting, "_GROW_AFTER", 2)
    store.request()
    work(store)
    cut = copy_of(store)
    assert len(cut) == 1 + 2 + 4 + 1
    for kind in ("profile", "reports", "embeddings"):
        assert rows(cut, kind) == rows(whole, kind)


def rows(files: dict[str, Any], kind: str) -> list[Any]:
    return [row for name, found in sorted(files.items()) if name.startswith(kind) for row in found]


def test_one_who_has_nothing(manager: DatabaseManager, objects: ObjectStore) -> None:
    store = ExportStore(objects, A)
    store.request()
    work(store)
    assert copy_of(store).keys() == {"manifest.json"}
    assert copy_of(store)["manifest.json"]["files"] == []


def test_it_holds_nothing_of_others(manager: DatabaseManager, store: ExportStore) -> None:
    settle_in(manager, store.objects, "ab")
    embed(manager, "ab", "secret", "m")
    store.request()
    work(store)
    assert "secret" not in str(copy_of(store))
    assert "ab's name" not in str(copy_of(store))


class TestAvatar:
    """What a user has uploaded is theirs too, and nothing else holds it."""

    @pytest.fixture
    def path(self, manager: DatabaseManager, store: ExportStore) -> str:
        path = Upload.new(A, now()).avatar_path(b"image")
        store.objects.put(key_of(path), b"image", media_type="image/webp")
        UserRepository(manager).place_avatar(A, path, now())
        return path

    def images(self, store: ExportStore) -> dict[str, bytes]:
        store.request()
        work(store)
        status = store.status()
        assert status
        stored = store.objects.get(store.file_key(status.id))
        assert stored
        with zipfile.ZipFile(io.BytesIO(stored.body)) as archive:
            listed = {file["name"]: file for file in json.loads(archive.read("manifest.json"))["files"]}
            found = {name: archive.read(name) for name in archive.namelist() if name.startswith("avatar-")}
        assert {name: len(body) for name, body in found.items()} == {
            name: file["bytes"] for name, file in listed.items() if name.startswith("avatar-")
        }
        assert all(listed[name]["lines"] == 0 for name in found)
        return found

    def test_the_one_that_is_shown(self, store: ExportStore, path: str) -> None:
        assert self.images(store) == {"avatar-00001.webp": b"image"}

    def test_one_that_is_gone(self, store: ExportStore, path: str) -> None:
        store.objects.delete([key_of(path)])
        assert self.images(store) == {}

    def test_one_that_is_replaced_while_it_is_read(
        self, manager: DatabaseManager, store: ExportStore, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, later = store.objects.get, Upload.new(A, now()).avatar_path(b"later")

        def get(key: str, *arguments: Any) -> Any:
            if key == key_of(path):
                store.objects.put(key_of(later), b"later", media_type="image/png")
                UserRepository(manager).place_avatar(A, later, now())
                store.objects.delete([key])
            return real(key, *arguments)

        monkeypatch.setattr(store.objects, "get", get)
        assert self.images(store) == {"avatar-00001.png": b"later"}

    @pytest.mark.parametrize("address", [None, "https://example.com/a.png", "/similarity/a/m/object"])
    def test_one_at_another_address(self, manager: DatabaseManager, store: ExportStore, address: str | None) -> None:
        manager.get_users_table().update_item(
            Key={"user_id": A},
            UpdateExpression="SET avatar_url = :a",
            ExpressionAttributeValues={":a": address},
        )
        assert self.images(store) == {}


class TestRequests:
    def test_its_marker_names_one_owner(self, manager: DatabaseManager, objects: ObjectStore) -> None:
        asked = ExportStore(objects, "a/b", clock=Clock())
        asked.request()
        status = asked.status()
        assert status
        assert [info.key for info in objects.list("pending/exports/")] == [f"pending/exports/a%2Fb/{status.id}"]

    def test_one_that_is_under_way_is_joined(self, store: ExportStore) -> None:
        first = store.request()
        assert store.request() == first
        work(store, look := iter_once(lambda: joined.append(store.request().id)))
        assert joined == [first.id]
        assert look

    def test_after_one_that_is_done_comes_a_fresh_one(self, manager: DatabaseManager, store: ExportStore) -> None:
        first = store.request()
        work(store)
        embed(manager, A, "new")
        second = store.request()
        assert second.id != first.id
        work(store)
        assert "new" in str(copy_of(store))

    def test_one_is_kept_for_a_day(self, store: ExportStore) -> None:
        store.request()
        work(store)
        clock_of(store).pass_time(hours=23)
        assert store.status()
        clock_of(store).pass_time(hours=2)
        assert store.status() is None

    def test_no_file_is_kept_longer_than_s3_keeps_it(self, store: ExportStore) -> None:
        """Which counts from when the upload was begun; a failure is told for a day."""
        store.request()
        clock_of(store).pass_time(hours=20)
        work(store)
        clock_of(store).pass_time(hours=5)
        assert store.status() is None
        failed = ExportStatus("id", "queued", store.clock()).failed("Why.", store.clock())
        assert failed.kept_until == timestamp(parse_timestamp(failed.finished_at or "") + timedelta(days=1))

    def test_of_many_who_ask_at_once_one_wins(self, store: ExportStore, monkeypatch: pytest.MonkeyPatch) -> None:
        other = ExportStore(store.objects, A)
        real = store.objects.put
        asked: list[ExportStatus] = []

        def put(key: str, body: bytes, **condition: Any) -> str:
            if key.endswith("status.json") and not asked:
                asked.append(ExportStatus("other", "queued", store.clock()))
                real(key, asked[0].to_bytes())
            return real(key, body, **condition)

        monkeypatch.setattr(store.objects, "put", put)
        assert store.request() == asked[0] == other.status()

    def test_many_who_never_stop_asking(self, store: ExportStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store._object, "replace", lambda status, etag: None)
        with pytest.raises(Unavailable):
            store.request()
        monkeypatch.undo()
        store.request()
        monkeypatch.setattr(store._object, "replace", lambda status, etag: None)
        status = store.status()
        assert status
        assert store.claim(status.id) is None

    @pytest.mark.parametrize("user_id", [".", "..", "\N{GRINNING FACE}" * 128])
    def test_an_id_that_no_key_can_hold(self, manager: DatabaseManager, user_id: str) -> None:
        with pytest.raises(ValueError, match="key"):
            ExportStore(default_objects(), user_id)


joined: list[str] = []


def iter_once(action: Any) -> Any:
    """A check that does something the first time."""
    done: list[bool] = []

    def check() -> None:
        if not done:
            done.append(True)
            action()

    return check


class TestWorkers:
    def test_one_that_runs_out_of_time_leaves_the_rest_to_the_next(
        self, store: ExportStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sections, "_PAGE_ROWS", 1)
        monkeypatch.setattr(sections, "FILE_BYTES", 1)
        store.request()
        for looks in range(1, 40):
            left = iter(range(2 if looks < 20 else 100))

            def check(left: Iterator[int] = left) -> None:
                if next(left, None) is None:
                    raise Unavailable("out of time")

            try:
                work(store, check, part_bytes=1)
                break
            except Unavailable:
                status = store.status()
                assert status
                assert status.state == "queued"
        assert looks > 2
        assert len(rows(copy_of(store), "embeddings")) == 4

    def test_one_that_is_killed_after_any_call_is_followed_by_another(
        self, manager: DatabaseManager, objects: ObjectStore
    ) -> None:
        """Every file is put together from the parts of several workers, and no part is left out or there twice."""
        embed(manager, A, "p", "m")
        embed(manager, A, "q", "n")
        store, killed = ExportStore(objects, A, clock=Clock()), 0
        for calls in range(200):
            store.request()
            if not killed_after(calls, manager, store):
                break
            killed += 1
            clock_of(store).pass_time(seconds=CLAIM.total_seconds() + 1)
            status = store.status()
            assert status
            if status.is_pending:
                work(store)
            assert len(rows(copy_of(store), "embeddings")) == 2
            assert hashes_are_right(store)
        assert killed > 12

    def test_one_that_was_replaced_ends_and_leaves_no_upload(
        self, store: ExportStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def create(*arguments: Any) -> str:
            store.objects.put(store._object.key, ExportStatus("other", "queued", store.clock()).to_bytes())
            return create_upload(*arguments)

        store.request()
        monkeypatch.setattr("shared.account.account_exports.create_upload", create)
        before = uploads(store)
        with pytest.raises(ClaimLost):
            work(store)
        assert uploads(store) == before

    def test_an_erasure_ends_it(self, manager: DatabaseManager, store: ExportStore) -> None:
        """A file that is being made when the account is erased is never completed."""

        def erase() -> None:
            erasure = Erasure(manager, store.objects, A)
            erasure.request()
            erasure.work()

        store.request()
        with pytest.raises(ClaimLost):
            work(store, iter_once(erase))
        assert store.status() is None
        assert every_version(store.objects, "exports/a/") == []
        assert uploads(store) == []

    def test_one_whose_upload_was_given_up_has_failed(self, store: ExportStore) -> None:
        store.request()

        def abort() -> None:
            (upload,) = [found for found in uploads(store) if found["Key"].endswith(".zip")]
            store.objects.call("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])

        work(store, iter_once(abort))
        status = store.status()
        assert status
        assert (status.state, status.error) == (
            "failed",
            "The file could not be put together. Ask for the export anew.",
        )
        store.request()
        work(store)
        assert copy_of(store)

    def test_one_that_gets_nowhere_has_failed(self, store: ExportStore) -> None:
        export_id = store.request().id

        def die() -> None:
            raise Killed

        for _ in range(1 + MOST_TRIES):  # the first gets as far as to begin
            with pytest.raises(Killed):
                work(store, die)
            clock_of(store).pass_time(seconds=CLAIM.total_seconds() + 1)
        work(store)
        status = store.status()
        assert status
        assert (status.state, status.id) == ("failed", export_id)
        assert status.error
        assert every_version(store.objects, f"pending/exports/a/{export_id}") == []

    def test_two_at_once_are_one(self, store: ExportStore) -> None:
        store.request()
        with recorded(store.objects) as calls:
            work(store, iter_once(lambda: work(store)))
        assert calls.count("CreateMultipartUpload") == 1
        assert copy_of(store)


def killed_after(calls: int, manager: DatabaseManager, store: ExportStore) -> bool:
    def kill(request: Any) -> Any:
        raise Killed

    with all_faulty(kill, kill, manager, store.objects, after=calls) as fault:
        try:
            work(store)
        except Killed:
            assert fault.fired
            return True
    return False


def hashes_are_right(store: ExportStore) -> bool:
    status = store.status()
    assert status
    stored = store.objects.get(store.file_key(status.id))
    assert stored
    manifest = copy_of(store)["manifest.json"]
    with zipfile.ZipFile(io.BytesIO(stored.body)) as archive:
        return all(hashlib.sha256(archive.read(f["name"])).hexdigest() == f["sha256"] for f in manifest["files"])


def uploads(store: ExportStore) -> list[Any]:
    return list(store.objects.call("list_multipart_uploads", Prefix="exports/a/account/").get("Uploads", []))


def test_the_address_is_good_for_minutes_and_names_the_file(store: ExportStore) -> None:
    store.request()
    work(store)
    status = store.status()
    assert status
    download = store.download(status)
    assert f"/exports/a/account/{status.id}.zip?" in download.url
    assert "X-Amz-Expires=300" in download.url
    assert timedelta(minutes=4) < _until(download.expires_at, store) <= timedelta(minutes=5)


def _until(moment: str, store: ExportStore) -> timedelta:
    return parse_timestamp(moment) - parse_timestamp(store.clock())
