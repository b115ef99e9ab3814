"""The documentation page and its files: what is answered, what a browser is held to, and how one signs in."""

import gzip
import hashlib
import html
import importlib
import json
import re
from typing import Any

import pytest

from handlers.documentation.assets import assets
from shared.process import renew
from tests.support.api import Answer, Api
from tests.support.problems import assert_problem

LOGIN = "https://k9.auth.us-east-1.amazoncognito.com"
SCRIPT = "swagger-ui-bundle.js"


def body(answer: Answer) -> bytes:
    assert answer.raw["isBase64Encoded"] is True
    return answer.content


def page(**headers: str) -> str:
    answer = Api().get("/docs", headers=headers)
    assert answer.status == 200
    return body(answer).decode()


def sign_in(text: str) -> dict[str, Any]:
    (stated,) = re.findall(r'<script type="application/json" id="sign-in-settings">(.*?)</script>', text)
    found: dict[str, Any] = json.loads(stated)
    return found


def policy() -> dict[str, str]:
    stated = Api().get("/docs").headers["Content-Security-Policy"]
    return dict(part.split(" ", 1) for part in stated.split("; "))


def name(title: str = SCRIPT) -> str:
    return assets()[title].name


def set_login(monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    for variable, value in {"HOSTED_LOGIN_URL": LOGIN, "HOSTED_LOGIN_CLIENT_ID": "one", **more}.items():
        monkeypatch.setenv(variable, value)
    renew()


class TestPage:
    def test_it_loads_files_of_its_own_alone_and_each_is_there(self) -> None:
        text = page()
        named = re.findall(r'(?:src|href)="([^"]+)"', text)
        files = [address.removeprefix("docs/") for address in named if address.startswith("docs/")]
        assert sorted(set(named) - {f"docs/{file}" for file in files}) == ["data:,", "openapi.json"]
        assert sorted(files) == sorted(asset.name for asset in assets().values())
        assert all(Api().get(f"/docs/{file}").status == 200 for file in files)

    def test_it_has_no_code_and_no_style_of_its_own(self) -> None:
        text = page()
        assert re.findall(r"<script(?! src=| type=\"application/json\")", text) == []
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)

    def test_a_browser_asks_again_and_is_told_that_it_has_it(self) -> None:
        answer = Api().get("/docs")
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        again = Api().get("/docs", headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status, again.text) == (304, "")
        assert again.headers["Content-Security-Policy"] == answer.headers["Content-Security-Policy"]

    def test_another_sign_in_is_another_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = Api().get("/docs").headers["ETag"]
        set_login(monkeypatch)
        assert Api().get("/docs", headers={"If-None-Match": before}).status == 200

    def test_what_a_browser_is_held_to(self) -> None:
        assert policy() == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data:",
            "connect-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }
        headers = Api().get("/docs").headers
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "geolocation=()" in headers["Permissions-Policy"]

    def test_the_login_alone_may_be_spoken_to_as_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = policy()
        set_login(monkeypatch)
        assert policy() == {**before, "connect-src": f"'self' {LOGIN}"}


class TestSignIn:
    def test_there_is_none_unless_it_is_configured(self) -> None:
        assert sign_in(page()) == {"kind": "none"}

    def test_of_a_laptop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOCAL_SIGN_IN", "alice, bob")
        renew()
        assert sign_in(page()) == {"kind": "local", "names": ["alice", "bob"]}

    @pytest.mark.parametrize("use", ["id", "access"])
    def test_by_the_hosted_login(self, monkeypatch: pytest.MonkeyPatch, use: str) -> None:
        set_login(monkeypatch, PUBLIC_URL="https://api.example.com", COGNITO_TOKEN_USE=use)
        assert sign_in(page()) == {
            "kind": "hosted",
            "url": LOGIN,
            "client_id": "one",
            "page": "https://api.example.com/docs",
            "token": f"{use}_token",
        }

    def test_by_the_login_of_a_pool_that_knows_the_page_by_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        set_login(monkeypatch)
        assert sign_in(page())["page"] is None

    def test_settings_cannot_end_their_element(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hostile = "</script><script>alert(1)</script><!--"
        set_login(monkeypatch, HOSTED_LOGIN_CLIENT_ID=hostile)
        text = page()
        assert hostile not in text
        assert html.unescape(sign_in(text)["client_id"]) == hostile

    @pytest.mark.parametrize(
        "url",
        [
            "http://login.example.com",
            "https://login.example.com/",
            "https://login.example.com; script-src *",
            "https://login.example.com *",
            "login.example.com",
        ],
    )
    def test_what_is_no_origin_is_a_fault_of_the_deployment(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        set_login(monkeypatch, HOSTED_LOGIN_URL=url)
        assert_problem(Api().get("/docs"), 500, "internal-error")

    def test_a_login_without_its_client_is_one_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        set_login(monkeypatch, HOSTED_LOGIN_CLIENT_ID="")
        assert_problem(Api().get("/docs"), 500, "internal-error")


class TestFiles:
    def test_names_have_a_digest_of_the_content(self) -> None:
        for asset in assets().values():
            content = body(Api().get(f"/docs/{asset.name}"))
            assert hashlib.sha256(content).hexdigest().startswith(asset.digest)
            assert asset.digest in asset.name

    @pytest.mark.parametrize(
        ("title", "media_type"),
        [
            (SCRIPT, "text/javascript; charset=utf-8"),
            ("page.js", "text/javascript; charset=utf-8"),
            ("swagger-ui.css", "text/css; charset=utf-8"),
            ("swagger-ui-licence.txt", "text/plain; charset=utf-8"),
        ],
    )
    def test_a_browser_keeps_them_for_good(self, title: str, media_type: str) -> None:
        answer = Api().get(f"/docs/{name(title)}")
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

    def test_they_are_sent_compressed_to_whoever_can_read_that(self) -> None:
        plain = Api().get(f"/docs/{name()}")
        packed = Api().get(f"/docs/{name()}", headers={"Accept-Encoding": "gzip, deflate, br"})
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(body(packed)) == body(plain)
        assert len(body(packed)) < len(body(plain)) / 3
        assert packed.headers["ETag"] != plain.headers["ETag"]
        assert {part.strip() for part in plain.headers["Vary"].split(",")} >= {"Accept-Encoding"}
        # What Lambda may answer (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
        assert len(plain.text) < 6 * 1024 * 1024

    def test_a_browser_that_has_one_is_told_so(self) -> None:
        tag = Api().get(f"/docs/{name()}").headers["ETag"]
        again = Api().get(f"/docs/{name()}", headers={"If-None-Match": tag})
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", tag)
        assert "immutable" in again.headers["Cache-Control"]

    @pytest.mark.parametrize(
        "file",
        [
            "swagger-ui-bundle.js",
            "swagger-ui-bundle-0000000000000000.js",
            "page.html",
            "openapi.json",
            "origin.txt",
            "..",
            "..%2Fpage.html",
            "%2Fetc%2Fpasswd",
            "page%00.js",
            "",
        ],
    )
    def test_no_other_name_leads_anywhere(self, file: str) -> None:
        assert_problem(Api().get(f"/docs/{file}"), 404, "not-found")

    def test_a_name_is_the_whole_name(self) -> None:
        for wrong in (
            "get_page.py",
            "..%2F..%2Fhealth.py",
            f"{name()}.gz",
            f"x{name()}",
            name().upper(),
            f"{name()}%20",
            f"{name()}%0A",
        ):
            assert Api().get(f"/docs/{wrong}").status == 404

    def test_the_licence_of_what_is_passed_on_is_passed_on(self) -> None:
        assert "Apache License" in body(Api().get(f"/docs/{name('swagger-ui-licence.txt')}")).decode()

    def test_without_the_layer_the_page_is_a_fault_of_the_deployment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(package: str) -> Any:
            return importlib.import_module("no_such_package")

        monkeypatch.setattr("handlers.documentation.assets.import_module", missing)
        renew()
        assert_problem(Api().get("/docs"), 500, "internal-error")


def test_both_are_open_and_mind_no_token() -> None:
    assert Api(token="garbage").get("/docs").status == 200
    assert Api(token="garbage").get(f"/docs/{name()}").status == 200
