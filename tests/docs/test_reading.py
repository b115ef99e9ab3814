"""The tests of the documentation notice what is wrong: a page's marks, what it shows, and code that does not work."""

from pathlib import Path

import pytest

from tests.support.documented import NotAsShown, run_page, treatment
from tests.support.elided import fits_json, fits_text
from tests.support.markdown import Page
from tests.support.reader import Scene

PAGE = Page(
    "page.md",
    """# A page: `code`, and (more)

<!-- not run: needs a cloud -->
```sh
rm "$EVERYTHING"
```

- a list

  ~~~text
  ```
  ~~~

## Again
## Again

| name | of |
|---|---|
| `a\\|b` | [one](other.md#x) `[no](link)` |
""",
)


def test_a_block_has_its_mark_its_place_and_its_text() -> None:
    first, second = PAGE.blocks
    assert (first.place, first.language, first.text) == ("page.md:5", "sh", 'rm "$EVERYTHING"\n')
    assert treatment(first) == "not run: needs a cloud"
    assert (second.text, treatment(second)) == ("```\n", None)


def test_headings_links_and_tables_are_read() -> None:
    assert PAGE.anchors == {"a-page-code-and-more", "again", "again-1"}
    assert PAGE.links == ["other.md#x"]
    assert PAGE.tables("name") == [["`a\\|b`", "[one](other.md#x) `[no](link)`"]]


@pytest.mark.parametrize("mark", ["<!-- run -->", "<!-- not run -->", "<!-- output: of what -->"])
def test_a_mark_that_there_is_not_is_an_error(mark: str) -> None:
    with pytest.raises(ValueError, match="no such mark"):
        _ = Page("page.md", f"{mark}\n```sh\ntrue\n```\n").blocks


def test_a_fence_that_stays_open_is_an_error() -> None:
    with pytest.raises(ValueError, match="never closed"):
        _ = Page("page.md", "```sh\ntrue\n").blocks


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("200 ... ms", "200 12.5 ms\n"),
        ("first\n...\nlast", "first\n1\n2\nlast"),
        ("first\n...\nlast", "first\nlast"),
        ("a.b", "a.b  "),
    ],
)
def test_a_text_fits(shown: str, said: str) -> None:
    assert fits_text(shown, said)


@pytest.mark.parametrize(
    ("shown", "said"), [("200 ... ms", "200 12\n5 ms"), ("a.b", "axb"), ("a", "a\nb"), ("a\nb", "a"), ("a", "ab")]
)
def test_a_text_does_not_fit(shown: str, said: str) -> None:
    assert not fits_text(shown, said)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ('{"id": "...", "n": 1}', '{"n": 1, "id": {"any": "thing"}}'),
        ('{"id": "a...c"}', '{"id": "a-b-c"}'),
        ('{"n": 1, "...": "..."}', '{"n": 1, "m": 2}'),
        ('[1, "..."]', "[1, 2, 3]"),
        ('[1, "..."]', "[1]"),
    ],
)
def test_json_fits(shown: str, said: str) -> None:
    assert fits_json(shown, said)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ('{"n": 1}', '{"n": 1, "m": 2}'),
        ('{"n": 1, "m": "..."}', '{"n": 1}'),
        ('{"n": 1}', '{"n": true}'),
        ('{"id": "a...c"}', '{"id": "a-b-d"}'),
        ('[1, 2, "..."]', "[1]"),
        ("[1]", "[1, 2]"),
        ("{}", "not JSON"),
    ],
)
def test_json_does_not_fit(shown: str, said: str) -> None:
    assert not fits_json(shown, said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```sh\ntrue\n```\n```sh\nfalse\n```\n", r"page\.md:5: ended with 1"),
        ("```sh\necho 1\n```\n\n<!-- output -->\n```text\n2\n```\n", r"page\.md:7: page\.md:2 printed"),
        ("```js\nthrow new Error('broken')\n```\n", r"page\.md:2: ended with 1\n[\s\S]*broken"),
        ("<!-- output -->\n```text\n2\n```\n", "the output of nothing"),
        ("```json\n{]\n```\n", r"page\.md:2: "),
        ('<!-- problem -->\n```json\n{"type": "urn:k9:problem:conflict", "title": "?", "status": 409}\n```\n', "title"),
        ('<!-- filter -->\n```json\n{"price": {"$near": 1}}\n```\n', r"\$near"),
    ],
)
def test_a_page_that_is_wrong_is_noticed(text: str, message: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path / "project", "http://127.0.0.1:9", "token", tmp_path)
    with pytest.raises(NotAsShown, match=message):
        run_page(Page("page.md", text), scene)


def test_blocks_of_one_language_build_on_each_other(tmp_path: Path) -> None:
    text = "```sh\nA=1\n```\n```js\nconst a = 2;\n```\n```sh\necho $A\n```\n\n<!-- output -->\n```text\n1\n```\n"
    run_page(Page("page.md", text), Scene(tmp_path / "project", "http://127.0.0.1:9", "token", tmp_path))
