"""Erasing an account: all of it goes, nothing of another's, whatever is written or cut off meanwhile."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from handlers.users.own import own_user
from shared.account import erasing
from shared.account.erasing import SETTLE, erase
from shared.account.erasure_status import ErasureStatus
from shared.account.places import account_digest, erasure_key, owned_prefixes
from shared.account.status_object import ClaimLost
from shared.auth import Caller
from shared.avatars.names import Upload, avatar_prefix
from shared.database import (
    DatabaseManager,
    EmbeddingRepository,
    ModelVersionRepository,
    ReportRepository,
    UserRepository,
)
from shared.database.model_versions import ERASING_UNTIL
from shared.errors import InvalidRequest, NotFound, Unavailable
from shared.models.fields import now, parse_timestamp
from shared.models.report import DBReport
from shared.models.vector import Vector
from shared.similarity.cache import IndexCache
from shared.similarity.index import Query
from shared.similarity.objects import ObjectStore, default_objects
from shared.similarity.versions import erase_objects
from tests.support.accounts import Clock, Erasure, embed, every_version, keys_of, settle_in, versioned, warm
from tests.support.cases import every_row, rows_of
from tests.support.faults import requests_sent
from tests.support.images import image
from tests.support.uploads import Ended, check

A, AB, B = "a", "ab", "b"


@pytest.fixture
def objects(manager: DatabaseManager) -> ObjectStore:
    return versioned(default_objects())


@pytest.fixture
def erasure(manager: DatabaseManager, objects: ObjectStore) -> Erasure:
    settle_in(manager, objects, A)
    return Erasure(manager, objects, A)


def tombstones(manager: DatabaseManager, owner: str) -> int:
    return sum("deleted_at" in row for row in rows_of(manager, owner))


def test_the_first_pass_leaves_tombstones_alone(manager: DatabaseManager, erasure: Erasure) -> None:
    erasure.request()
    erasure.work()
    assert len(rows_of(manager, A)) == tombstones(manager, A) == 4
    assert keys_of(erasure.objects, A) == []
    status = erasure.store.status()
    assert status
    assert (status.state, status.reports, status.embeddings, status.objects) == ("waiting", 2, 4, 5)
    assert status.model_versions == ("m", "n/1@x")


def test_the_second_pass_leaves_nothing(manager: DatabaseManager, erasure: Erasure) -> None:
    erasure.request()
    erasure.finish()
    assert rows_of(manager, A) == []
    assert keys_of(erasure.objects, A) == []
    assert every_version(erasure.objects, "pending/") == []


def test_what_is_kept_of_it_names_nobody(erasure: Erasure) -> None:
    erasure.request()
    erasure.finish()
    status = erasure.store.status()
    assert status
    assert status.finished_at
    assert (status.user_id, status.model_versions, status.fence) == (None, (), None)
    assert (status.reports, status.embeddings, status.objects) == (2, 4, 5)
    ((key, _, _),) = every_version(erasure.objects)
    assert key == erasure_key(account_digest(A))


def test_it_waits_as_long_as_a_token_may_live_and_then_for_what_is_under_way(erasure: Erasure) -> None:
    erasure.request()
    erasure.work()
    first = erasure.store.status()
    assert first
    waits = parse_timestamp(first.due_at) - parse_timestamp(first.requested_at)
    assert waits == timedelta(minutes=62)
    erasure.work()
    assert erasure.store.status() == first
    erasure.wait()
    began = parse_timestamp(erasure.clock())
    erasure.work()
    second = erasure.store.status()
    assert second
    assert (second.state, second.stage) == ("waiting", "clear")
    assert parse_timestamp(second.due_at) - began >= SETTLE
    erasure.work()
    assert erasure.store.status() == second


class TestOthers:
    @pytest.mark.parametrize("other", [AB, B, "a#b", "A", "a/", "shared"])
    def test_nothing_of_anothers_changes(self, manager: DatabaseManager, objects: ObjectStore, other: str) -> None:
        owner = A
        if "#" in other:  # who can have no embeddings
            ReportRepository.create_report(DBReport(user_id=other, title="T"))
            objects.put(f"exports/{other.replace('#', '%23')}/x", b"x")
        else:
            settle_in(manager, objects, other)
        before = rows_of(manager, other), every_version(objects)
        settle_in(manager, objects, owner)
        erasure = Erasure(manager, objects, owner)
        erasure.request()
        erasure.finish()
        kept = [version for version in every_version(objects) if not version[0].startswith("erasures/")]
        assert (rows_of(manager, other), kept) == before
        assert rows_of(manager, owner) == []

    def test_one_whose_id_reaches_into_anothers_partition_has_no_embeddings_to_erase(
        self, manager: DatabaseManager, objects: ObjectStore
    ) -> None:
        row = {"product_id": {"S": "x"}, "owner_model": {"S": "a#b#m"}, "updated_at": {"S": "2"}}
        manager.client.put_item(TableName=manager.settings.embeddings_table, Item=row)
        before = every_row(manager)
        manager.get_users_table().put_item(Item={"user_id": "a#b", "models": {"m": {"dimension": 2}}})
        erasure = Erasure(manager, objects, "a#b")
        erasure.request()
        erasure.finish()
        assert every_row(manager) == before

    def test_a_row_of_another_in_ones_partition_stays(self, manager: DatabaseManager, erasure: Erasure) -> None:
        row = {"product_id": {"S": "x"}, "owner_model": {"S": "a#m"}, "updated_at": {"S": "2"}, "user_id": {"S": B}}
        manager.client.put_item(TableName=manager.settings.embeddings_table, Item=row)
        erasure.request()
        erasure.finish()
        assert rows_of(manager, B) == [row]

    def test_a_row_of_ones_partition_that_names_nobody_goes(self, manager: DatabaseManager, erasure: Erasure) -> None:
        row = {
            "product_id": {"S": "x"},
            "owner_model": {"S": "a#m"},
            "updated_at": {"S": "when"},
            "version": {"S": "1"},
        }
        manager.client.put_item(TableName=manager.settings.embeddings_table, Item=row)
        erasure.request()
        erasure.finish()
        assert not any(rows for rows in every_row(manager).values())

    def test_an_id_too_long_for_any_key_has_no_objects(self, manager: DatabaseManager, objects: ObjectStore) -> None:
        owner = "\N{GRINNING FACE}" * 128
        ReportRepository.create_report(DBReport(user_id=owner, title="T"))
        erasure = Erasure(manager, objects, owner)
        with requests_sent(objects) as sent:
            erasure.request()
            erasure.finish()
        assert rows_of(manager, owner) == []
        prefixes = [parameters["Prefix"] for _, parameters in sent if "Prefix" in parameters]
        assert prefixes
        assert max(map(len, prefixes)) < 1024, "S3 refuses to look for more"

    @pytest.mark.parametrize("characters", [97, 98, 100, 105])
    def test_an_id_that_leaves_little_room_in_a_key(
        self, manager: DatabaseManager, objects: ObjectStore, characters: int
    ) -> None:
        """Some kinds of objects have room behind it where others have none."""
        owner = "\u6f22" * characters
        for key in (f"pending/exports/{quote(owner)}/{'0' * 36}", Upload.new(owner, now()).key):
            objects.put(key, b"x")
        erasure = Erasure(manager, objects, owner)
        erasure.request()
        erasure.finish()
        assert [key for key, _, _ in every_version(objects)] == [erasure_key(account_digest(owner))]


class TestWritesMeanwhile:
    """What a token that is still good writes does not stay, however it comes."""

    def test_between_the_passes(self, manager: DatabaseManager, erasure: Erasure) -> None:
        erasure.request()
        erasure.work()
        settle_in(manager, erasure.objects, A)
        embed(manager, A, "z", "new", 4)
        erasure.finish()
        assert rows_of(manager, A) == []
        assert keys_of(erasure.objects, A) == []

    def test_by_a_process_that_remembers_the_dimension(self, manager: DatabaseManager, erasure: Erasure) -> None:
        """It stores without a look at the row, which is gone, and no row names the model version any more."""
        other = warm(manager, erasure.clock)
        embed(other, A, "before")
        erasure.request()
        erasure.work()
        embed(other, A, "orphan")
        assert ModelVersionRepository(warm(manager, erasure.clock)).dimension_of(A, "m") is None
        erasure.finish()
        assert rows_of(manager, A) == []

    def test_a_model_version_declared_while_the_first_pass_is_at_work(
        self, manager: DatabaseManager, erasure: Erasure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        erasure.request()
        deleted = erasing_rows(monkeypatch, "delete_profile", lambda: embed(manager, A, "late", "late", 5))
        erasure.work()
        assert deleted == [False, True]
        assert len(rows_of(manager, A)) == tombstones(manager, A) == 5
        assert erasure.stage() == "fence"

    def test_a_profile_that_is_made_while_there_is_none(
        self, manager: DatabaseManager, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        erasure = Erasure(manager, objects, A)
        erasure.request()
        deleted = erasing_rows(monkeypatch, "delete_profile", lambda: embed(manager, A, "late", "late", 5))
        erasure.work()
        assert deleted == [False, True]
        erasure.finish()
        assert rows_of(manager, A) == []

    def test_a_row_that_is_deleted_and_made_anew_is_not_the_one_that_was_seen(
        self, manager: DatabaseManager, erasure: Erasure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def replace_row() -> None:
            manager.get_users_table().delete_item(Key={"user_id": A})
            for name in ("x", "y"):
                embed(warm(manager, erasure.clock), A, "late", name)

        erasure.request()
        deleted = erasing_rows(monkeypatch, "delete_profile", replace_row)
        erasure.work()
        assert deleted == [False, True]
        status = erasure.store.status()
        assert status
        assert status.model_versions == ("m", "n/1@x", "x", "y")

    def test_one_who_never_stops_is_given_up_for_the_moment(
        self, manager: DatabaseManager, erasure: Erasure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        numbers = iter(range(100))
        erasure.request()
        with monkeypatch.context() as patch:
            patch.setattr(erasing, "_ROUNDS", 2)
            erasing_rows(patch, "delete_profile", lambda: embed(manager, A, "p", f"n{next(numbers)}"), times=100)
            with pytest.raises(Unavailable):
                erasure.work()
        status = erasure.store.status()
        assert status
        assert (status.state, status.stage) == ("queued", "bury")
        erasure.finish()
        assert rows_of(manager, A) == []

    def test_model_versions_that_only_snapshots_tell_of(self, manager: DatabaseManager, erasure: Erasure) -> None:
        erasure.objects.put("similarity/a/m/manifest.json", b"")
        erasure.objects.put("similarity/a/n%2F1%40x/manifest.json", b"")
        manager.get_users_table().delete_item(Key={"user_id": A})
        erasure.request()
        erasure.finish()
        assert rows_of(manager, A) == []


def erasing_rows(
    monkeypatch: pytest.MonkeyPatch, method: str, meanwhile: Callable[[], object], times: int = 1
) -> list[Any]:
    """Something happens just before this call of AccountRows, the first few times; what the calls returned."""
    from shared.database.account_rows import AccountRows

    original: Any = getattr(AccountRows, method)
    returned: list[Any] = []

    def patched(self: AccountRows, *arguments: Any) -> Any:
        if len(returned) < times:
            meanwhile()
        returned.append(original(self, *arguments))
        return returned[-1]

    monkeypatch.setattr(AccountRows, method, patched)
    return returned


class TestFence:
    @pytest.fixture
    def fenced(self, manager: DatabaseManager, erasure: Erasure) -> Erasure:
        erasure.request()
        erasure.work()
        embed(manager, A, "again")
        manager.settled.clear()
        erasure.wait()
        erasure.work()
        assert erasure.stage() == "clear"
        return erasure

    def test_the_row_says_nothing_else(self, manager: DatabaseManager, fenced: Erasure) -> None:
        item = manager.get_users_table().get_item(Key={"user_id": A})["Item"]
        assert item.keys() == {"user_id", ERASING_UNTIL}

    def test_nothing_can_be_declared_behind_it(self, manager: DatabaseManager, fenced: Erasure) -> None:
        with pytest.raises(Unavailable, match="erasure of this account is about to end") as refused:
            embed(manager, A, "p", "brand-new")
        assert refused.value.retry_after == 300
        with pytest.raises(Unavailable):
            embed(manager, A, "again")
        fenced.finish()
        embed(manager, A, "again")
        assert ModelVersionRepository.list_model_versions(A) == {"m": 2}

    def test_a_profile_that_changes_behind_it_goes(self, manager: DatabaseManager, fenced: Erasure) -> None:
        ReportRepository.create_report(DBReport(user_id=A, title="T"))
        manager.get_users_table().update_item(
            Key={"user_id": A},
            UpdateExpression="SET email = :e",
            ExpressionAttributeValues={":e": "a@example.com"},
        )
        fenced.finish()
        assert rows_of(manager, A) == []

    def test_a_warm_process_forgets_before_it_is_lifted(self, manager: DatabaseManager, erasure: Erasure) -> None:
        """Remembered just before the fence, used for as long as it is, and no row stays that nothing names."""
        other = warm(manager, erasure.clock)
        erasure.request()
        erasure.work()
        erasure.wait()
        embed(other, A, "between")
        erasure.work()
        erasure.clock.pass_time(seconds=290)
        embed(other, A, "orphan")
        erasure.clock.pass_time(seconds=20)
        with pytest.raises(Unavailable):
            embed(other, A, "too late")
        assert len(rows_of(manager, A)) > 1
        erasure.finish()
        assert rows_of(manager, A) == []
        embed(other, A, "anew", dimension=7)
        assert ModelVersionRepository(manager).list_model_versions(A) == {"m": 7}

    def test_one_that_somebody_has_replaced_ends_the_worker(
        self, manager: DatabaseManager, erasure: Erasure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def replace_fence() -> None:
            manager.get_users_table().update_item(
                Key={"user_id": A},
                UpdateExpression="SET #e = :e",
                ExpressionAttributeNames={"#e": ERASING_UNTIL},
                ExpressionAttributeValues={":e": "another"},
            )

        erasure.request()
        erasure.work()
        embed(manager, A, "again", "other")
        erasure.wait()
        with monkeypatch.context() as patch:
            erasing_rows(patch, "strip", replace_fence)
            with pytest.raises(ClaimLost):
                erasure.work()
        erasure.finish()
        assert rows_of(manager, A) == []

    @pytest.mark.parametrize("ended", ["before the image", "before the row", "never"])
    def test_an_avatar_whose_check_goes_on_behind_it_goes(
        self, manager: DatabaseManager, fenced: Erasure, ended: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It had read the upload before the last pass, puts the image after that, and the bucket may call again."""
        real = ObjectStore.put

        def put(objects: ObjectStore, key: str, body: bytes, **terms: Any) -> str:
            if not key.startswith(avatar_prefix(A)):
                return real(objects, key, body, **terms)
            for prefix in owned_prefixes(A):
                erase_objects(objects, prefix, lambda: None)
            if ended == "before the image":
                raise Ended
            etag = real(objects, key, body, **terms)
            if ended == "before the row":
                raise Ended
            return etag

        key = Upload.new(A, now()).key
        fenced.objects.put(key, image(), media_type="image/png")
        with monkeypatch.context() as patch, suppress(Ended):
            patch.setattr(ObjectStore, "put", put)
            check(key)
        check(key)
        assert list(fenced.objects.list(avatar_prefix(A))) == []
        fenced.finish()
        assert rows_of(manager, A) == []
        assert keys_of(fenced.objects, A) == []

    def test_its_row_is_nobodys_profile(self, manager: DatabaseManager, fenced: Erasure) -> None:
        with pytest.raises(NotFound):
            UserRepository(manager).get_user(A)
        for note in (UserRepository(manager).place_avatar, UserRepository(manager).refuse_avatar):
            with pytest.raises(NotFound):
                note(A, "x", now())
        assert own_user(Caller(A, frozenset())).user_id == A


class TestAnew:
    def test_what_is_stored_afterwards_stays(self, manager: DatabaseManager, erasure: Erasure) -> None:
        first = erasure.request()
        erasure.finish()
        manager.settled.clear()
        settle_in(manager, erasure.objects, A)
        before = every_row(manager), keys_of(erasure.objects, A)
        erase(erasure.objects, account=erasure.store.account, erasure_id=first, check=lambda: None, manager=manager)
        assert (every_row(manager), keys_of(erasure.objects, A)) == before

    def test_another_erasure_is_another(self, manager: DatabaseManager, erasure: Erasure) -> None:
        first = erasure.request()
        assert erasure.request() == first
        erasure.finish()
        manager.settled.clear()
        embed(manager, A, "p")
        second = erasure.request()
        assert second != first
        erasure.finish()
        assert rows_of(manager, A) == []
        status = erasure.store.status()
        assert status
        assert (status.id, status.embeddings, status.reports) == (second, 1, 0)

    @pytest.mark.parametrize("dimension", [2, 5])
    def test_a_warm_index_shows_nothing_of_before(
        self, manager: DatabaseManager, objects: ObjectStore, dimension: int
    ) -> None:
        """The same model version, of another dimension or the same, in a process that has searched it before."""
        clock = Clock()
        other = warm(manager, clock)
        cache = IndexCache(objects, EmbeddingRepository(other), 1 << 30, clock.seconds)
        embed(other, A, "old")
        assert found(other, cache, 2) == ["old"]
        erasure = Erasure(manager, objects, A, clock)
        erasure.request()
        erasure.work()
        clock.pass_time(seconds=2)
        assert found(other, cache, 2) == []
        clock.pass_time(seconds=300)
        with pytest.raises(InvalidRequest):
            found(other, cache, 2)
        erasure.finish()
        embed(other, A, "new", dimension=dimension)
        assert found(other, cache, dimension) == ["new"]

    def test_a_warm_index_that_was_not_asked_since_before_shows_nothing_either(
        self, manager: DatabaseManager, objects: ObjectStore
    ) -> None:
        clock = Clock()
        other = warm(manager, clock)
        cache = IndexCache(objects, EmbeddingRepository(other), 1 << 30, clock.seconds)
        embed(other, A, "old")
        assert found(other, cache, 2) == ["old"]
        erasure = Erasure(manager, objects, A, clock)
        erasure.request()
        erasure.finish()
        embed(other, A, "new")
        assert found(other, cache, 2) == ["new"]


def found(manager: DatabaseManager, cache: IndexCache, dimension: int) -> list[str]:
    declared = ModelVersionRepository(manager).require_declaration(A, "m", "/body/model_version")
    assert declared.dimension == dimension
    import numpy as np

    query = Query(np.frombuffer(Vector.of([1.0] * dimension).data, "<f4"), "cosine", 10, None, None, None, 0.0)
    hits = cache.search(A, "m", dimension, query, declared_at=declared.declared_at)
    return [hit.product_id for hit in hits]


class TestJoining:
    """Whoever asks once more joins, as long as the last pass is to come; else it may have been where they stored."""

    def test_before_the_last_pass(self, erasure: Erasure) -> None:
        first = erasure.request()
        for _ in range(2):
            assert erasure.request() == first
            erasure.wait()
            erasure.work()
        assert erasure.stage() == "clear"
        assert erasure.request() == first

    def test_not_once_it_has_begun(self, manager: DatabaseManager, erasure: Erasure) -> None:
        first = erasure.request()
        for _ in range(2):
            erasure.wait()
            erasure.work()
        erasure.wait()
        refused: list[int | None] = []

        def ask() -> None:
            with pytest.raises(Unavailable, match="about to end") as caught:
                erasure.request()
            refused.append(caught.value.retry_after)
            raise Unavailable("out of time")

        ReportRepository.create_report(DBReport(user_id=A, title="T"))
        with pytest.raises(Unavailable, match="out of time"):
            erasure.work(ask)
        with pytest.raises(Unavailable, match="about to end"):
            erasure.request()
        assert refused
        assert set(refused) == {60}
        erasure.finish()
        assert erasure.request() != first


class TestIndexLag:
    """The tables' indexes show a row some time after it was stored."""

    def test_what_no_index_shows_in_the_first_pass_goes_in_the_second(
        self, manager: DatabaseManager, erasure: Erasure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hidden = {"late report", "late product"}
        ReportRepository.create_report(DBReport(id="late report", user_id=A, title="T"))
        embed(manager, A, "late product")
        real = manager.call

        def call(operation: Any, **parameters: Any) -> Any:
            answer = real(operation, **parameters)
            if operation == "query":
                names = ("id", "product_id")
                answer["Items"] = [
                    item for item in answer["Items"] if not hidden & {item.get(name, {}).get("S") for name in names}
                ]
            return answer

        monkeypatch.setattr(manager, "call", call)
        erasure.request()
        erasure.work()
        assert len([row for row in rows_of(manager, A) if "deleted_at" not in row]) == 2
        hidden.clear()
        erasure.finish()
        assert rows_of(manager, A) == []


class TestWorkers:
    def test_of_two_at_once_one_is_at_work(self, manager: DatabaseManager, erasure: Erasure) -> None:
        erasure.request()
        looks: list[ErasureStatus | None] = []

        def look() -> None:
            if not looks:
                before = erasure.store.status()
                erasure.work()
                looks.extend([before, erasure.store.status()])

        erasure.work(look)
        assert looks[0] == looks[1]
        assert looks[0]
        assert looks[0].state == "running"
        assert erasure.stage() == "fence"

    def test_one_that_runs_out_of_time_leaves_the_rest_to_the_next(
        self, manager: DatabaseManager, erasure: Erasure
    ) -> None:
        erasure.request()
        ends = 0
        while erasure.stage() == "bury":
            looks = iter(range(ends))

            def check(looks: Any = looks) -> None:
                if next(looks, None) is None:
                    raise Unavailable("out of time")

            try:
                erasure.work(check)
            except Unavailable:
                status = erasure.store.status()
                assert status
                assert status.state == "queued"
            ends += 1
        assert ends > 3
        assert len(rows_of(manager, A)) == tombstones(manager, A) == 4

    def test_one_that_was_replaced_ends(
        self, manager: DatabaseManager, erasure: Erasure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def replace_worker() -> None:
            erasure.clock.pass_time(minutes=17)
            assert erasure.store.claim(erasure.request())

        erasure.request()
        erasing_rows(monkeypatch, "delete_profile", replace_worker)
        with pytest.raises(ClaimLost):
            erasure.work()

    def test_a_status_without_a_user_is_nobodys(self, erasure: Erasure) -> None:
        erasure.request()
        status = erasure.store.status()
        assert status
        broken = ErasureStatus(**{**{name: getattr(status, name) for name in status.__slots__}, "user_id": None})
        erasure.objects.put(erasure_key(erasure.store.account), broken.to_bytes())
        with pytest.raises(ClaimLost):
            erasure.work()
