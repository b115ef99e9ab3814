"""The code in the README and in docs/ works as it is written, and prints what the pages say it prints.

`tests/support/markdown.py` has the marks that the blocks can have. One laptop stack serves all pages: alice's, with
the demo data, as a reader has it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

import handlers
from scripts.local.folder import PROJECT
from tests.support.browser import chromium
from tests.support.code_grant import CodeGrant, code_grant
from tests.support.dev import Dev, start_dev
from tests.support.documented import run_page
from tests.support.markdown import Page, code, pages
from tests.support.reader import Scene
from tests.support.served_app import served_app
from tests.support.unreliable import unreliable

RETRIES = "docs/guides/retries.md"
APPS = ("docs/guides/first-app.md", "docs/guides/authentication.md")
UPLOADS = "docs/API.md"
"""Its reader gets an avatar, which alice's profile on other pages does not have."""

DOCUMENTED_LOGIN = "https://my-k9.auth.us-east-1.amazoncognito.com"
PAGES = [page for page in pages() if page.blocks]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    running = start_dev(tmp_path_factory.mktemp("k9"))
    yield running
    assert running.stop() == 0


@pytest.fixture
def scene(dev: Dev, tmp_path: Path) -> Scene:
    handlers.load_all()
    return Scene(tmp_path / "project", f"http://localhost:{dev.port}", dev.token(), dev.folder)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != RETRIES], ids=lambda page: page.name)
def test_a_pages_code_works_as_shown(page: Page, scene: Scene, dev: Dev) -> None:
    before = _written()
    run_page(page, replace(scene, token=dev.token("bob")) if page.name == UPLOADS else scene)
    changed = sorted(str(path) for path in dict(before.items() ^ _written().items()))
    assert changed == [], "the page's code writes the project's own files, which other tests look at: mark it"


def _written() -> dict[Path, int]:
    """When each of the project's own files was written, as far as a reader's code gets at them."""
    files = (path for folder in ("docs", "scripts", "src", "clients") for path in (PROJECT / folder).rglob("*.*"))
    return {path: path.stat().st_mtime_ns for path in files if path.is_file() and path.suffix != ".pyc"}


def test_the_retries_get_through_an_unreliable_network(dev: Dev, tmp_path: Path) -> None:
    """Every request of the page loses its first answer, and is throttled at the second try."""
    with unreliable(f"http://127.0.0.1:{dev.port}") as relay:
        scene = Scene(tmp_path / "project", relay.url.replace("127.0.0.1", "localhost"), dev.token(), dev.folder)
        run_page(Page.read(RETRIES), scene)
    assert relay.tries
    assert set(relay.tries.values()) == {3}, "a request was given up, or sent once more than needed"


def test_the_react_app_does_in_a_browser_what_the_guide_says(dev: Dev, scene: Scene) -> None:
    """Sign-in, paging, a new report, search, favourites, a problem and a conflict, as somebody sees them."""
    guide, alice = Page.read(APPS[0]), dev.stage()
    with served_app(guide, scene) as address, chromium() as program:
        browser = program.new_page()
        browser.goto(address)
        browser.get_by_label("Token").fill("not a token")
        browser.get_by_role("button", name="Sign in").click()
        expect(browser.get_by_role("alert")).to_contain_text("A valid bearer token is required.")
        browser.get_by_label("Token").fill(dev.token())
        browser.get_by_role("button", name="Sign in").click()
        expect(browser.get_by_role("heading")).to_have_text("Reports of Alice")

        reports = browser.get_by_role("list", name="Reports").get_by_role("listitem")
        expect(reports).to_have_count(5)
        browser.get_by_role("button", name="More").click()
        expect(reports).to_have_count(10)

        browser.get_by_role("button", name="Create").click()
        expect(browser.get_by_role("alert")).to_contain_text("/body/title")
        browser.get_by_label("Title").fill("Made in a browser")
        browser.get_by_role("button", name="Create").click()
        expect(reports).to_have_count(11)
        expect(reports.first).to_have_text("Made in a browser")
        expect(browser.get_by_role("alert")).to_have_count(0)

        opened, status = browser.get_by_role("region", name="Report"), browser.get_by_role("status")
        expect(opened.get_by_label("Name")).to_have_value("Made in a browser")
        opened.get_by_role("button", name="Store the products").click()
        expect(status).to_have_text("4 stored, 0 failed.")
        opened.get_by_label("Cheaper than").fill("300")
        opened.get_by_role("button", name="Find similar").click()
        hits = opened.get_by_role("list", name="Similar").get_by_role("listitem")
        expect(hits).to_have_text([re.compile(r"^Bella 0\.991"), re.compile(r"^Felix 0\.237")])
        hits.first.get_by_role("button").click()
        expect(hits.first.get_by_role("button")).to_have_attribute("aria-pressed", "true")
        opened.get_by_role("button", name="Find similar").click()
        expect(hits.first.get_by_role("button")).to_have_attribute("aria-pressed", "true")
        expect(hits.last.get_by_role("button")).to_have_attribute("aria-pressed", "false")

        made = next(report for report in alice.call("GET", "/reports").json["reports"] if "browser" in report["title"])
        assert made["favorites"] == ["bella"]
        alice.call("PATCH", f"/reports/{made['id']}", {"title": "By somebody else"}).expect(200)
        opened.get_by_label("Name").fill("Too late")
        opened.get_by_role("button", name="Rename").click()
        expect(status).to_have_text("Somebody changed this report meanwhile. This is how it is now.")
        expect(opened.get_by_label("Name")).to_have_value("By somebody else")
        opened.get_by_label("Name").fill("In time")
        opened.get_by_role("button", name="Rename").click()
        expect(status).to_have_text("Renamed.")
    assert alice.call("GET", f"/reports/{made['id']}").json["title"] == "In time"


def test_every_app_is_opened_in_a_browser() -> None:
    """By a test above or below: `run_page` does not serve it."""
    assert {page.name for page in PAGES if any(block.is_marked("app") for block in page.blocks)} == set(APPS)


@pytest.fixture
def filters(scene: Scene) -> Page:
    """The guide, after its products have been stored."""
    page = Page.read("docs/guides/filters.md")
    run_page(page, scene)
    return page


def test_every_filter_of_the_guide_finds_what_it_says(dev: Dev, filters: Page) -> None:
    rows = filters.tables("filter")
    assert len(rows) > 30
    wrong = {filter_: found for filter_, names in rows if (found := _found(dev, code(filter_))) != _names(names)}
    assert wrong == {}


def _found(dev: Dev, filter_: str) -> set[str]:
    question = {
        "model_version": "guide-filters",
        "embedding_vector": [1, 0],
        "top_k": 100,
        "filter": json.loads(filter_),
    }
    hits = dev.stage().call("POST", "/embeddings/search", question).expect(200).json["hits"]
    return {hit["product_id"] for hit in hits}


def _names(cell: str) -> set[str]:
    return {name for name in cell.split(", ") if name}


def test_what_the_guide_calls_no_filter_is_refused_where_it_says(dev: Dev, filters: Page) -> None:
    rows = filters.tables("no filter")
    assert len(rows) > 8
    for filter_, pointer in rows:
        question = {"model_version": "guide-filters", "embedding_vector": [1, 0], "filter": json.loads(code(filter_))}
        answer = dev.stage().call("POST", "/embeddings/search", question).expect(422)
        assert [error["pointer"] for error in answer.json["errors"]] == [code(pointer)], filter_


def test_the_hosted_login_of_the_guide_signs_in_with_a_proof_and_renews(dev: Dev, scene: Scene) -> None:
    """The first token that the login gives is refused by the API, so that the page has to renew it."""
    guide, login = Page.read(APPS[1]), CodeGrant(dev.token(), first=dev.token() + "x")
    with code_grant(login), served_app(guide, scene) as address, chromium() as program:
        browser = program.new_page()
        script = scene.folder / "sign-in.js"
        script.write_text(script.read_text().replace(DOCUMENTED_LOGIN, login.url))
        browser.goto(address)
        browser.get_by_role("button", name="Sign in").click()
        expect(browser.get_by_role("status")).to_have_text("You are Alice.")
        assert browser.url == f"{address}/"
        assert login.refreshed == 1
        browser.goto(f"{address}/?code=stolen&state=invented")
        expect(browser.get_by_role("status")).to_have_text("This sign-in was not begun in this window.")
    assert login.codes == {}
