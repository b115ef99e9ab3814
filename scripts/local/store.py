"""The embedded AWS-compatible store as a process: started on a checked state, stopped so that it saves.

It runs in a session of its own, so that Ctrl-C at the terminal reaches dev.sh alone, which then stops it in order.
It saves only when it is asked to stop (SIGTERM); killing it loses what was written since its start.
"""

import contextlib
import http.client
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from scripts.local import locks, state
from scripts.local.failure import LocalStackError
from scripts.local.folder import PROJECT, LocalFolder
from scripts.local.ports import free_port

DEFAULT_PORT = 3011
REGION = "us-east-1"
INTERPRETER = PROJECT / ".venv-store" / "bin" / "python"

_SERVICES = ("dynamodb", "s3", "cognito-idp")
_STATE_FILES = ("dynamodb", "s3", "cognito")
_ORDERLY_END = "MiniStack shutting down"
_LISTENS = "Running on http"
_PORT_TAKEN = "is already in use. Is MiniStack already running?"
_PORTS_TRIED = 5
_START_SECONDS = 30.0
_SAVE_SECONDS = 60.0
_LOAD_FAILURES = ("Persistence: failed to load", "refusing to load", "Failed to restore persisted state")
_SAVE_FAILURES = ("Persistence: failed to save", "Persistence: error getting state")


class StoreError(LocalStackError):
    """The store does not start, or did not save."""


class _PortLostError(Exception):
    """Between our look at the port and the store's opening of it, another program took it."""


@dataclass(frozen=True, slots=True)
class Store:
    """A running store."""

    folder: LocalFolder
    process: subprocess.Popen[bytes]
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Has the store save and end; raises StoreError where the save did not happen. Harmless when repeated."""
        asked = time.time() if self.alive else 0.0
        self.process.terminate()
        try:
            self.process.wait(_SAVE_SECONDS)
        except subprocess.TimeoutExpired as exc:
            raise _still_saving(self.folder, self.process.pid) from exc
        _check_saved(self.folder, asked)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """Ends the store without a save; the files on disk stay as they were."""
        self.process.kill()
        self.process.wait()


def start(folder: LocalFolder, *, port: int = DEFAULT_PORT) -> Store:
    """Starts the store on the folder's state. Refuses a state that is not whole; ends an orphan of ours first."""
    folder.create()
    stop_orphan(folder)
    state.check(folder)
    state.keep_copy(folder)
    for _ in range(_PORTS_TRIED):
        store = _spawn(folder, free_port(port))
        try:
            _wait_until_ready(store)
        except _PortLostError:
            continue
        except BaseException:
            store.kill()
            raise
        return store
    raise StoreError(f"{_PORTS_TRIED} ports in a row were taken by other programs. Try again.")


def stop_orphan(folder: LocalFolder) -> bool:
    """Ends a store that outlived its dev.sh, so that it saves what it holds. Says whether there was one."""
    note = locks.holder(folder.store_lock)
    if note is None:
        return False
    if "pid" not in note:
        raise StoreError(f"A process that is not known by number holds {folder.store_lock}: end it, then try again.")
    process_id, asked = int(note["pid"]), time.time()
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGTERM)
    lock = locks.acquire(folder.store_lock, patience=_SAVE_SECONDS)
    if lock is None:
        raise _still_saving(folder, process_id)
    lock.close()
    _check_saved(folder, asked)
    return True


def _spawn(folder: LocalFolder, port: int) -> Store:
    lock = locks.acquire(folder.store_lock)
    if lock is None:
        raise StoreError(f"Another store holds {folder.store_lock}.")
    folder.state.mkdir(mode=0o700, exist_ok=True)
    try:
        with folder.store_log.open("wb") as log:
            process = subprocess.Popen(
                [INTERPRETER, "-m", "ministack"],
                env=_environment(folder, port),
                cwd=folder.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.descriptor],
                umask=0o077,
            )
        lock.write({"pid": process.pid, "port": port})
    except FileNotFoundError as exc:
        raise StoreError(f"{INTERPRETER} is missing. Run ./scripts/dev.sh, which installs it.") from exc
    finally:
        lock.close()
    return Store(folder, process, port)


def _environment(folder: LocalFolder, port: int) -> dict[str, str]:
    """All that the store sees: nothing of the user's own AWS settings, no Docker, no further listeners."""
    return {
        "PATH": os.defpath,
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(folder.scratch),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SERVICES": ",".join(_SERVICES),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder.state),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder.state / "objects"),
        "MINISTACK_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # It removes containers that an earlier one left behind; here it never has any, so it need not look.
        "DOCKER_HOST": f"unix://{folder.scratch}/no-docker.sock",
    }


def _wait_until_ready(store: Store) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not (_listens(store) and _answers(store)):
        if store.process.poll() is not None:
            if _logged(store.folder.store_log, (_PORT_TAKEN,)):
                raise _PortLostError
            raise StoreError(f"The store ended at once. {_last_lines(store.folder.store_log)}")
        if time.monotonic() >= deadline:
            raise StoreError(f"The store did not answer within {_START_SECONDS:.0f} s; see {store.folder.store_log}.")
        time.sleep(0.05)
    failures = _logged(store.folder.store_log, _LOAD_FAILURES)
    if failures:
        raise StoreError(
            f"The store could not load its state: {failures[0]}\nIt was ended before it could save over the files "
            f"in {store.folder.state}. `./scripts/dev.sh --reset` starts afresh."
        )


def _listens(store: Store) -> bool:
    """Whether it is our process that has the port: on one that was lost, another's store may answer as well."""
    return bool(_logged(store.folder.store_log, (_LISTENS,)))


def _answers(store: Store) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=2)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _check_saved(folder: LocalFolder, asked: float) -> None:
    """Raises StoreError unless the store said that it went down in order and its files are new."""
    if not _logged(folder.store_log, (_ORDERLY_END,)):
        raise StoreError(
            "The store was killed or crashed, so what was written since its start is lost. Its files are as they were "
            f"then: start ./scripts/dev.sh again to go on from there. Its log is {folder.store_log}."
        )
    faults = _logged(folder.store_log, _SAVE_FAILURES)
    # File times are coarser than the clock on some file systems.
    faults += [f"{name}.json was not written" for name in state.stale(folder, _STATE_FILES, asked - 2)]
    if faults:
        raise StoreError(
            f"The store ended without saving everything: {faults[0]}\n"
            f"Its log is {folder.store_log}; the state before its start is in {folder.previous}."
        )


def _still_saving(folder: LocalFolder, process_id: int) -> StoreError:
    return StoreError(
        f"The store (process {process_id}) did not end within {_SAVE_SECONDS:.0f} s. It was left running, since "
        f"killing it loses what it holds. See {folder.store_log}; start ./scripts/dev.sh again to wait for it."
    )


def _logged(log: Path, marks: tuple[str, ...]) -> list[str]:
    return [line for line in _read(log).splitlines() if any(mark in line for mark in marks)]


def _last_lines(log: Path) -> str:
    return f"The end of {log}:\n" + "\n".join(_read(log).splitlines()[-15:])


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
