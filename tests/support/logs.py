"""What a request logs, and everything else that it prints."""

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest

from shared.telemetry import get_logger


@dataclass(frozen=True)
class Logged:
    """The log since the test began; `everything` is that and the process's own stdout and stderr."""

    stream: StringIO
    captured: pytest.CaptureFixture[str]

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def everything(self) -> str:
        printed = self.captured.readouterr()
        return self.text + printed.out + printed.err


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str]) -> Iterator[Logged]:
    """The logger keeps the stdout of its first use, which may be another test's, and closed; here it gets its own."""
    handler = get_logger().registered_handler
    assert isinstance(handler, logging.StreamHandler)
    stream = StringIO()
    handler.stream = stream
    yield Logged(stream, capfd)
    handler.stream = sys.__stdout__
