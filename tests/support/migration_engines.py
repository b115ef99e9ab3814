"""The servers that rows are migrated from, real ones: each is started on 127.0.0.1 and stopped again."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from scripts.local.folder import PROJECT
from scripts.local.ports import free_port

_COUCHDB_SCRIPT = Path(__file__).parent / "couchdb_server.js"
_DEBIAN_BINARIES = Path("/usr/lib/postgresql")
_SYSTEM_USER = "postgres"
_START_SECONDS = 20


@dataclass(frozen=True, slots=True)
class PostgreSqlServer:
    """`environment` is what libpq reads; its user may do everything."""

    port: int
    password: str = "a secret of the tests"

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": "k9",
            "PGPASSWORD": self.password,
            "PGDATABASE": "postgres",
        }


@contextmanager
def postgresql_server() -> Iterator[PostgreSqlServer]:
    """A cluster of its own. It runs as the package's own user where we are root, whom PostgreSQL does not serve."""
    server = PostgreSqlServer(free_port())
    with tempfile.TemporaryDirectory(prefix="k9-postgresql-") as name:
        folder = Path(name)
        _initialise(folder, server)
        _run("pg_ctl", *_options(folder, server), "--wait", "start")
        try:
            yield server
        finally:
            _run("pg_ctl", "--pgdata", folder / "data", "--wait", "--mode", "immediate", "stop")


@dataclass(frozen=True, slots=True)
class CouchDbServer:
    """`environment` has the credentials that migrate.py reads."""

    root: str
    user: str = "käthe"
    password: str = "a sécret: of the tests"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"COUCHDB_USER": self.user, "COUCHDB_PASSWORD": self.password}

    def request(self, method: str, path: str, body: object = None) -> Any:
        """The JSON answer, which must be a success."""
        headers = urllib3.make_headers(basic_auth=f"{self.user}:{self.password}".encode().decode("latin-1"))
        answer = urllib3.request(method, f"{self.root}/{path}", json=body, headers=headers)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data!r}")
        return answer.json()


@contextmanager
def couchdb_server() -> Iterator[CouchDbServer]:
    """PouchDB's server, in memory, in Node.js."""
    port = free_port()
    server = CouchDbServer(f"http://127.0.0.1:{port}")
    process = subprocess.Popen(
        ["node", _COUCHDB_SCRIPT, str(port), server.user, server.password],
        env={**os.environ, "NODE_PATH": str(PROJECT / ".tools" / "node_modules")},
    )
    try:
        _wait_for(port, process)
        yield server
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{_COUCHDB_SCRIPT.name} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{_COUCHDB_SCRIPT.name} does not answer on port {port}")


def _initialise(folder: Path, server: PostgreSqlServer) -> None:
    password = folder / "password"
    password.write_text(server.password)
    if _is_root():
        shutil.chown(folder, _SYSTEM_USER)
        shutil.chown(password, _SYSTEM_USER)
    identity = ["--username", "k9", "--auth", "scram-sha-256", "--pwfile", str(password)]
    _run("initdb", "--pgdata", folder / "data", "--no-sync", "--encoding", "UTF8", "--locale", "C", *identity)


def _options(folder: Path, server: PostgreSqlServer) -> list[str | Path]:
    settings = f"-p {server.port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    return ["--pgdata", folder / "data", "--log", folder / "log", "--options", settings]


def _run(program: str, *arguments: str | Path) -> None:
    other_user = ["runuser", "-u", _SYSTEM_USER, "--"] if _is_root() else []
    command = [*other_user, _postgresql_program(program), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", check=False)
    if done.returncode:
        raise RuntimeError(f"{program} failed: {done.stdout}")


def _postgresql_program(name: str) -> Path:
    """Debian keeps a server's programs out of the PATH, by version."""
    found = sorted(_DEBIAN_BINARIES.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found and not shutil.which(name):
        raise RuntimeError("The tests of the migration need PostgreSQL: on Debian, apt-get install postgresql")
    return found[-1] if found else Path(name)


def _is_root() -> bool:
    return os.geteuid() == 0
