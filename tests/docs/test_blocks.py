"""Every fenced block of the README and of docs/ is run, checked, or says why not; what is not run is at least code."""

import subprocess
from pathlib import Path

import pytest

from tests.support.documented import DIAGRAMS, SHELLS, treatment
from tests.support.markdown import Block, pages
from tests.support.reader import NODE_MODULES

BLOCKS = [block for page in pages() for block in page.blocks]
NOT_RUN = [block for block in BLOCKS if block.is_marked("not run")]


def test_every_block_is_run_or_marked() -> None:
    assert [block.place for block in BLOCKS if treatment(block) is None] == []


def test_most_blocks_are_run() -> None:
    assert sum(treatment(block) == "run" for block in BLOCKS) > 40


def test_what_is_not_run_says_why() -> None:
    assert [block.place for block in NOT_RUN if block.mark and len(block.mark.value.split()) < 3] == []


def test_diagrams_are_of_a_kind_that_is_known() -> None:
    kinds = [block.text.split()[0] for block in BLOCKS if block.language in DIAGRAMS]
    assert set(kinds) <= {"flowchart", "sequenceDiagram", "stateDiagram-v2"}


@pytest.mark.parametrize("block", NOT_RUN, ids=lambda block: block.place)
def test_what_is_not_run_is_code(block: Block, tmp_path: Path) -> None:
    check = _CHECKS.get(block.language)
    if check is None:
        pytest.fail(f"{block.place}: no way to check {block.language or 'a block without a language'}")
    check(block.text, tmp_path)


def _check_shell(text: str, folder: Path) -> None:
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _check_python(text: str, folder: Path) -> None:
    compile(text, "page", "exec")


def _check_javascript(text: str, folder: Path) -> None:
    """By esbuild, which reads JSX as well."""
    command = [str(NODE_MODULES / ".bin" / "esbuild"), "--loader=jsx", "--log-level=error"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


_CHECKS = {
    **dict.fromkeys(SHELLS, _check_shell),
    "python": _check_python,
    "js": _check_javascript,
    "jsx": _check_javascript,
}


def test_every_file_is_used() -> None:
    """By a command, or by another file, of its page."""
    for page in pages():
        for block in page.blocks:
            if block.is_marked("file") and block.mark:
                others = "".join(
                    other.text for other in page.blocks if other is not block and not other.is_marked("output")
                )
                served = block.mark.value == "index.html" and any(other.is_marked("app") for other in page.blocks)
                assert served or Path(block.mark.value).stem in others, block.place
