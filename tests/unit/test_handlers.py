"""What each route does, as a client sees it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.database import DatabaseManager
from shared.models.report import MAX_FAVORITES
from tests.conftest import ALICE
from tests.support.api import Api, encoded
from tests.support.problems import assert_problem


def make(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api.post("/reports", {"title": "Dogs", **fields})
    assert answer.status == 201
    made: dict[str, Any] = answer.json()
    return made


class TestReports:
    def test_defaults_of_a_new_report(self, alice: Api) -> None:
        days = {datetime.now(UTC).date().isoformat()}
        report = make(alice)
        days.add(datetime.now(UTC).date().isoformat())
        assert report["author"] == "Alice Example"
        assert report["date"] in days
        assert (report["reference"], report["favorites"], report["version"]) == (None, [], 1)
        assert report["created_at"] == report["updated_at"]

    def test_null_means_the_default(self, alice: Api) -> None:
        report = make(alice, author=None, date=None, reference=None)
        assert (report["author"], report["reference"]) == ("Alice Example", None)

    def test_the_author_is_the_profiles_name(self, alice: Api) -> None:
        alice.patch("/user/profile", {"name": "A. Changed"})
        assert make(alice)["author"] == "A. Changed"
        alice.patch("/user/profile", {"name": None})
        assert make(alice)["author"] == ""

    def test_an_author_too_long_for_a_report_is_cut(self, alice: Api, manager: DatabaseManager) -> None:
        manager.get_users_table().put_item(Item={"user_id": ALICE, "name": "x" * 300})
        assert make(alice)["author"] == "x" * 200

    def test_a_reference_keeps_its_nulls_and_its_cents(self, alice: Api) -> None:
        answer = alice.post("/reports", '{"title": "T", "reference": {"a": null, "price": 249.99, "b": [null, 1.10]}}')
        assert '"reference":{"a":null,"price":249.99,"b":[null,1.1]}' in answer.text
        stored = alice.get(answer.headers["Location"])
        assert '"reference":{"a":null,"price":249.99,"b":[null,1.1]}' in stored.text

    def test_a_patch_replaces_what_it_names(self, alice: Api) -> None:
        report = make(alice, reference={"a": 1, "b": 2})
        changed = alice.patch(f"/reports/{report['id']}", {"reference": {"c": None}, "date": "2026-01-31"})
        assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
        assert changed.json()["reference"] == {"c": None}
        assert changed.json()["title"] == "Dogs"

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"title": None}, "/body/title"),
            ({"title": " "}, "/body/title"),
            ({"date": "2026-02-30"}, "/body/date"),
            ({"date": "2026-1-1"}, "/body/date"),
            ({}, "/body"),
        ],
    )
    def test_a_patch_that_is_refused_changes_nothing(self, alice: Api, body: dict[str, Any], pointer: str) -> None:
        report = make(alice)
        assert_problem(alice.patch(f"/reports/{report['id']}", body), 422, "invalid-request", pointers=[pointer])
        assert alice.get(f"/reports/{report['id']}").json() == report

    def test_a_repeat_of_one_key_makes_one_report(self, alice: Api) -> None:
        first, again = (alice.post("/reports", {"title": "T"}, headers={"Idempotency-Key": "k"}) for _ in range(2))
        assert (again.status, again.text, again.headers["Location"]) == (201, first.text, first.headers["Location"])
        other = alice.post("/reports", {"title": "Other"}, headers={"Idempotency-Key": "k"})
        assert_problem(other, 422, "invalid-request", pointers=["/header/idempotency-key"])
        assert alice.get("/reports", query="include_total=true").json()["total"] == 1

    def test_one_key_of_two_users_is_two(self, alice: Api, bob: Api) -> None:
        first, second = (api.post("/reports", {"title": "T"}, headers={"Idempotency-Key": "k"}) for api in (alice, bob))
        assert first.json()["id"] != second.json()["id"]

    def test_a_list_says_whether_there_is_more(self, alice: Api) -> None:
        ids = [make(alice)["id"] for _ in range(3)]
        first = alice.get("/reports", query="limit=2").json()
        assert ([report["id"] for report in first["reports"]], first["has_more"]) == ([ids[2], ids[1]], True)
        assert "total" not in first
        rest = alice.get("/reports", query={"limit": "2", "cursor": first["next_cursor"]}).json()
        assert ([report["id"] for report in rest["reports"]], rest["has_more"]) == ([ids[0]], False)
        assert rest["next_cursor"] is None

    def test_a_row_from_before_versions_were_kept_is_at_the_first(self, alice: Api, manager: DatabaseManager) -> None:
        manager.get_reports_table().put_item(Item={"id": "old", "user_id": ALICE, "title": "Old"})
        found = alice.get("/reports/old")
        assert (found.status, found.headers["ETag"]) == (200, '"1"')
        assert found.json()["created_at"] == "1970-01-01T00:00:00.000000Z"
        assert alice.get("/reports/old").text == found.text
        first = alice.patch("/reports/old", {"title": "New"}, headers={"If-Match": '"1"'})
        assert (first.status, first.headers["ETag"]) == (200, '"2"')
        stale = alice.patch("/reports/old", {"title": "Newer"}, headers={"If-Match": '"1"'})
        assert_problem(stale, 412, "precondition-failed")

    def test_delete_keeps_to_the_version(self, alice: Api) -> None:
        path = f"/reports/{make(alice)['id']}"
        assert_problem(alice.delete(path, headers={"If-Match": '"2"'}), 412, "precondition-failed")
        deleted = alice.delete(path, headers={"If-Match": '"1"'})
        assert (deleted.status, deleted.text) == (204, "")
        assert_problem(alice.delete(path), 404, "not-found")


class TestFavorites:
    def test_awkward_ids_are_kept_as_they_are(self, alice: Api) -> None:
        path = f"/reports/{make(alice)['id']}/favorites"
        ids = ["a b", "100%25", "caf\u00e9 \U0001f436", "..", "a?b#c", "%2F"]
        for product_id in ids:
            assert alice.put(f"{path}/{encoded(product_id)}").status == 200
        assert alice.get(path).json() == {"favorites": sorted(ids)}
        for product_id in ids:
            assert alice.delete(f"{path}/{encoded(product_id)}").status == 200
        assert alice.get(path).json() == {"favorites": []}

    def test_a_repeat_keeps_the_etag(self, alice: Api) -> None:
        path = f"/reports/{make(alice)['id']}/favorites/p"
        first, again = alice.put(path), alice.put(path)
        assert (again.status, again.headers["ETag"]) == (200, first.headers["ETag"])

    def test_a_keyed_repeat_does_not_undo_what_came_between(self, alice: Api) -> None:
        """Also where the first request changed nothing, so that only its key tells that it was made."""
        path = f"/reports/{make(alice)['id']}/favorites/p"
        alice.put(path)
        assert alice.put(path, headers={"Idempotency-Key": "k"}).json() == {"favorites": ["p"]}
        alice.delete(path)
        assert alice.put(path, headers={"Idempotency-Key": "k"}).json() == {"favorites": []}
        assert alice.delete(path, headers={"Idempotency-Key": "k"}).json() == {"favorites": []}
        alice.put(path)
        assert alice.delete(path, headers={"Idempotency-Key": "k"}).json() == {"favorites": ["p"]}

    def test_the_limit(self, alice: Api) -> None:
        path = f"/reports/{make(alice)['id']}/favorites"
        too_many = [f"p{number}" for number in range(MAX_FAVORITES + 1)]
        refused = alice.put(path, {"favorites": too_many})
        assert_problem(refused, 422, "invalid-request", pointers=["/body/favorites"])
        assert alice.put(path, {"favorites": too_many[:-1]}).status == 200
        assert_problem(alice.put(f"{path}/one-more"), 409, "conflict")
        assert alice.put(f"{path}/p0").status == 200

    @pytest.mark.parametrize("product_id", ["", "x" * 257, "a\nb", "\x00"])
    def test_an_id_that_is_none(self, alice: Api, product_id: str) -> None:
        path = f"/reports/{make(alice)['id']}/favorites"
        one = alice.put(f"{path}/{encoded(product_id)}")
        assert_problem(one, 422, "invalid-request", pointers=["/path/product_id"])
        among_others = alice.put(path, {"favorites": [product_id]})
        assert_problem(among_others, 422, "invalid-request", pointers=["/body/favorites/0"])

    def test_a_stale_version(self, alice: Api) -> None:
        path = f"/reports/{make(alice)['id']}/favorites"
        assert alice.put(f"{path}/a", headers={"If-Match": '"1"'}).headers["ETag"] == '"2"'
        for answer in (
            alice.put(f"{path}/a", headers={"If-Match": '"1"'}),
            alice.delete(f"{path}/a", headers={"If-Match": '"1"'}),
            alice.put(path, {"favorites": []}, headers={"If-Match": '"1"'}),
        ):
            assert_problem(answer, 412, "precondition-failed")
        assert alice.get(path).json() == {"favorites": ["a"]}


class TestProfile:
    def test_the_first_sight_is_the_tokens(self, alice: Api) -> None:
        profile = alice.get("/user/profile").json()
        assert (profile["user_id"], profile["name"], profile["email"]) == (ALICE, "Alice Example", "alice@example.com")
        assert (profile["avatar_url"], profile["preferences"], profile["version"]) == (None, {}, 1)

    def test_later_tokens_change_nothing(self, alice: Api) -> None:
        alice.patch("/user/profile", {"name": "Chosen"})
        assert Api.as_user(ALICE, name="Token's").get("/user/profile").json()["name"] == "Chosen"

    def test_a_patch_may_come_first(self, alice: Api) -> None:
        changed = alice.patch("/user/profile", {"avatar_url": "https://example.com/a.png"})
        assert changed.status == 200
        assert (changed.json()["name"], changed.json()["avatar_url"]) == ("Alice Example", "https://example.com/a.png")

    def test_preferences_are_merged_and_the_rest_is_replaced(self, alice: Api) -> None:
        alice.patch("/user/profile", {"preferences": {"theme": {"dark": True, "size": 1.5}, "beta": False}})
        changed = alice.patch("/user/profile", {"email": None, "preferences": {"theme": {"size": None}, "new": [None]}})
        assert changed.json()["email"] is None
        assert changed.json()["preferences"] == {"theme": {"dark": True}, "beta": False, "new": [None]}

    def test_a_profile_from_before_versions_were_kept_can_be_merged(self, alice: Api, manager: DatabaseManager) -> None:
        manager.get_users_table().put_item(Item={"user_id": ALICE})
        merged = alice.patch("/user/profile", {"preferences": {"a": 1}})
        assert (merged.status, merged.headers["ETag"]) == (200, '"2"')

    def test_a_version_of_a_profile_that_there_is_not(self, alice: Api, manager: DatabaseManager) -> None:
        refused = alice.patch("/user/profile", {"name": "A"}, headers={"If-Match": '"1"'})
        assert_problem(refused, 412, "precondition-failed")
        assert "Item" not in manager.get_users_table().get_item(Key={"user_id": ALICE})

    def test_a_keyed_merge_is_recognised_before_it_is_judged(self, alice: Api) -> None:
        large = {"preferences": {"mine": "x" * 40_000}}
        assert alice.patch("/user/profile", large, headers={"Idempotency-Key": "k"}).status == 200
        alice.patch("/user/profile", {"preferences": {"mine": None, "theirs": "x" * 40_000}})
        repeat = alice.patch("/user/profile", large, headers={"Idempotency-Key": "k"})
        assert (repeat.status, list(repeat.json()["preferences"])) == (200, ["theirs"])

    def test_a_version_guards_a_merge(self, alice: Api) -> None:
        tag = alice.get("/user/profile").headers["ETag"]
        first = alice.patch("/user/profile", {"preferences": {"a": 1}}, headers={"If-Match": tag})
        assert (first.status, first.headers["ETag"]) == (200, '"2"')
        stale = alice.patch("/user/profile", {"preferences": {"a": 2}}, headers={"If-Match": tag})
        assert_problem(stale, 412, "precondition-failed")

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"email": "nobody"}, "/body/email"),
            ({"avatar_url": "http://example.com/a.png"}, "/body/avatar_url"),
            ({"avatar_url": "javascript:alert(1)"}, "/body/avatar_url"),
            ({"name": ""}, "/body/name"),
            ({"preferences": []}, "/body/preferences"),
            ({"user_id": "x"}, "/body/user_id"),
            ({}, "/body"),
        ],
    )
    def test_what_is_refused(self, alice: Api, body: dict[str, Any], pointer: str) -> None:
        before = alice.get("/user/profile").text
        assert_problem(alice.patch("/user/profile", body), 422, "invalid-request", pointers=[pointer])
        assert alice.get("/user/profile").text == before


def test_a_body_is_bounded_also_where_none_is_read(alice: Api) -> None:
    path = f"/reports/{make(alice)['id']}/favorites/p"
    assert_problem(alice.put(path, "x" * 3_000_000), 413, "payload-too-large")


def test_a_compressed_body_is_refused(alice: Api) -> None:
    answer = alice.post("/reports", {"title": "T"}, headers={"Content-Encoding": "gzip"})
    assert_problem(answer, 415, "unsupported-media-type")
