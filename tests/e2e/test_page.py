"""The documentation page in a browser, against the stack that dev.sh starts."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import Tab, chromium
from tests.support.dev import Dev

SEARCH = {"catalogue": "shared", "model_version": "pets-1", "product_id": "1", "top_k": 2}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context()
    yield Tab.of(context)
    context.close()


def test_a_person_tries_the_api_and_another_sees_nothing_of_it(tab: Tab, dev: Dev) -> None:
    stack = f"http://localhost:{dev.port}"
    tab.open(f"{stack}/docs")
    tab.shows("Nobody is signed in")
    tab.click("Sign in as alice")
    tab.shows("Signed in as alice")

    made = tab.try_out("POST", "/reports", {"title": "From the page"})
    assert (made.status, made.json["title"], made.json["author"]) == (201, "From the page", "Alice")
    report = made.json["id"]
    assert dev.stage().call("GET", f"/reports/{report}").expect(200).json == made.json
    found = tab.try_out("POST", "/embeddings/search", SEARCH)
    assert found.status == 200
    assert [hit["product"]["name"] for hit in found.json["hits"]] == ["Charlie", "Max"]

    tab.page.reload()
    tab.shows("Signed in as alice")
    assert tab.try_out("GET", "/reports/{report_id}", report_id=report).json == made.json

    tab.click("Sign out")
    tab.shows("Nobody is signed in")
    tab.click("Sign in as bob")
    tab.shows("Signed in as bob")
    assert tab.faults == []
    assert tab.try_out("GET", "/reports/{report_id}", report_id=report).status == 404
    # What remains is the browser's own line for any answer that is no success.
    tab.settle()
    assert [fault for fault in tab.faults if "status of 404" not in fault] == []
    assert tab.origins == {stack}


def test_without_a_token_nothing_is_let_in(tab: Tab, dev: Dev) -> None:
    tab.open(f"http://127.0.0.1:{dev.port}/docs")
    assert tab.try_out("GET", "/reports").status == 401


def test_the_page_could_do_no_other_thing(tab: Tab, dev: Dev) -> None:
    """What the policy forbids is stopped, and seen here: otherwise the tests above could not fail."""
    tab.open(f"http://localhost:{dev.port}/docs")
    assert tab.faults == []
    tab.page.evaluate("""() => {
        document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = true" }));
        document.body.append(Object.assign(document.createElement("style"), { textContent: "body { color: red }" }));
        document.body.setAttribute("style", "color: red");
        document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/pixel" }));
        return fetch("http://127.0.0.1:9/").catch(() => null);
    }""")
    tab.settle()
    stopped = {fault.split()[1] for fault in tab.faults if fault.startswith("policy:")}
    assert stopped == {"script-src-elem", "style-src-elem", "style-src-attr", "img-src", "connect-src"}
    assert tab.page.evaluate("window.ran") is None
