"""Chromium, as a test drives it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright


@contextmanager
def chromium_page() -> Iterator[Page]:
    """A page of the system's Chromium. Raises LookupError where there is none."""
    program = shutil.which("chromium")
    if program is None:
        raise LookupError("The tests of web pages need Chromium: on Debian, apt-get install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(10_000)
        yield page
        browser.close()
