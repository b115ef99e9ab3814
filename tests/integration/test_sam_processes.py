"""`sam local` as a process, with a program in its place that says and does what a test needs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.local import locks
from scripts.local.containers import processes
from scripts.local.containers.processes import Order, running, stop_orphans
from scripts.local.failure import LocalStackError
from scripts.local.folder import PROJECT
from scripts.local.signals import Interrupted

SERVES = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("arguments", sys.argv[1:])
import os
print("variables", sorted(os.environ))
print("Running on http://127.0.0.1:1")
time.sleep(60)
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    program = folder / "sam"
    program.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(processes, "SAM", program)


def no_check() -> None:
    """Nobody asks for an end."""


def order(folder: Path, check: Callable[[], None] = no_check) -> Order:
    return Order(folder / "template.json", {"B": "1,2", "A": "x"}, folder, check)


def test_it_serves_until_it_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, SERVES)
    monkeypatch.setenv("DYNAMODB_USERS_TABLE", "k9-users-prod")
    with running(order(tmp_path), "start-api", 3456) as served:
        assert (served.alive, served.port) == (True, 3456)
        assert os.getsid(served.process.pid) != os.getsid(0)
        said = served.log.read_text()
    assert served.process.returncode == 0
    for part in ("'local', 'start-api'", "'--host', '127.0.0.1', '--port', '3456'", "'LAZY'", "'--skip-pull-image'"):
        assert part in said
    assert "'--parameter-overrides', 'A=x', 'B=1,2'" in said
    assert "DYNAMODB_USERS_TABLE" not in said


def test_a_free_port_is_taken_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, SERVES)
    with running(order(tmp_path), "start-lambda") as served:
        assert served.port > 0


def test_who_asks_for_an_end_does_not_wait_for_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "import time; time.sleep(60)")

    def interrupt() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        running(order(tmp_path, interrupt), "start-api").__enter__()
    assert locks.holder(tmp_path / "start-api.lock") is None


def test_one_that_ends_at_once_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "import sys; sys.exit('Error: no such template')")
    with pytest.raises(LocalStackError, match="ended at once") as refused, running(order(tmp_path), "start-api"):
        pass
    assert "Error: no such template" in str(refused.value)
    assert locks.holder(tmp_path / "start-api.lock") is None


def test_one_that_never_serves_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(processes, "_START_SECONDS", 0.3)
    with pytest.raises(LocalStackError, match="did not start within"), running(order(tmp_path), "start-api"):
        pass
    assert locks.holder(tmp_path / "start-api.lock") is None


def test_one_that_does_not_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, SERVES.replace("sys.exit(0)", "None"))
    monkeypatch.setattr(processes, "_STOP_SECONDS", 0.3)
    serving = running(order(tmp_path), "start-api")
    served = serving.__enter__()
    with pytest.raises(LocalStackError, match=r"its containers may still run\. See .*start-api\.log"):
        serving.__exit__(None, None, None)
    served.process.kill()
    served.process.wait()


def test_two_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, SERVES)
    with running(order(tmp_path), "start-api"), pytest.raises(LocalStackError, match="Another `sam local start-api`"):
        running(order(tmp_path), "start-api").__enter__()


_ABANDON = """
import os, signal, sys
from pathlib import Path
from scripts.local.containers import processes
processes.SAM = Path(sys.argv[1]) / "sam"
order = processes.Order(Path("t"), {}, Path(sys.argv[1]), lambda: None)
with processes.running(order, "start-api"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_dev_left_behind_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, SERVES)
    environ = {**os.environ, "PYTHONPATH": f"{PROJECT}/src:{PROJECT}"}
    ended = subprocess.run([sys.executable, "-c", _ABANDON, tmp_path], env=environ, cwd=PROJECT, check=False)
    assert ended.returncode == -signal.SIGKILL
    note = locks.holder(tmp_path / "start-api.lock")
    assert note is not None
    assert stop_orphans(tmp_path) == 1
    assert stop_orphans(tmp_path) == 0
    for _ in range(50):
        if not Path(f"/proc/{note['pid']}").exists():
            break
        time.sleep(0.1)
    assert locks.holder(tmp_path / "start-api.lock") is None
