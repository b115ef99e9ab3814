"""At the end of a run: what was done with the pages' blocks, and why some were not run."""

from collections import Counter

import pytest

from tests.support.documented import treatment
from tests.support.markdown import pages


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = Counter(treatment(block) or "overlooked" for page in pages() for block in page.blocks)
    done = {word: count for word, count in counts.items() if not word.startswith("not run: ")}
    terminalreporter.write_line("code in the documentation: " + ", ".join(f"{n} {word}" for word, n in done.items()))
    for reason, count in counts.most_common():
        if reason.startswith("not run: "):
            terminalreporter.write_line(f"  {count} {reason}")
