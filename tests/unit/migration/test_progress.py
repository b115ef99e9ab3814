"""Plain lines where there is no terminal, a bar where there is one."""

import sys
from io import StringIO

import pytest

from scripts.migration import progress as module
from scripts.migration.progress import Progress


def test_a_line_at_the_end_has_rate_and_capacity(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("writing", 100) as progress:
        progress.tick(60, 120.0)
        progress.tick(40, 200.0)
    said = capsys.readouterr().err
    assert said.startswith("writing: 100 of 100 rows, ")
    assert "rows/s, 200 WCU, 0 s left" in said


def test_a_line_comes_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINE_SECONDS", 0.0)
    with Progress("reading", None) as progress:
        progress.tick(1)
        progress.tick(1)
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "reading: 1 rows",
        "reading: 2 rows",
        "reading: 2 rows",
    ]


def test_what_failed_says_nothing_of_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), Progress("reading", None):
        raise RuntimeError
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("writing", 10) as progress:
        progress.tick(10, 25.0)
    assert "writing: 100%" in terminal.getvalue()
    assert "25 WCU" in terminal.getvalue()
