"""Exports of reports: what they hold, whose it is, and what becomes of a file that is too large for an answer."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from handlers.reports import export_report, exporting
from shared import downloads
from shared.database import DatabaseManager, EmbeddingRepository
from shared.models.fields import parse_timestamp
from shared.models.report import MAX_FAVORITES
from shared.models.vector import Vector
from shared.rendering.formats import MEDIA_TYPES
from shared.similarity.objects import MAX_PRESIGNED_SECONDS, default_objects
from tests.conftest import ALICE, BOB
from tests.support.api import Answer, Api
from tests.support.cases import embed, every_object, insert
from tests.support.exported import pdf_text, read_csv, read_document, values
from tests.support.faults import answering, answering_as_s3, faulty, recorded
from tests.support.logs import Logged
from tests.support.logs import logged as logged
from tests.support.problems import assert_problem

MODEL = "m:1/a"
PATH = "/reports/one"


@pytest.fixture
def products(manager: DatabaseManager) -> None:
    """A reference, and favourites nearer and farther; of one nothing is stored, another was deleted."""
    for name, vector in (("r", [1, 0]), ("near", [1, 0.1]), ("far", [0, 1]), ("also far", [0, 2]), ("old", [1, 1])):
        embed(ALICE, name, vector, {"name": name, "price": 249.99}, MODEL)
    EmbeddingRepository.delete_embedding("old", ALICE, MODEL)
    reference, favorites = {"product_id": "r", "note": 1}, {"near", "far", "also far", "old", "never"}
    insert(ALICE, "one", title="My report", author="Alice", reference=reference, favorites=favorites)


def export(api: Api, file_format: str = "zip", path: str = PATH, **query: str) -> Answer:
    return api.get(f"{path}/export", query={"format": file_format, **query})


def assert_invalid(answer: Answer, pointer: str) -> None:
    assert_problem(answer, 422, "invalid-request", pointers=[pointer])


def document(api: Api, path: str = PATH, **query: str) -> Any:
    answer = export(api, "zip", path, **query)
    assert answer.status == 200, answer.text
    return read_document(answer.content)


def scores(api: Api, **query: str) -> list[tuple[str, Any]]:
    return [(favorite["product_id"], favorite["score"]) for favorite in document(api, **query)["favorites"]]


@pytest.mark.usefixtures("products")
class TestContents:
    def test_scores_are_those_of_the_single_product(self, alice: Api) -> None:
        for metric in ("cosine", "dot", "euclidean"):
            query = {"model_version": MODEL, "metric": metric}
            found = scores(alice, **query)
            for product_id, score in found[:3]:
                one = alice.get(f"{PATH}/products/{product_id.replace(' ', '%20')}", query=query)
                assert float(score) == one.json()["score"]
            assert found[3:] == [("never", None), ("old", None)]

    def test_the_best_come_first_and_equals_by_id(self, alice: Api) -> None:
        found = [product_id for product_id, _ in scores(alice, model_version=MODEL)]
        assert found == ["near", "also far", "far", "never", "old"]

    def test_all_that_is_told(self, alice: Api) -> None:
        told = document(alice, model_version=MODEL)
        assert told["report"] == alice.get(PATH).json()
        assert (told["model_version"], told["metric"], told["catalogue"]) == (MODEL, "cosine", "own")
        assert told["reference"] == {"product_id": "r", "product": {"name": "r", "price": Decimal("249.99")}}
        assert told["favorites"][0]["product"]["name"] == "near"
        assert told["favorites"][-1] == {"product_id": "old", "score": None, "product": None}

    def test_every_format_has_the_same(self, alice: Api) -> None:
        query = {"model_version": MODEL}
        ids = ["near", "also far", "far", "never", "old"]
        assert [record["product_id"] for record in read_csv(export(alice, "csv", **query).content)] == ids
        assert [row[0] for row in values(export(alice, "xlsx", **query).content, "Favorites")[1:]] == ids
        text = pdf_text(export(alice, "pdf", **query).content)
        assert [text.find(f"{number} {name}") > 0 for number, name in enumerate(ids, 1)] == [True] * 5

    def test_without_a_model_version_it_is_the_only_one(self, alice: Api) -> None:
        assert document(alice) == document(alice, model_version=MODEL)

    def test_where_there_are_several_there_are_no_scores(self, alice: Api) -> None:
        embed(ALICE, "r", [1, 2, 3], {}, "m-2")
        told = document(alice)
        assert told["model_version"] is None
        assert told["reference"] == {"product_id": "r", "product": {"product_id": "r", "note": 1}}
        ids = ["also far", "far", "near", "never", "old"]
        assert told["favorites"] == [{"product_id": id_, "score": None, "product": None} for id_ in ids]

    def test_a_catalogue_without_anything(self, alice: Api) -> None:
        assert document(alice, catalogue="shared")["model_version"] is None
        answer = export(alice, catalogue="shared", model_version=MODEL)
        assert_invalid(answer, "/query/model_version")

    def test_the_shared_catalogue(self, alice: Api) -> None:
        embed("shared", "r", [1, 1], {"of": "all"}, MODEL)
        embed("shared", "near", [1, 1], {"of": "all"}, MODEL)
        told = document(alice, catalogue="shared")
        assert told["reference"]["product"] == {"of": "all"}
        assert told["favorites"][0] == {"product_id": "near", "score": 1, "product": {"of": "all"}}
        assert [favorite["product"] for favorite in told["favorites"][1:]] == [None] * 4

    def test_a_reference_of_which_nothing_is_stored(self, alice: Api) -> None:
        alice.patch(PATH, {"reference": {"product_id": "never", "note": 2}})
        told = document(alice)
        assert told["reference"] == {"product_id": "never", "product": {"product_id": "never", "note": 2}}
        assert [favorite["score"] for favorite in told["favorites"]] == [None] * 5
        assert [favorite["product"] is None for favorite in told["favorites"]] == [False, False, False, True, True]

    def test_a_reference_that_names_no_product(self, alice: Api) -> None:
        for reference in (None, {}, {"name": "a"}, {"id": True}):
            alice.patch(PATH, {"reference": reference})
            told = document(alice)
            assert told["reference"] == {"product_id": None, "product": reference}
            assert told["favorites"][0]["product"]["name"] == "also far"

    @pytest.mark.parametrize("name", ["r", "near"])
    def test_a_vector_that_cannot_be_compared_has_no_score(
        self, manager: DatabaseManager, alice: Api, name: str
    ) -> None:
        for vector in (b"", b"\x00" * 8, b"\x00\x00\xc0\x7f" * 2, b"\x00\x00\x80\x3f" * 3, "text"):
            manager.get_embeddings_table().update_item(
                Key={"product_id": name, "owner_model": f"{ALICE}#{MODEL}"},
                UpdateExpression="SET embedding_vector = :v",
                ExpressionAttributeValues={":v": vector},
            )
            told = document(alice)
            near = next(favorite for favorite in told["favorites"] if favorite["product_id"] == "near")
            assert (near["score"], near["product"]["name"]) == (None, "near"), vector
            assert (told["favorites"][0]["score"] is None) == (name == "r"), vector

    def test_no_favorites(self, alice: Api) -> None:
        alice.put(f"{PATH}/favorites", {"favorites": []})
        assert document(alice)["favorites"] == []
        assert read_csv(export(alice, "csv").content) == []

    def test_a_report_is_its_owners_alone(self, alice: Api, bob: Api) -> None:
        insert(BOB, "bobs", favorites={"near"})
        assert_problem(export(bob), 404, "not-found")
        assert export(bob).without_request_id().replace(PATH, "") == export(
            bob, path="/reports/none"
        ).without_request_id().replace("/reports/none", "")
        assert_invalid(export(bob, path="/reports/bobs", model_version=MODEL), "/query/model_version")
        assert document(bob, "/reports/bobs")["favorites"][0]["product"] is None

    def test_queries_that_are_refused(self, alice: Api) -> None:
        refused: list[tuple[dict[str, str], str]] = [
            ({}, "/query/format"),
            ({"format": "doc"}, "/query/format"),
            ({"format": "zip", "metric": "x"}, "/query/metric"),
            ({"format": "zip", "catalogue": "x"}, "/query/catalogue"),
            ({"format": "zip", "model_version": "#"}, "/query/model_version"),
            ({"format": "zip", "model_version": "m-9"}, "/query/model_version"),
            ({"format": "zip", "limit": "1"}, "/query/limit"),
        ]
        for query, pointer in refused:
            assert_invalid(alice.get(f"{PATH}/export", query=query), pointer)


@pytest.mark.usefixtures("products")
class TestAnswers:
    def test_a_file(self, alice: Api) -> None:
        for name in MEDIA_TYPES:
            answer = export(alice, name)
            assert answer.raw["isBase64Encoded"]
            assert answer.headers["Content-Type"] == MEDIA_TYPES[name]
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="My report ')
            assert answer.headers["Content-Disposition"].endswith(f".{name}")
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "ETag" not in answer.headers
            assert export(alice, name).content == answer.content
        assert set(MEDIA_TYPES.values()) == set(export_report.handler.media_types)
        assert every_object() == {}

    @pytest.mark.parametrize("name", ["zip", "csv", "xlsx", "pdf"])
    def test_a_large_one_is_put_where_its_owner_alone_finds_it(
        self, alice: Api, name: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
    ) -> None:
        small = export(alice, name)
        monkeypatch.setattr(export_report, "EXPORT_INLINE_BYTES", len(small.content) - 1)
        answer = export(alice, name)
        link = answer.json()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert "Content-Disposition" not in answer.headers
        ((key, body),) = every_object().items()
        assert re.fullmatch(rf"exports/{ALICE}/reports/[0-9a-f]{{32}}", key)
        assert body == small.content
        assert link.keys() == {"url", "expires_at", "bytes", "file_name"}
        assert (link["bytes"], link["file_name"]) == (len(body), f"My report {alice.get(PATH).json()['date']}.{name}")
        remaining = (parse_timestamp(link["expires_at"]) - datetime.now(UTC)).total_seconds()
        assert MAX_PRESIGNED_SECONDS - 20 < remaining <= MAX_PRESIGNED_SECONDS
        address = urlsplit(link["url"])
        assert address.path.endswith(f"/{key}")
        fixed = {name: value for name, (value,) in parse_qs(address.query).items()}
        assert fixed["response-content-disposition"] == small.headers["Content-Disposition"]
        assert fixed["response-content-type"] == small.headers["Content-Type"]
        assert "X-Amz-Signature" not in logged.everything()
        assert key not in logged.everything()

    def test_every_large_one_has_a_key_of_its_own(self, alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(export_report, "EXPORT_INLINE_BYTES", 0)
        assert len({export(alice).json()["url"].partition("?")[0] for _ in range(3)}) == 3

    def test_a_file_that_could_not_be_stored_is_no_success(self, alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(export_report, "EXPORT_INLINE_BYTES", 0)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        with faulty(default_objects(), answering_as_s3(503, "ServiceUnavailable")) as fault:
            assert_problem(export(alice), 503, "unavailable")
        assert fault.fired
        assert every_object() == {}

    def test_products_that_cannot_be_read_are_no_success(
        self, manager: DatabaseManager, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        export(alice)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        monkeypatch.setattr("shared.database.parallel._THROTTLED_FOR_SECONDS", 0)
        with faulty(manager, answering(400, "ThrottlingException"), after=2) as fault:
            assert_problem(export(alice), 429, "too-many-requests")
        assert fault.fired


class TestLimits:
    def test_as_many_favorites_as_there_may_be_are_read_in_batches(self, manager: DatabaseManager, alice: Api) -> None:
        names = [f"p{number:03}" for number in range(MAX_FAVORITES)]
        vector = Vector.of([1.0, 2.0])
        table = manager.get_embeddings_table()
        embed(ALICE, "r", [1, 2], {}, MODEL)
        with table.batch_writer() as batch:
            for name in names:
                key = {"product_id": name, "owner_model": f"{ALICE}#{MODEL}"}
                batch.put_item(Item={**key, "user_id": ALICE, "embedding_vector": vector.data, "product": {"n": name}})
        insert(ALICE, "one", reference={"product_id": "r"}, favorites=set(names))
        with recorded(manager) as asked:
            told = document(alice, model_version=MODEL)["favorites"]
        assert [favorite["product"] for favorite in told] == [{"n": name} for name in names]
        assert {favorite["score"] for favorite in told} == {1}
        assert sorted(asked) == ["BatchGetItem"] * 21 + ["GetItem"]

    def test_too_much_metadata_is_refused_before_all_is_read(
        self, manager: DatabaseManager, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(exporting, "_AT_ONCE", 2)
        monkeypatch.setattr(exporting, "MAX_METADATA_BYTES", 80)
        for name in "abcdef":
            embed(ALICE, name, [1, 2], {"text": "x" * 10}, MODEL)
        insert(ALICE, "one", reference=None, favorites=set("abcdef"))
        with recorded(manager) as asked:
            assert_invalid(export(alice), "/path/report_id")
        assert asked.count("BatchGetItem") == 2
        alice.put(f"{PATH}/favorites", {"favorites": ["a"]})
        assert export(alice).status == 200


def test_the_address_is_good_as_long_as_any_may_be() -> None:
    assert downloads.DOWNLOAD_SECONDS == MAX_PRESIGNED_SECONDS == 300


def test_what_is_answered_inline_fits_an_answer() -> None:
    """6 MB ("Lambda quotas"), of which base64 takes a third, and JSON and headers a little."""
    assert export_report.EXPORT_INLINE_BYTES * 4 / 3 < 6_000_000 - 100_000
