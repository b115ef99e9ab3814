"""Signing in on the documentation page as it is deployed: by the hosted login, in a browser, before the handlers."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from scripts.local.api import Api
from scripts.local.gateway import Gateway
from scripts.local.template import Deployment, Template
from shared.database import DatabaseManager
from shared.process import renew
from tests.support.browser import Tab, chromium
from tests.support.hosted_login import EMAIL, PERSON, HostedLogin, running_login
from tests.support.tokens import CLIENT_ID, TokenFactory


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def login(tokens: TokenFactory) -> Iterator[HostedLogin]:
    with running_login(tokens) as running:
        yield running


@pytest.fixture
def stage(manager: DatabaseManager, login: HostedLogin, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the API, whose page is the one that the login knows."""
    monkeypatch.setenv("HOSTED_LOGIN_URL", login.url)
    monkeypatch.setenv("HOSTED_LOGIN_CLIENT_ID", CLIENT_ID)
    renew()
    template = Template.load()
    gateway = Gateway(Api(template.routes(), template.cors(Deployment("dev"))), 0)
    gateway.start()
    address = f"http://localhost:{gateway.port}"
    login.page = f"{address}/docs"
    yield address
    gateway.stop()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context()
    made = Tab.of(context)
    made.show_only("/user/profile")
    yield made
    context.close()


def signed_in(tab: Tab, stage: str) -> None:
    tab.open(f"{stage}/docs")
    tab.click("Sign in")
    tab.shows(f"Signed in as {EMAIL}")


def test_a_person_signs_in_and_out(tab: Tab, stage: str, login: HostedLogin) -> None:
    signed_in(tab, stage)
    assert login.asked == ["/oauth2/authorize", "/oauth2/token authorization_code"]
    assert tab.page.url == login.page  # no code and no state is left in the address
    profile = tab.try_out("GET", "/user/profile")
    assert (profile.status, profile.json["user_id"], profile.json["email"]) == (200, PERSON, EMAIL)

    tab.page.reload()
    tab.shows(f"Signed in as {EMAIL}")
    assert tab.page.evaluate("localStorage.length") == 0
    tab.click("Sign out")
    tab.shows("Nobody is signed in")
    assert login.asked[2:] == ["/oauth2/revoke", "/logout"]
    assert login.refresh_tokens == set()
    assert tab.page.evaluate("sessionStorage.length") == 0
    assert tab.faults == []
    assert tab.origins == {stage, login.url}


def test_a_token_is_renewed_before_it_ends(tab: Tab, stage: str, login: HostedLogin) -> None:
    login.seconds = 30
    signed_in(tab, stage)
    login.seconds = 3600
    assert tab.try_out("GET", "/user/profile").status == 200
    assert login.asked[2:] == ["/oauth2/token refresh_token"]
    assert tab.try_out("GET", "/user/profile").status == 200
    assert login.issued == 2


def test_a_token_that_cannot_be_renewed_is_said(tab: Tab, stage: str, login: HostedLogin) -> None:
    login.seconds = 30
    signed_in(tab, stage)
    login.refresh_tokens.clear()
    tab.try_out("GET", "/user/profile")
    tab.shows("The sign-in was answered 400: invalid_grant")


def test_a_sign_out_ends_the_logins_session_even_where_its_token_does_not_end(
    tab: Tab, stage: str, login: HostedLogin
) -> None:
    signed_in(tab, stage)
    login.refuses_sign_out = True
    tab.click("Sign out")
    tab.shows("the login did not confirm that the refresh token has ended: it answered 400")
    assert login.asked[2:] == ["/oauth2/revoke", "/logout"]
    assert tab.page.evaluate("sessionStorage.length") == 0
    tab.page.reload()
    tab.shows("Nobody is signed in")


def test_who_signs_out_while_the_token_is_renewed_stays_signed_out(tab: Tab, stage: str, login: HostedLogin) -> None:
    login.seconds = 30
    signed_in(tab, stage)
    tab.page.evaluate("""() => {
        const renewed = { ...sessions.current(), token: "renewed", ends: Date.now() + 3600000 };
        signIn.renew = () => new Promise((answer) => { window.answerRenewal = () => answer(renewed); });
        signIn.leaveTo = () => { window.isLeaving = true; };
        window.renewing = withFreshToken({ headers: { Authorization: `Bearer ${sessions.current().token}` } });
    }""")
    tab.click("Sign out")
    tab.page.wait_for_function("window.isLeaving")
    assert tab.page.evaluate("answerRenewal() ?? renewing.then((request) => request.headers.Authorization)") == (
        "Bearer renewed"
    )
    tab.shows("Nobody is signed in")
    assert tab.page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("begun", [False, True], ids=["not begun here", "begun here"])
def test_a_code_that_somebody_else_sends_is_not_taken(tab: Tab, stage: str, login: HostedLogin, begun: bool) -> None:
    tab.open(f"{stage}/docs")
    if begun:
        attempt = '{"state": "mine", "verifier": "v"}'
        tab.page.evaluate("attempt => sessionStorage.setItem('k9.sign-in', attempt)", attempt)
    tab.open(f"{stage}/docs?code=theirs&state=theirs")
    tab.shows("This sign-in was not begun in this tab")
    assert login.asked == []
    tab.open(f"{stage}/docs?code=theirs&state=mine")
    tab.shows("This sign-in was not begun in this tab")
    assert login.asked == []


def test_what_the_login_refuses_is_said(tab: Tab, stage: str, login: HostedLogin) -> None:
    login.refuses_sign_in = True
    tab.open(f"{stage}/docs")
    tab.click("Sign in")
    tab.shows("The login says: User is disabled.")


@pytest.mark.parametrize(
    ("error", "shown"),
    [("unauthorized_client", "refused the sign-in: unauthorized_client"), ("Call 555 now", "it says not why")],
)
def test_a_refusal_without_a_state_is_said_by_its_code_alone(tab: Tab, stage: str, error: str, shown: str) -> None:
    tab.open(f"{stage}/docs")
    tab.page.evaluate("sessionStorage.setItem('k9.sign-in', '{}')")
    tab.open(f"{stage}/docs?error={error}&error_description=theirs")
    tab.shows(shown)
    assert "theirs" not in tab.page.locator("#status").inner_text()


def test_at_another_address_the_button_leads_to_the_one_that_the_login_knows(
    tab: Tab, stage: str, login: HostedLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBLIC_URL", stage)
    renew()
    tab.open(f"{stage.replace('localhost', '127.0.0.1')}/docs")
    tab.click("Sign in")
    tab.page.wait_for_url(login.page)
    tab.click("Sign in")
    tab.shows(f"Signed in as {EMAIL}")
