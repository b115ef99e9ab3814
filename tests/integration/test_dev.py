"""dev.sh's command as a real process: its data outlives every end, and what is wrong is said clearly."""

import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from scripts.local import locks
from scripts.local.demo import PETS, read_pets
from scripts.local.folder import LocalFolder
from tests.support.dev import Dev, run_dev, start_dev

REPORT = '{"title": "Test Report"}'


Start = Callable[..., Dev]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts dev on the test's folder, with the given arguments."""
    started: list[Dev] = []

    def make(*arguments: str) -> Dev:
        started.append(start_dev(tmp_path, *arguments))
        return started[-1]

    yield make
    for dev in started:
        dev.discard()


def titles(dev: Dev) -> list[str]:
    status, page = dev.call("GET", "/reports?limit=100")
    assert status == 200
    return [report["title"] for report in page["reports"]]


def pet_titles() -> list[str]:
    return [pet.title for pet in read_pets(PETS.read_text(encoding="utf-8"))]


def test_demo_data_is_there_once_and_exact(start: Start) -> None:
    first = start()
    _, page = first.call("GET", "/reports?limit=100")
    assert first.stop() == 0
    prices = {Decimal(str(report["reference"]["price"])) for report in page["reports"]}
    assert prices == {Decimal(str(pet.product["price"])) for pet in read_pets(PETS.read_text(encoding="utf-8"))}
    second = start()
    assert sorted(titles(second)) == sorted(pet_titles())
    assert second.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_report_survives_the_end(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    first = start()
    assert first.call("POST", "/reports", REPORT)[0] == 201
    assert first.stop(number) == (-number if number == signal.SIGKILL else 0)
    second = start()
    assert titles(second)[0] == "Test Report"
    assert second.stop() == 0
    assert locks.holder(LocalFolder(tmp_path).store_lock) is None


def test_a_second_ctrl_c_does_not_cut_the_save_short(start: Start) -> None:
    dev = start()
    dev.process.send_signal(signal.SIGINT)
    dev.process.send_signal(signal.SIGINT)
    assert dev.ended() == 0
    assert any(line.startswith("Saved in") for line in dev.said)


def test_reset_starts_afresh(start: Start) -> None:
    first = start()
    first.call("POST", "/reports", REPORT)
    first.stop()
    second = start("--reset")
    assert "Test Report" not in titles(second)
    second.stop()


def test_tokens(start: Start, tmp_path: Path) -> None:
    dev = start()
    fresh = run_dev(tmp_path, "--token", "bob")
    assert fresh.returncode == 0
    assert fresh.stderr == ""
    status, profile = dev.call("GET", "/user/profile", token=fresh.stdout.strip())
    assert (status, profile["name"]) == (200, "Bob")
    assert stat.S_IMODE((tmp_path / "tokens" / "alice.token").stat().st_mode) == 0o600
    dev.stop()


def test_a_second_dev_on_the_same_folder_is_refused(start: Start, tmp_path: Path) -> None:
    dev = start()
    second = run_dev(tmp_path)
    assert second.returncode == 1
    assert f"process {dev.process.pid}) at http://localhost:{dev.port}" in second.stderr
    assert titles(dev)
    dev.stop()


def test_a_busy_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run_dev(tmp_path, "--port", str(port))
    assert ended.returncode == 1
    assert f"Port {port} is in use" in ended.stderr
    assert "--port" in ended.stderr
    assert not LocalFolder(tmp_path).store_log.exists()


def test_a_broken_state_is_said_and_reset_helps(start: Start, tmp_path: Path) -> None:
    start().stop()
    path = LocalFolder(tmp_path).state / "dynamodb.json"
    path.write_text("{", encoding="utf-8")
    refused = run_dev(tmp_path)
    assert refused.returncode == 1
    assert str(path) in refused.stderr
    assert "Traceback" not in refused.stderr
    dev = start("--reset")
    assert len(titles(dev)) == 15
    dev.stop()


def test_a_store_that_dies_ends_the_stack(start: Start, tmp_path: Path) -> None:
    dev = start()
    note = locks.holder(LocalFolder(tmp_path).store_lock)
    assert note is not None
    os.kill(note["pid"], signal.SIGKILL)
    assert dev.ended() == 1
    assert any("killed or crashed" in line for line in dev.said)
