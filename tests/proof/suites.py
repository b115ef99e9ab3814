"""Every suite: where it is, what it holds, and what it needs besides the tests' own environment."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from .outcome import Options, Outcome

Prove = Callable[[Options], Outcome]


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite. `environment` is the virtual environment whose Python runs it."""

    name: str
    holds: str
    environment: str = ".venv"
    is_alone: bool = False
    """It measures time or memory, so nothing else runs beside it."""

    @property
    def module(self) -> str:
        return f"{__package__}.{self.name.replace('-', '_')}"

    def load(self) -> Prove:
        return cast(Prove, import_module(self.module).prove)


_ALL = (
    Suite("state-machine", "two tenants and an admin on every route, with faults, against a model"),
    Suite("linearizability", "concurrent clients on a few reports: every history is one of an atomic report"),
    Suite("crash-points", "stopped after any AWS call and retried: the same final state"),
    Suite("mutation", "each condition, owner check and token check taken out: a test fails"),
    Suite("fuzz", "what strangers' bytes reach raises nothing but what it documents", ".venv-fuzz"),
    Suite("limits", "limits of a tenant hold over processes, and its flood is nobody else's", is_alone=True),
    Suite("supply-chain", "what is deployed is locked, listed, licensed, and without known advisories", ".venv-supply"),
    Suite("soak", "mixed load on the laptop stack: no error, no growth, nothing lost at its end", is_alone=True),
)

SUITES = {suite.name: suite for suite in _ALL}
