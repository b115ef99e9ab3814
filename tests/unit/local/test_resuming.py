"""On a laptop a thread does what the schedule does in the cloud."""

import threading
from typing import Any

import pytest

from scripts.local import serving


def test_what_is_due_is_looked_for_again_and_again_whatever_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looked, often = [], threading.Event()

    def look(event: Any) -> None:
        looked.append(event)
        if len(looked) >= 3:
            often.set()
        raise RuntimeError("the store is gone")

    monkeypatch.setattr(serving, "_RESUME_SECONDS", 0.001)
    monkeypatch.setattr("handlers.resume.handler", look)
    with serving._resuming():
        assert often.wait(10)
    count = len(looked)
    threading.Event().wait(0.05)
    assert len(looked) == count
