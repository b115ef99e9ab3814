"""The servers that rows are migrated from, real ones: each is started on 127.0.0.1 and stopped again."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.engines import free_port

_DEBIAN_BINARIES = Path("/usr/lib/postgresql")
_SYSTEM_USER = "postgres"


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
