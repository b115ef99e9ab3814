"""Chromium with the documentation page in it: what a person does there, and what the browser complains of meanwhile."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from handlers.documentation.assets import OWN

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_MS = 20_000
_REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """One that is installed: nothing is downloaded. AssertionError where there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _PROGRAMS)), None)
    assert found, "Chromium is not on the PATH: on Debian, apt-get install chromium (scripts/test.sh does)."
    with sync_playwright() as playwright:
        # Its sandbox does not work for root, nor in many containers; what is shown here is our own.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass(frozen=True)
class Tab:
    """A tab of a fresh profile. `faults` are errors on the console and in scripts, and what the policy stopped."""

    page: Page
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, context: BrowserContext) -> "Tab":
        tab = cls(context.new_page())
        tab.page.set_default_timeout(_PATIENCE_MS)
        tab.page.add_init_script(_REPORT_VIOLATIONS)
        tab.page.on("console", lambda said: tab.faults.append(said.text) if said.type in ("error", "warning") else None)
        tab.page.on("pageerror", lambda error: tab.faults.append(str(error)))
        tab.page.on("request", lambda request: tab.requests.append(request.url))
        return tab

    @property
    def origins(self) -> set[str]:
        """Whom the page has asked for anything."""
        addresses = [urlsplit(url) for url in self.requests if not url.startswith(("data:", "blob:"))]
        return {f"{address.scheme}://{address.netloc}" for address in addresses}

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.locator(".opblock").first.wait_for()

    def show_only(self, *paths: str) -> None:
        """Cuts the document that the page gets down to some paths, since Swagger UI takes its time for all of them."""

        document = json.loads((OWN / "openapi.json").read_text(encoding="utf-8"))
        document["paths"] = {path: document["paths"][path] for path in paths}
        self.page.route("**/openapi.json", lambda route: route.fulfill(json=document))

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def shows(self, status: str) -> None:
        """Waits until the page says so of who is signed in."""
        self.page.locator("#status", has_text=status).wait_for()

    def try_out(self, method: str, path: str, body: Any = None, **parameters: str) -> "Shown":
        """Fills the route's form in, sends it, and reads what the page then shows."""
        operation = self.operation(method, path)
        if not operation.locator(".opblock-body").count():
            operation.locator(".opblock-summary-control").click()
        for name, value in parameters.items():
            operation.locator(f'tr[data-param-name="{name}"] input').fill(value)
        if body is not None:
            operation.locator("textarea.body-param__text").fill(json.dumps(body))
        clear = operation.get_by_role("button", name="Clear", exact=True)
        if clear.count():
            clear.click()
        operation.get_by_role("button", name="Execute", exact=True).click()
        answer = operation.locator(".live-responses-table tbody .response").first
        answer.wait_for()
        status = answer.locator(".response-col_status").inner_text().split()[0]
        return Shown(int(status), answer.locator("pre").first.inner_text())

    def settle(self) -> None:
        """Lets the browser report what it has found: violations of the policy come a moment later."""
        self.page.wait_for_timeout(250)

    def operation(self, method: str, path: str) -> Locator:
        return self.page.locator(f'.opblock-{method.lower()}:has([data-path="{path}"])')


@dataclass(frozen=True)
class Shown:
    """An answer as the page shows it."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)
