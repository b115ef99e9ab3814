"""The picture of the documentation page in the README, taken from a running ./scripts/dev.sh:

PYTHONPATH=src:. .venv/bin/python -m tests.support.screenshot http://localhost:3001
"""

import sys

from scripts.local.folder import PROJECT
from tests.support.browser import Tab, chromium

_PICTURE = PROJECT / "docs" / "images" / "docs-page.png"
_SEARCH = {
    "catalogue": "shared",
    "model_version": "pets-1",
    "product_id": "1",
    "filter": {"price": {"$lt": 150}},
    "top_k": 1,
}
_ARRANGE = """(operation) => {
  operation.querySelectorAll(".curl-command").forEach((shown) => shown.remove()); // it has the token
  operation.querySelector("textarea").style.minHeight = "0";
  operation.querySelector("textarea").style.height = "3em";
  scrollTo(0, operation.getBoundingClientRect().top + scrollY - 60);
}"""


def main(url: str) -> None:
    with chromium() as browser:
        tab = Tab.of(browser.new_context(viewport={"width": 1200, "height": 900}))
        tab.open(f"{url}/docs")
        tab.click("Sign in as alice")
        tab.shows("Signed in as alice")
        assert tab.try_out("POST", "/embeddings/search", _SEARCH).status == 200
        tab.operation("POST", "/embeddings/search").evaluate(_ARRANGE)
        _PICTURE.parent.mkdir(exist_ok=True)
        tab.page.screenshot(path=_PICTURE)


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
