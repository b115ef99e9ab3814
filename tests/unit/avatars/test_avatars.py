"""Avatars as a client sees them: the form, what becomes of an upload, where it is shown, and what replaces it."""

import re
from base64 import b64decode
from datetime import timedelta
from typing import Any

import pytest

from handlers import avatar_uploads
from handlers.users import get_profile
from shared.avatars.names import Upload, avatar_owner, avatar_prefix, upload_prefix
from shared.avatars.requesting import FORM_SECONDS
from shared.config import get_settings
from shared.database import DatabaseManager, DBUser, UserRepository
from shared.models.avatar import MAX_UPLOAD_BYTES
from shared.models.fields import now, parse_timestamp, timestamp
from shared.similarity.objects import default_objects
from tests.conftest import ALICE, BOB
from tests.support.api import Api
from tests.support.faults import answering_as_s3, faulty, recorded
from tests.support.images import decoded, image
from tests.support.logs import Logged
from tests.support.logs import logged as logged
from tests.support.problems import assert_problem
from tests.support.tokens import TokenFactory
from tests.support.uploads import ask, check, event, keys, policy, send, shown, upload, uploads

OWN_URL = "https://example.com/me.png"


class TestForm:
    @pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/webp"])
    def test_it_takes_one_object_of_one_type_and_a_bounded_size_for_five_minutes(
        self, alice: Api, media_type: str
    ) -> None:
        before = now()
        answer = ask(alice, media_type)
        form = answer.json()
        assert form.keys() == {"url", "fields", "expires_at", "max_bytes"}
        assert re.fullmatch(rf"uploads/{ALICE}/[0-9a-f]{{46}}", form["fields"]["key"])
        signed = policy(answer)
        assert {"key": form["fields"]["key"]} in signed["conditions"]
        assert {"Content-Type": media_type} in signed["conditions"]
        assert ["content-length-range", 1, 2 * 1024 * 1024] in signed["conditions"]
        assert {"bucket": get_settings().similarity_bucket} in signed["conditions"]
        assert not any("starts-with" in str(condition) for condition in signed["conditions"])
        assert form["max_bytes"] == MAX_UPLOAD_BYTES
        lasts = parse_timestamp(form["expires_at"]) - parse_timestamp(before)
        assert timedelta(seconds=FORM_SECONDS) <= lasts < timedelta(seconds=FORM_SECONDS + 30)
        ends = parse_timestamp(signed["expiration"].replace("Z", ".000000Z"))
        assert abs(ends - parse_timestamp(form["expires_at"])) < timedelta(seconds=2)

    def test_it_is_signed_with_version_4_for_the_regions_own_address(
        self, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SESSION_TOKEN", "of the role")
        alice.get("/user/profile")
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        get_settings.cache_clear()
        default_objects.cache_clear()
        form = ask(alice).json()
        assert form["url"] == f"https://{get_settings().similarity_bucket}.s3.eu-central-1.amazonaws.com/"
        assert form["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
        assert form["fields"]["x-amz-security-token"] == "of the role"

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/body/content_type"),
            ({"content_type": "image/gif"}, "/body/content_type"),
            ({"content_type": "image/svg+xml"}, "/body/content_type"),
            ({"content_type": "IMAGE/PNG"}, "/body/content_type"),
            ({"content_type": None}, "/body/content_type"),
            ({"content_type": "image/png", "key": "avatars/x"}, "/body/key"),
        ],
    )
    def test_what_is_refused(self, alice: Api, body: dict[str, Any], pointer: str) -> None:
        assert_problem(alice.post("/user/avatar", body), 422, "invalid-request", pointers=[pointer])

    def test_it_costs_one_call_and_two_on_first_sight(self, manager: DatabaseManager, alice: Api) -> None:
        with recorded(manager, default_objects()) as calls:
            ask(alice)
            ask(alice)
        assert calls == ["GetItem", "PutItem", "GetItem"]

    def test_no_two_are_alike_and_none_is_logged(self, alice: Api, logged: Logged) -> None:
        forms = [ask(alice).json() for _ in range(2)]
        assert forms[0]["fields"]["key"] < forms[1]["fields"]["key"]
        printed = logged.everything()
        for form in forms:
            assert not any(str(value) in printed for value in form["fields"].values())
        assert "fields" not in repr(default_objects().presign("k", "image/png", (1, 2), 3))

    @pytest.mark.parametrize("user_id", ["a/b", "a b+c%2F", "\u00fc\U0001f436", f"{BOB}/x", "..%2f"])
    def test_an_odd_user_stays_below_a_prefix_of_their_own(
        self, manager: DatabaseManager, tokens: TokenFactory, user_id: str
    ) -> None:
        api = Api.as_user(user_id, tokens)
        key = upload(api, image())
        assert key.startswith(upload_prefix(user_id))
        assert key.count("/") == 2
        assert Upload.of_key(key) is not None
        assert shown(api)

    def test_a_clock_that_is_behind_the_others_gives_a_later_time_all_the_same(self, alice: Api) -> None:
        later = "2099-01-01T00:00:00.000000Z"
        UserRepository.create_user(DBUser(user_id=ALICE, created_at=later))
        first = upload(alice, image())
        assert shown(alice)
        second = Upload.of_key(ask(alice).json()["fields"]["key"])
        assert second
        assert second.requested_at > (UserRepository.get_user(ALICE).avatar_as_of or "") > later
        assert second.key > first

    @pytest.mark.parametrize("time", ["yesterday", "9999-12-31T23:59:59.999999Z"])
    def test_a_row_of_another_origin_whose_time_has_none_after_it(
        self, manager: DatabaseManager, alice: Api, time: str
    ) -> None:
        manager.get_users_table().put_item(Item={"user_id": ALICE, "avatar_as_of": time})
        answer = alice.post("/user/avatar", {"content_type": "image/png"})
        assert_problem(answer, 409, "conflict")


class TestUpload:
    @pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/webp"])
    def test_an_image_becomes_the_avatar(self, alice: Api, media_type: str) -> None:
        assert alice.get("/user/profile").json()["avatar_url"] is None
        key = upload(alice, image(media_type), media_type)
        answer = shown(alice)
        assert answer
        assert answer.status == 200
        assert answer.headers["Content-Type"] == media_type
        assert uploads() == []
        assert keys() == keys(avatar_prefix(ALICE))
        assert key.rpartition("/")[2] not in alice.get("/user/profile").text

    def test_the_address_is_the_one_that_the_api_was_called_at(self, alice: Api) -> None:
        upload(alice, image())
        path = alice.get("/user/profile").json()["avatar_url"].removeprefix("http://localhost")
        endpoint_event = dict(alice.event("GET", "/user/profile"))
        context = endpoint_event["requestContext"]
        endpoint_event["requestContext"] = {**context, "domainName": "api.example.com", "stage": "$default"}
        body = get_profile.handler(endpoint_event, None)["body"]
        assert f'"avatar_url":"https://api.example.com{path}"' in body

    def test_it_changes_the_profiles_version(self, alice: Api) -> None:
        tag = alice.get("/user/profile").headers["ETag"]
        upload(alice, image())
        assert alice.get("/user/profile").headers["ETag"] != tag

    def test_the_next_one_replaces_it(self, alice: Api) -> None:
        upload(alice, image(colour="red"))
        old = alice.get("/user/profile").json()["avatar_url"]
        upload(alice, image(colour="blue"))
        answer = shown(alice)
        assert answer
        assert keys() == keys(avatar_prefix(ALICE))
        assert len(keys()) == 1
        assert_problem(Api().get(old.removeprefix("http://localhost")), 404, "not-found")

    @pytest.mark.parametrize(
        ("body", "declared", "told"),
        [
            (image("image/png"), "image/jpeg", "is a PNG image, and JPEG was declared"),
            (b"text", "image/png", "no PNG, JPEG or WebP image"),
            (image() + bytes(MAX_UPLOAD_BYTES), "image/png", "larger than 2097152 bytes"),
            (b"", "image/png", "The upload is empty"),
        ],
        ids=["another format", "text", "too large", "empty"],
    )
    def test_a_refused_one_is_gone_and_the_profile_says_why(
        self, alice: Api, body: bytes, declared: str, told: str
    ) -> None:
        upload(alice, image())
        before = alice.get("/user/profile").json()
        assert before["avatar_error"] is None
        upload(alice, body, declared)
        profile = alice.get("/user/profile").json()
        assert told in profile["avatar_error"]
        assert profile["avatar_url"] == before["avatar_url"]
        assert shown(alice)
        assert uploads() == []
        upload(alice, image())
        assert alice.get("/user/profile").json()["avatar_error"] is None

    def test_one_that_declares_nothing_we_take(self, alice: Api) -> None:
        """A form fixes the type, so only somebody with rights to the bucket can bring such a one."""
        key = str(ask(alice).json()["fields"]["key"])
        default_objects().put(key, image(), media_type="image/gif")
        check(key)
        assert "does not say" in alice.get("/user/profile").json()["avatar_error"]
        assert uploads() == []

    def test_the_right_image_may_follow_by_the_same_form(self, alice: Api) -> None:
        form = ask(alice)
        check(send(form, b"not yet"))
        assert alice.get("/user/profile").json()["avatar_error"]
        check(send(form, image()))
        assert alice.get("/user/profile").json()["avatar_error"] is None
        assert shown(alice)

    def test_a_form_that_is_sent_again_changes_nothing_more(self, alice: Api) -> None:
        """Whoever has seen the form can send it for five minutes."""
        form = ask(alice)
        check(send(form, image(colour="red")))
        before = alice.get("/user/profile").text, keys()
        check(send(form, image(colour="blue")))
        check(send(form, b"not an image"))
        assert (alice.get("/user/profile").text, keys()) == before

    def test_an_older_one_that_comes_late_loses(self, alice: Api) -> None:
        older, newer = ask(alice), ask(alice)
        keys_of = [send(older, image(colour="red")), send(newer, image(colour="blue"))]
        for key in reversed(keys_of):
            check(key)
        answer = shown(alice)
        assert answer
        assert is_blue(answer.raw["body"])
        assert (uploads(), len(keys())) == ([], 1)

    def test_two_in_one_event(self, alice: Api) -> None:
        sent = [send(ask(alice), image(colour=colour)) for colour in ("red", "blue")]
        avatar_uploads.handler(event(*sent))
        answer = shown(alice)
        assert answer
        assert is_blue(answer.raw["body"])

    @pytest.mark.parametrize("body", [image(), b"not an image"], ids=["image", "none"])
    def test_a_user_who_is_gone_does_not_come_back(self, alice: Api, manager: DatabaseManager, body: bytes) -> None:
        upload(alice, image())
        form = ask(alice)
        UserRepository.delete_user(ALICE)
        key = send(form, body)
        check(key)
        assert keys() == []
        assert "Item" not in manager.get_users_table().get_item(Key={"user_id": ALICE})
        check(key)
        assert keys() == []

    def test_a_form_from_before_the_row_is_nothing_to_the_next_row(self, alice: Api) -> None:
        form = ask(alice)
        UserRepository.delete_user(ALICE)
        alice.get("/user/profile")
        check(send(form, image()))
        profile = alice.get("/user/profile").json()
        assert (profile["avatar_url"], profile["avatar_error"], profile["version"]) == (None, None, 1)
        assert keys() == []

    def test_another_user_keeps_theirs(self, alice: Api, bob: Api) -> None:
        upload(bob, image())
        before = bob.get("/user/profile").text, keys(avatar_prefix(BOB))
        upload(alice, image())
        upload(alice, b"text")
        alice.patch("/user/profile", {"avatar_url": None})
        assert (bob.get("/user/profile").text, keys()) == before

    @pytest.mark.parametrize(
        "key",
        [
            "uploads/x",
            f"uploads/{ALICE}/short",
            f"uploads/{ALICE}/a/{'0' * 46}",
            f"uploads/a b/{'0' * 46}",
            f"similarity/{ALICE}/{'0' * 46}",
        ],
    )
    def test_an_object_that_is_no_upload_is_left_alone(self, manager: DatabaseManager, key: str) -> None:
        default_objects().put(key, image(), media_type="image/png")
        check(key)
        assert default_objects().get(key)
        assert Upload.of_key(key) is None

    def test_what_it_costs(self, manager: DatabaseManager, alice: Api) -> None:
        upload(alice, image())
        key = send(ask(alice), image())
        with recorded(manager, default_objects()) as calls:
            check(key)
            assert calls == ["GetObject", "PutObject", "UpdateItem", "ListObjectsV2", "DeleteObjects", "DeleteObject"]
            calls.clear()
            check(key)
            assert calls == ["GetObject", "GetItem", "ListObjectsV2"]

    def test_the_log_names_nobody(self, alice: Api, logged: Logged) -> None:
        key = upload(alice, b"c4n4ry")
        printed = logged.everything()
        assert "an upload was refused" in printed
        assert not any(secret in printed for secret in (ALICE, key, "c4n4ry", avatar_owner(ALICE)))

    def test_a_version_of_it_goes_for_good_where_the_bucket_keeps_versions(self, alice: Api) -> None:
        client: Any = default_objects().client
        bucket = get_settings().similarity_bucket
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        form = ask(alice)
        for colour in ("red", "blue"):
            send(form, image(colour=colour))
        check(send(form, b"neither"))
        for _ in range(2):
            check(form.json()["fields"]["key"])
        left = client.list_object_versions(Bucket=bucket, Prefix="uploads/")
        assert not left.get("Versions")
        assert not left.get("DeleteMarkers")
        assert shown(alice)


class TestPicture:
    def test_a_browser_may_keep_it_and_run_nothing(self, alice: Api) -> None:
        upload(alice, image())
        answer = shown(alice)
        assert answer
        assert answer.raw["isBase64Encoded"] is True
        assert {name: answer.headers[name] for name in answer.headers if name not in ("X-Request-Id", "ETag")} == {
            "Content-Type": "image/png",
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Content-Disposition": "inline",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Vary": "Origin",
        }

    def test_it_costs_one_call_whoever_asks(self, manager: DatabaseManager, alice: Api) -> None:
        upload(alice, image())
        path = alice.get("/user/profile").json()["avatar_url"].removeprefix("http://localhost")
        with recorded(manager, default_objects()) as calls:
            for api in (Api(), Api("garbage"), alice):
                assert api.get(path).status == 200
        assert calls == ["GetObject"] * 3

    def test_one_that_there_is_not(self, manager: DatabaseManager) -> None:
        answer = Api().get(f"/avatars/{'0' * 32}/{'0' * 46}")
        assert_problem(answer, 404, "not-found")
        assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        ("owner", "avatar_id", "pointer"),
        [
            ("..", "0" * 46, "/path/owner"),
            ("0" * 31, "0" * 46, "/path/owner"),
            ("A" * 32, "0" * 46, "/path/owner"),
            ("0" * 32 + "%0A", "0" * 46, "/path/owner"),
            ("0" * 32, "%2e%2e", "/path/avatar_id"),
            ("0" * 32, "0" * 47, "/path/avatar_id"),
            ("0" * 32, "0" * 45 + "%2F", "/path/avatar_id"),
        ],
    )
    def test_what_is_no_address_reaches_no_store(
        self, manager: DatabaseManager, owner: str, avatar_id: str, pointer: str
    ) -> None:
        with recorded(default_objects()) as calls:
            answer = Api().get(f"/avatars/{owner}/{avatar_id}")
        assert_problem(answer, 422, "invalid-request", pointers=[pointer])
        assert calls == []


class TestOwnAddress:
    @pytest.mark.parametrize("url", [OWN_URL, None])
    def test_it_replaces_an_upload_which_goes(self, alice: Api, url: str | None) -> None:
        upload(alice, image())
        assert alice.patch("/user/profile", {"avatar_url": url}).json()["avatar_url"] == url
        assert keys() == []

    def test_an_upload_replaces_it(self, alice: Api) -> None:
        alice.patch("/user/profile", {"avatar_url": OWN_URL})
        upload(alice, image())
        assert shown(alice)

    @pytest.mark.parametrize("url", [OWN_URL, None])
    def test_an_upload_that_was_asked_for_before_comes_too_late(self, alice: Api, url: str | None) -> None:
        form = ask(alice)
        alice.patch("/user/profile", {"avatar_url": url})
        check(send(form, image()))
        assert alice.get("/user/profile").json()["avatar_url"] == url
        assert keys() == []

    def test_it_hides_why_an_upload_was_refused(self, alice: Api) -> None:
        upload(alice, b"text")
        assert alice.patch("/user/profile", {"avatar_url": None}).json()["avatar_error"] is None

    def test_a_profile_that_is_sent_back_as_it_was_read_keeps_its_picture(
        self, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upload(alice, image())
        monkeypatch.setattr("shared.events.Request.base_url", "https://api.example.com")
        url = alice.get("/user/profile").json()["avatar_url"]
        assert url.startswith("https://api.example.com/avatars/")
        changed = alice.patch("/user/profile", {"name": "A", "avatar_url": url})
        assert changed.json()["avatar_url"] == url
        assert len(keys()) == 1
        assert UserRepository.get_user(ALICE).avatar_url == url.removeprefix("https://api.example.com")

    @pytest.mark.parametrize(
        "host", ["https://other.example.com", "https://api.example.com/v1", "http://localhost:3001"]
    )
    def test_so_does_one_that_was_read_at_another_address_of_the_api(self, alice: Api, host: str) -> None:
        upload(alice, image())
        path = UserRepository.get_user(ALICE).avatar_url
        answer = alice.patch("/user/profile", {"avatar_url": f"{host}{path}"})
        assert answer.status == 200
        assert UserRepository.get_user(ALICE).avatar_url == path
        assert len(keys()) == 1

    def test_one_that_is_sent_back_as_it_was_read_does_not_stop_an_upload(self, alice: Api) -> None:
        upload(alice, image())
        before = alice.get("/user/profile").json()
        form = ask(alice)
        assert alice.patch("/user/profile", {"name": "A", "avatar_url": before["avatar_url"]}).status == 200
        check(send(form, image(colour="blue")))
        answer = shown(alice)
        assert answer
        assert is_blue(answer.raw["body"])
        assert len(keys()) == 1

    @pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k"}], ids=["no key", "key"])
    @pytest.mark.parametrize("preferences", [{}, {"preferences": {"a": 1}}], ids=["plain", "merged"])
    def test_one_whose_image_is_gone_is_refused(
        self, alice: Api, key: dict[str, str], preferences: dict[str, Any]
    ) -> None:
        upload(alice, image())
        stale = alice.get("/user/profile").json()["avatar_url"]
        upload(alice, image())
        now_shown = alice.get("/user/profile").json()
        answer = alice.patch("/user/profile", {"name": "A", "avatar_url": stale, **preferences}, headers=key)
        assert_problem(answer, 422, "invalid-request", pointers=["/body/avatar_url"])
        assert alice.get("/user/profile").json() == now_shown
        assert shown(alice)

    def test_an_address_of_an_image_that_never_was_is_refused(self, alice: Api) -> None:
        url = f"https://api.example.com/{avatar_prefix(ALICE)}{'0' * 46}"
        answer = alice.patch("/user/profile", {"avatar_url": url})
        assert_problem(answer, 422, "invalid-request", pointers=["/body/avatar_url"])
        assert alice.get("/user/profile").json()["avatar_url"] is None

    def test_anothers_is_an_address_like_any(self, alice: Api, bob: Api) -> None:
        upload(bob, image())
        url = f"https://api.example.com{UserRepository.get_user(BOB).avatar_url}"
        alice.get("/user/profile")
        assert alice.patch("/user/profile", {"avatar_url": url}).json()["avatar_url"] == url

    def test_other_changes_make_no_call_more(self, manager: DatabaseManager, alice: Api) -> None:
        upload(alice, image())
        with recorded(manager, default_objects()) as calls:
            alice.patch("/user/profile", {"name": "A"})
            assert calls == ["UpdateItem"]
            alice.patch("/user/profile", {"avatar_url": None})
            assert calls == ["UpdateItem", "UpdateItem", "ListObjectsV2", "DeleteObjects"]

    def test_a_picture_that_cannot_be_removed_is_said_and_a_repeat_removes_it(
        self, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        upload(alice, image())
        headers = {"Idempotency-Key": "k"}
        with faulty(default_objects(), answering_as_s3(503, "SlowDown")) as fault:
            answer = alice.patch("/user/profile", {"avatar_url": None}, headers=headers)
        assert fault.fired
        assert_problem(answer, 503, "outcome-unknown")  # `unavailable` would say that nothing was changed
        assert "is not removed yet" in answer.json()["detail"]
        assert answer.headers["Retry-After"] == "1"
        assert alice.get("/user/profile").json()["avatar_url"] is None
        assert alice.patch("/user/profile", {"avatar_url": None}, headers=headers).status == 200
        assert keys() == []


def test_the_names_hold_no_user_that_could_be_read() -> None:
    assert ALICE not in avatar_prefix(ALICE)
    assert avatar_prefix(ALICE) != avatar_prefix(BOB)
    given = Upload.new(ALICE, "2026-11-25T22:59:24.123456Z")
    assert given.requested_at == "2026-11-25T22:59:24.123456Z"
    assert Upload.of_key(given.key) == given
    assert re.fullmatch(r"/avatars/[0-9a-f]{32}/[0-9a-f]{46}", given.avatar_path(b"image"))
    assert given.avatar_path(b"image") != given.avatar_path(b"another")
    assert Upload.new(ALICE, given.requested_at).avatar_path(b"image") != given.avatar_path(b"image")


def test_ids_are_in_the_order_of_their_times() -> None:
    times = [timestamp(parse_timestamp(now()) + timedelta(microseconds=step)) for step in (0, 1, 10**6, 10**12)]
    ids = [Upload.new(ALICE, moment).upload_id for moment in times]
    assert ids == sorted(ids)
    assert [Upload(ALICE, upload_id).requested_at for upload_id in ids] == times


def is_blue(body: str) -> bool:
    pixel = decoded(b64decode(body)).convert("RGB").getpixel((5, 5))
    return pixel == (0, 0, 255)
