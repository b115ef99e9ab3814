"""`sam local` as processes: one serves the routes, one takes tasks for the worker.

They run in sessions of their own, so that Ctrl-C at the terminal reaches dev.sh alone, which then ends them in order:
sam removes its containers when it gets SIGTERM, and leaves them behind when it is killed.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.building.build import SAM
from scripts.local import locks
from scripts.local.containers.engine import engine_variables
from scripts.local.failure import LocalStackError
from scripts.local.ports import free_port
from scripts.local.store import REGION

Command = Literal["start-api", "start-lambda"]

_START_SECONDS = 90.0
_STOP_SECONDS = 60.0
_READY = "Running on http"


@dataclass(frozen=True, slots=True)
class SamLocal:
    """A running `sam local`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


@dataclass(frozen=True, slots=True)
class Order:
    """What every `sam local` of one stack is told."""

    template: Path
    parameters: Mapping[str, str]
    folder: Path
    """Of logs and locks."""
    check: Callable[[], None]
    """Raises where the user asks for an end meanwhile."""

    def command(self, verb: Command, port: int) -> list[str]:
        options = ["--template", str(self.template), "--host", "127.0.0.1", "--port", str(port), "--region", REGION]
        # EAGER leaves containers behind, and begins with all of them; a file is watched for nothing in a build.
        options += ["--warm-containers", "LAZY", "--no-watch", "--skip-pull-image"]
        overrides = [f"{name}={value}" for name, value in sorted(self.parameters.items())]
        return [str(SAM), "local", verb, *options, "--parameter-overrides", *overrides]


@contextlib.contextmanager
def running(order: Order, verb: Command, port: int = 0) -> Iterator[SamLocal]:
    """Serves on 127.0.0.1:`port` (0: a free one). Raises LocalStackError where it does not start or does not end."""
    served = _spawn(order, verb, port or free_port())
    try:
        _wait_until_ready(served, order.check)
        yield served
    finally:
        _stop(served)


def stop_orphans(folder: Path) -> int:
    """Ends what a killed dev.sh has left running, containers included; says how many there were."""
    notes = [locks.holder(path) for path in folder.glob("*.lock")]
    numbers = [int(note["pid"]) for note in notes if note and "pid" in note]
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGTERM)
    for path in folder.glob("*.lock"):
        lock = locks.acquire(path, patience=_STOP_SECONDS)
        if lock is None:
            raise LocalStackError(f"A `sam local` of an earlier run does not end: see {path} for its process.")
        lock.close()
    return len(numbers)


def _spawn(order: Order, verb: Command, port: int) -> SamLocal:
    log, lock = order.folder / f"{verb}.log", locks.acquire(order.folder / f"{verb}.lock")
    if lock is None:
        raise LocalStackError(f"Another `sam local {verb}` holds {order.folder / f'{verb}.lock'}.")
    with contextlib.closing(lock), log.open("wb") as output:
        process = subprocess.Popen(
            order.command(verb, port),
            env={**engine_variables(), "SAM_CLI_TELEMETRY": "0", "PYTHONUNBUFFERED": "1"},
            cwd=order.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock.descriptor],
        )
        lock.write({"pid": process.pid, "port": port})
    return SamLocal(process, port, log)


def _wait_until_ready(served: SamLocal, check: Callable[[], None]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while _READY not in _read(served.log):
        if not served.alive:
            raise LocalStackError(f"`sam local` ended at once. The end of {served.log}:\n{_last_lines(served.log)}")
        if time.monotonic() > deadline:
            raise LocalStackError(f"`sam local` did not start within {_START_SECONDS:.0f} s; see {served.log}.")
        check()
        time.sleep(0.1)


def _stop(served: SamLocal) -> None:
    served.process.terminate()
    try:
        served.process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired as exc:
        raise LocalStackError(
            f"`sam local` (process {served.process.pid}) did not end within {_STOP_SECONDS:.0f} s; its containers may "
            f"still run. See {served.log}."
        ) from exc


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _last_lines(log: Path, most: int = 15) -> str:
    return "\n".join(_read(log).splitlines()[-most:])
