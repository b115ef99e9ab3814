"""What the README and docs/ link to is there: files, and headings in them."""

from pathlib import PurePosixPath

import pytest

from scripts.local.folder import PROJECT
from tests.support.markdown import Page, pages

PAGES = {page.name: page for page in pages()}
LOCAL = [
    (page.name, link)
    for page in PAGES.values()
    for link in page.links
    if not link.startswith(("https://", "http://", "mailto:"))
]


def test_there_are_links() -> None:
    assert len(LOCAL) > 30


@pytest.mark.parametrize(("name", "link"), LOCAL)
def test_a_link_leads_somewhere(name: str, link: str) -> None:
    target, _, anchor = link.partition("#")
    path = (PROJECT / name).parent / target if target else PROJECT / name
    assert path.resolve().is_relative_to(PROJECT), "a link out of the project"
    assert path.exists()
    if anchor:
        assert anchor in Page.read(str(path.resolve().relative_to(PROJECT))).anchors


def test_every_page_is_in_the_index() -> None:
    index = {str(PurePosixPath("docs") / link.partition("#")[0]) for link in PAGES["docs/README.md"].links}
    listed = {name for name in PAGES if name.startswith("docs/") and name != "docs/README.md"}
    assert listed <= index, "docs/README.md does not list these"


def test_the_readme_links_every_guide() -> None:
    guides = {name for name in PAGES if name.startswith("docs/guides/")}
    assert guides <= set(PAGES["README.md"].links)
