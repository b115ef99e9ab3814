"""The parts that an erasure and a copy are made of: batches, versions, statuses, archives, what a process remembers."""

import io
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from shared.account import zip_archive
from shared.account.erasure_status import ErasureStatus
from shared.account.export_status import ExportStatus
from shared.account.status_object import ClaimLost, CorruptStatus, StatusObject, is_taken
from shared.account.zip_archive import make_directory, make_entry
from shared.config import ConfigurationError, Settings
from shared.database import DatabaseManager, ModelVersionRepository
from shared.database.account_rows import AccountRows
from shared.database.batches import write_all
from shared.database.model_versions import ERASING_UNTIL
from shared.database.settled import SETTLED_SECONDS, Declaration, Settled
from shared.errors import OutcomeUnknown, TooManyRequests, Unavailable
from shared.models.fields import now
from shared.similarity.objects import ObjectStore, default_objects
from shared.similarity.uploads import UploadLost, complete_upload, create_upload, upload_part
from shared.similarity.versions import abort_upload, erase_objects
from tests.conftest import ALICE
from tests.support.accounts import embed, every_version, versioned
from tests.support.cases import every_row
from tests.support.faults import answering, answering_as_s3, faulty, raising

LOST = raising(ReadTimeoutError(endpoint_url="https://x"))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("shared.database.parallel._THROTTLED_FOR_SECONDS", 0)


class TestBatches:
    def deletions(self, count: int) -> list[dict[str, Any]]:
        keys = [{"product_id": {"S": f"p{n}"}, "owner_model": {"S": f"{ALICE}#m"}} for n in range(count)]
        return [{"DeleteRequest": {"Key": key}} for key in keys]

    def test_what_is_left_unprocessed_is_sent_again(
        self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(3):
            embed(manager, ALICE, f"p{number}")
        real, sent = manager.call, []

        def call(operation: Any, **parameters: Any) -> dict[str, Any]:
            ((table, requests),) = parameters["RequestItems"].items()
            sent.append(len(requests))
            real(operation, RequestItems={table: requests[:1]})
            return {"UnprocessedItems": {table: requests[1:]} if requests[1:] else {}}

        monkeypatch.setattr(manager, "call", call)
        write_all(manager, manager.settings.embeddings_table, self.deletions(3), lambda: None)
        assert sent == [3, 2, 1]
        monkeypatch.undo()
        assert every_row(manager)[manager.settings.embeddings_table] == []

    def test_what_is_never_processed_is_reported(
        self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(manager, "call", lambda _, RequestItems: {"UnprocessedItems": RequestItems})
        with pytest.raises(TooManyRequests):
            write_all(manager, "t", self.deletions(2), lambda: None)

    def test_one_whose_answer_got_lost_is_sent_again(self, manager: DatabaseManager) -> None:
        embed(manager, ALICE, "p0")
        with faulty(manager, LOST, times=3) as fault:
            write_all(manager, manager.settings.embeddings_table, self.deletions(1), lambda: None)
        assert fault.fired == 3
        assert every_row(manager)[manager.settings.embeddings_table] == []

    def test_a_refusal_is_raised(self, manager: DatabaseManager) -> None:
        with faulty(manager, answering(400, "AccessDeniedException")), pytest.raises(ClientError):
            write_all(manager, manager.settings.embeddings_table, self.deletions(1), lambda: None)


class TestRows:
    def test_a_fence_whose_answer_got_lost_is_put_up_again(self, manager: DatabaseManager) -> None:
        with faulty(manager, LOST, times=3) as fault:
            fenced = AccountRows(manager, ALICE).fence("2026")
        assert fault.fired == 3
        assert (fenced.until, fenced.model_versions, fenced.attributes) == ("2026", frozenset(), frozenset())
        assert AccountRows(manager, ALICE).strip(fenced)

    def test_what_never_answers_is_unknown(self, manager: DatabaseManager) -> None:
        with faulty(manager, LOST), pytest.raises(OutcomeUnknown):
            AccountRows(manager, ALICE).fence("2026")

    def test_a_row_of_another_origin(self, manager: DatabaseManager) -> None:
        manager.get_users_table().put_item(Item={"user_id": ALICE, "models": "none", "created_at": 7})
        rows = AccountRows(manager, ALICE)
        seen = rows.see_profile()
        assert (seen.created_at, seen.has_map) == (None, False)
        assert not rows.delete_profile(seen)  # it is not as such a row could have been seen

    def test_one_fence_does_not_lift_another(self, manager: DatabaseManager) -> None:
        rows = AccountRows(manager, ALICE)
        rows.fence("first")
        rows.lift("second")
        assert manager.get_users_table().get_item(Key={"user_id": ALICE})["Item"][ERASING_UNTIL] == "first"
        rows.lift("first")
        assert "Item" not in manager.get_users_table().get_item(Key={"user_id": ALICE})


class TestSettled:
    def test_a_declaration_is_read_anew_after_a_while(self) -> None:
        moment = [1000.0]
        settled = Settled(lambda: moment[0])
        settled.keep(("a", "m"), Declaration(3, "t"), settled.now())
        moment[0] += SETTLED_SECONDS - 1
        assert settled.get(("a", "m")) == Declaration(3, "t")
        moment[0] += 1
        assert settled.get(("a", "m")) is None
        moment[0] -= 2 * SETTLED_SECONDS  # a clock that was set back
        assert settled.get(("a", "m")) is None

    def test_rounds_that_an_erasure_takes_away_end(
        self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.database.writes.ensure", lambda *_: {})
        with pytest.raises(Unavailable, match="erased meanwhile"):
            ModelVersionRepository(manager).declare(ALICE, "m", 2)


class TestObjects:
    def test_more_than_one_page_of_versions(self, manager: DatabaseManager) -> None:
        objects = versioned(default_objects())
        for _ in range(1001):
            objects.put("similarity/a/x", b"")
        objects.put("similarity/ab/x", b"")
        assert erase_objects(objects, "similarity/a/", lambda: None) == 1
        assert [key for key, _, _ in every_version(objects)] == ["similarity/ab/x"]

    def test_a_version_that_cannot_be_deleted_is_an_error(self, manager: DatabaseManager) -> None:
        objects = versioned(default_objects())
        objects.put("similarity/a/x", b"")
        failed = b"<DeleteResult><Error><Key>x</Key><Code>SlowDown</Code></Error></DeleteResult>"

        def answer(request: Any) -> Any:
            from tests.support.faults import _response

            return _response(request, 200, failed.decode(), {"content-type": "application/xml"})

        with faulty(objects, answer), pytest.raises(TooManyRequests):
            objects.delete_versions([("similarity/a/x", "v")])

    def test_an_upload_that_is_gone(self, manager: DatabaseManager) -> None:
        objects = default_objects()
        upload_id = create_upload(objects, "exports/a/x", "application/zip")
        etag = upload_part(objects, "exports/a/x", upload_id, 1, b"x")
        complete_upload(objects, "exports/a/x", upload_id, [etag])
        gone = answering_as_s3(404, "NoSuchUpload")
        with faulty(objects, gone, times=1):
            complete_upload(objects, "exports/a/x", upload_id, [etag])  # by whoever lost the answer
        with faulty(objects, gone, times=1), pytest.raises(UploadLost):
            complete_upload(objects, "exports/a/y", upload_id, [etag])
        with faulty(objects, gone):
            abort_upload(objects, "exports/a/x", upload_id)
        for call in (
            lambda: upload_part(objects, "exports/a/x", "u", 1, b""),
            lambda: abort_upload(objects, "exports/a/x", "u"),
        ):
            with faulty(objects, answering_as_s3(403, "AccessDenied")), pytest.raises(ClientError):
                call()

    @pytest.mark.parametrize("seconds", [0, 301])
    def test_no_address_is_good_for_long(self, manager: DatabaseManager, seconds: int) -> None:
        with pytest.raises(ValueError, match="300"):
            default_objects().presigned_get("k", seconds=seconds, media_type="x/y", disposition="inline")


class TestStatus:
    STATUS = ExportStatus("id", "running", now(), attempt="me", claimed_at=now())

    @pytest.fixture
    def place(self, manager: DatabaseManager) -> StatusObject[ExportStatus]:
        return StatusObject(default_objects(), "exports/a/account/status.json", ExportStatus.from_bytes)

    def test_a_step_whose_answer_got_lost(self, place: StatusObject[ExportStatus], objects: ObjectStore) -> None:
        """It is there, or the one before it of the same worker is: then it is put over that."""
        etag = place.replace(self.STATUS, None)
        assert etag
        released = self.STATUS.released()
        objects.put(place.key, released.to_bytes())
        assert place.advance(released, etag, "me")
        objects.put(place.key, self.STATUS.to_bytes())
        assert place.advance(released, etag, "me")
        assert place.read().status == released

    def test_one_that_was_put_meanwhile_is_not_replaced(self, place: StatusObject[ExportStatus]) -> None:
        seen = place.replace(self.STATUS, None)
        assert seen
        assert place.replace(self.STATUS.released(), seen)
        for etag in (seen, None):
            assert place.replace(self.STATUS, etag) is None
        assert place.read().status == self.STATUS.released()

    @pytest.mark.parametrize(
        "there", [None, ExportStatus("id", "running", now(), attempt="another"), STATUS.released()]
    )
    def test_a_step_of_work_that_another_has(
        self, place: StatusObject[ExportStatus], objects: ObjectStore, there: ExportStatus | None
    ) -> None:
        etag = place.replace(self.STATUS, None)
        assert etag
        objects.put(place.key, there.to_bytes()) if there else objects.delete([place.key])
        with pytest.raises(ClaimLost):
            place.advance(self.STATUS.failed("x", now()), etag, "me")

    def test_one_that_can_never_be_told(
        self, place: StatusObject[ExportStatus], objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        etag = place.replace(self.STATUS, None)
        assert etag

        def lose(*_: Any, **__: Any) -> str:
            raise OutcomeUnknown

        monkeypatch.setattr(objects, "put", lose)
        with pytest.raises(OutcomeUnknown):
            place.advance(self.STATUS.released(), etag, "me")

    @pytest.fixture
    def objects(self, manager: DatabaseManager) -> ObjectStore:
        return default_objects()

    def test_what_is_written_is_read(self) -> None:
        erasure = ErasureStatus.requested("i", "u", now(), timedelta(hours=1))
        assert ErasureStatus.from_bytes(erasure.to_bytes()) == erasure
        for parse in (ErasureStatus.from_bytes, ExportStatus.from_bytes):
            with pytest.raises(CorruptStatus):
                parse(b"[]")

    def test_a_claim_of_nobody(self) -> None:
        assert not is_taken(None, now())


def test_an_archive_of_more_than_4_gb_is_in_the_zip64_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits are lowered, and the reader is the standard library's."""
    monkeypatch.setattr(zip_archive, "_MOST_32", 30)
    entries, body = [], b""
    for name in ("a", "b", "ü"):
        entry, packed = make_entry(name, name.encode() * 20, len(body), 1)
        entries.append(entry)
        body += packed
    monkeypatch.setattr(zip_archive, "_MOST_32", 0xFFFFFFFF)
    far = [make_entry("x", b"y", 2**33, 1)[0]]
    directory = make_directory(far, 2**33 + 40)
    assert b"PK\x06\x06" in directory
    assert (2**33).to_bytes(8, "little") in directory
    assert (2**33 + 40).to_bytes(8, "little") in directory
    whole = body + make_directory(entries, len(body))
    assert zipfile.ZipFile(io.BytesIO(whole)).read("ü").decode() == "ü" * 20


@pytest.mark.parametrize("stated", ["-1", "1441", "x", "1.5"])
def test_a_token_life_that_no_pool_has(stated: str) -> None:
    with pytest.raises(ConfigurationError, match="TOKEN_LIFE_MINUTES"):
        _ = Settings({"TOKEN_LIFE_MINUTES": stated}).token_life
    assert Settings({}).token_life == timedelta(days=1)
    assert Settings({"TOKEN_LIFE_MINUTES": "60"}).token_life == timedelta(hours=1)
