"""Mixed load on the laptop stack, as a person runs it, to an end by SIGTERM in the middle of requests.

Every client knows what it was told: an answer that contradicts it is a violation, as is a 5xx, a status that the
operation does not have, a process of ours that grows, and, after a new start on the same folder, a row that was
acknowledged and is not there, or was deleted and is. The store is not ours; how it grows is told, and not judged: it
keeps each version of each object for good.
"""

import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.building.swagger_ui import ensure_swagger_ui
from scripts.local import locks
from scripts.local.folder import LocalFolder
from tests.support.dev import Dev, start_dev

from ..outcome import Options, Outcome
from .client import Client
from .touring import Touring
from .verifying import remove_one, verify
from .watching import Watch

_SECONDS = 3600.0
_QUICK_SECONDS = 6.0
_EVERY_SECONDS = 10.0
_PEOPLE = ("alice", "bob")
_CLIENTS_EACH = 3
_THINKING_SECONDS = 0.15
"""Between two requests of a client, on average: some 25 requests a second in all."""

_RUSH_SECONDS = 2.0
"""Before SIGTERM nobody thinks, so that it comes in the middle of requests."""

_FIRST_RUSH = 1 / 12
"""Of the time nobody thinks at its beginning either: what grows with the most that is done at once has grown then."""

_IN_FLIGHT = "requests in flight at SIGTERM"
_REFUSED = "connections refused or broken off after it"
_RESTARTED = "starts on what was saved"
_REMOVED = "rows removed behind their client's back, and missed"

MOST_BYTES_AN_HOUR = 8 * 1024 * 1024
MOST_DESCRIPTORS_AN_HOUR = 3.0
"""The slopes that count as flat, of the process that serves the API, which is some 150 MB large."""


def prove(options: Options) -> Outcome:
    outcome = Outcome.of("requests", (_IN_FLIGHT, _REFUSED, _RESTARTED, _REMOVED))
    ensure_swagger_ui()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        clients = _load(Path(folder), options, outcome)
        with _running(Path(folder)) as dev:
            outcome.faults[_RESTARTED] += 1
            lost = verify(clients, dev)
            outcome.violations += lost
            if not lost and remove_one(clients, dev):
                outcome.faults[_REMOVED] += len(verify(clients, dev))
    outcome.cases = sum(client.answered for client in clients)
    outcome.figures["rows verified after the restart"] = f"{sum(len(client.kept.rows) for client in clients):,}"
    outcome.figures["of these, outcomes that nobody was told"] = f"{sum(client.kept.open for client in clients):,}"
    return outcome


def _load(folder: Path, options: Options, outcome: Outcome) -> list[Client]:
    """The clients, after their load and the stack's end."""
    seconds = _QUICK_SECONDS if options.is_quick else _SECONDS
    with _running(folder) as dev:
        clients = [
            Client(dev.port, dev.token(name), name, number, options.random("client", name, number))
            for name in _PEOPLE
            for number in range(_CLIENTS_EACH)
        ]
        touring = Touring(dev.stage("admin"))
        pace = (_THINKING_SECONDS, _FIRST_RUSH * seconds)
        threads = [threading.Thread(target=client.run, args=pace) for client in clients]
        threads.append(threading.Thread(target=touring.run, args=(seconds,)))
        for thread in threads:
            thread.start()
        watch = Watch({"API": dev.process.pid, "store": _store_process(folder)})
        watch.over(seconds, 0.5 if options.is_quick else _EVERY_SECONDS)
        threads.pop().join()
        _end(dev, clients, threads, outcome)
    outcome.violations += [violation for client in clients for violation in client.violations]
    outcome.violations += touring.violations
    outcome.figures["tours of every route beside it"] = str(touring.taken)
    _judge(watch, options, outcome)
    return clients


def _end(dev: Dev, clients: list[Client], threads: list[threading.Thread], outcome: Outcome) -> None:
    for client in clients:
        client.hurry()
    time.sleep(_RUSH_SECONDS)
    in_flight = sum(client.is_waiting for client in clients)
    began = time.monotonic()
    code = dev.stop(signal.SIGTERM)
    outcome.figures["from SIGTERM to the end of the process"] = f"{time.monotonic() - began:.1f} s"
    for client in clients:
        client.stop()
    for thread in threads:
        thread.join()
    outcome.faults[_IN_FLIGHT] += in_flight
    outcome.faults[_REFUSED] += sum(client.broken_off for client in clients)
    if code != 0:
        outcome.violations.append(f"the stack ended with status {code} after SIGTERM:\n{''.join(dev.said[-20:])}")


def _judge(watch: Watch, options: Options, outcome: Outcome) -> None:
    for name in watch.names:
        memory, descriptors = watch.memory(name), watch.descriptors(name)
        outcome.figures[f"memory of the {name}"] = f"{memory.median / 2**20:.0f} MB"
        outcome.figures[f"file descriptors of the {name}"] = f"{descriptors.median:.0f}"
        if options.is_quick:  # seconds show no slope
            continue
        outcome.figures[f"memory of the {name}"] += f", slope {memory.slope * 3600 / 2**20:+.2f} MB an hour"
        outcome.figures[f"file descriptors of the {name}"] += f", slope {descriptors.slope * 3600:+.2f} an hour"
        if name == "API":
            if memory.slope * 3600 > MOST_BYTES_AN_HOUR:
                outcome.violations.append(f"the {name}'s memory grows by {memory.slope * 3600 / 2**20:.1f} MB an hour")
            if descriptors.slope * 3600 > MOST_DESCRIPTORS_AN_HOUR:
                outcome.violations.append(f"the {name} keeps {descriptors.slope * 3600:.1f} descriptors more an hour")


@contextmanager
def _running(folder: Path) -> Iterator[Dev]:
    dev = start_dev(folder, script=True)
    try:
        yield dev
    finally:
        dev.discard()


def _store_process(folder: Path) -> int:
    note = locks.holder(LocalFolder(folder).store_lock)
    assert note is not None
    return int(note["pid"])
