"""The laptop stack as a person runs it: a process of its own, spoken to over HTTP."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.deployment.stage import Stage
from scripts.local.folder import PROJECT, LocalFolder
from scripts.local.store import stop_orphan

_START_SECONDS = 60.0
_ADDRESS = re.compile(r"K9 API runs at http://localhost:(\d+)")


@dataclass(frozen=True, slots=True)
class Dev:
    """A running dev command; `said` fills with its lines."""

    folder: Path
    process: subprocess.Popen[str]
    port: int
    said: list[str]
    listener: threading.Thread

    def token(self, name: str = "alice") -> str:
        return (self.folder / "tokens" / f"{name}.token").read_text(encoding="utf-8").strip()

    def stage(self, name: str = "alice") -> Stage:
        return Stage(f"http://127.0.0.1:{self.port}", self.token(name))

    def call(self, method: str, path: str, body: str | None = None, *, token: str | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body=body, headers={"Authorization": f"Bearer {token or self.token()}"})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, json.loads(content) if content else None

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.ended()

    def discard(self) -> None:
        """Leaves nothing running, whatever became of the test; harmless after an orderly end."""
        self.process.kill()
        self.ended()
        stop_orphan(LocalFolder(self.folder))

    def ended(self) -> int:
        code = self.process.wait(60)
        self.listener.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


def start_dev(folder: Path, *arguments: str, script: bool = False) -> Dev:
    """Starts it on a free port and waits until it serves; AssertionError with what it said where it does not.

    `script` runs scripts/dev.sh itself, as a person would; otherwise the Python command behind it.
    """
    command = [str(PROJECT / "scripts" / "dev.sh")] if script else _command()
    process = subprocess.Popen(
        [*command, "--port", "0", *arguments],
        env=_environment(folder),
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    ports: list[int] = []
    known = threading.Event()
    listener = threading.Thread(target=_listen, args=(process, said, ports, known), daemon=True)
    listener.start()
    known.wait(_START_SECONDS)
    assert ports, "dev did not serve:\n" + "".join(said)
    return Dev(folder, process, ports[0], said, listener)


def run_dev(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command that ends by itself."""
    command, environment = _command(*arguments), _environment(folder)
    return subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "scripts.local.dev", *arguments]


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "K9_LOCAL_DIR": str(folder), "PYTHONPATH": f"{PROJECT}/src:{PROJECT}"}


def _listen(process: subprocess.Popen[str], said: list[str], ports: list[int], known: threading.Event) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        found = _ADDRESS.search(line)
        if found:
            ports.append(int(found[1]))
        if line.startswith("The handlers' log"):
            known.set()
    known.set()
