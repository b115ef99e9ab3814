"""The store's saved state: checked before a start, kept as a last good copy, thrown away on request.

The store itself logs an unreadable file, starts without it and, when it stops, saves the emptiness over it.
So nothing starts on a state that has not been checked here.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.local.failure import LocalStackError
from scripts.local.folder import LocalFolder

_ENVELOPE = "__ministack_format__"


class StateError(LocalStackError):
    """The saved state cannot be used; the message names the file and the ways out."""


def check(folder: LocalFolder) -> None:
    """Raises StateError for a state that the store could not load whole, or could not save again."""
    if not folder.state.exists():
        return
    for path in (folder.state, *_files(folder.state)):
        if not os.access(path, os.R_OK | os.W_OK):
            raise _unusable(folder, path, "it cannot be read and written by this user")
    for path in folder.state.glob("*.json"):
        _check_file(folder, path)


def _check_file(folder: LocalFolder, path: Path) -> None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as exc:
        raise _unusable(folder, path, "it is not text") from exc
    except json.JSONDecodeError as exc:
        raise _unusable(folder, path, f"it is not whole JSON: {exc.msg} at character {exc.pos}") from exc
    if not _is_envelope(content):
        raise _unusable(folder, path, "it is JSON, but not a state that the store wrote")


def _is_envelope(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get(_ENVELOPE), int) and "payload" in content


def _unusable(folder: LocalFolder, path: Path, fault: str) -> StateError:
    ways_out = [f"  - `./scripts/dev.sh --reset` starts afresh (what is in {folder.state} is then gone)"]
    if folder.previous.exists():
        ways_out.insert(0, f"  - the last good state is in {folder.previous}: move it to {folder.state}")
    return StateError(
        f"The saved state cannot be used: {path}: {fault}.\nNothing was started and nothing was changed.\n"
        + "\n".join(ways_out)
    )


def keep_copy(folder: LocalFolder) -> None:
    """Makes the (checked) state the last good copy. A crash half-way leaves the older copy in place."""
    if not _is_saved(folder.state):
        return
    fresh = folder.root / "state.copying"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(folder.state, fresh)
    _replace(fresh, folder.previous)


def discard(folder: LocalFolder) -> None:
    """Removes the state. A good one becomes the last good copy, so that one mistaken reset can be undone."""
    if not folder.state.exists():
        return
    if _is_good(folder):
        _replace(folder.state, folder.previous)
    else:
        shutil.rmtree(folder.state)


def _is_good(folder: LocalFolder) -> bool:
    try:
        check(folder)
    except StateError:
        return False
    return _is_saved(folder.state)


def _is_saved(state: Path) -> bool:
    return any(state.glob("*.json"))


def _replace(source: Path, target: Path) -> None:
    outgoing = target.with_name(f"{target.name}.outgoing")
    shutil.rmtree(outgoing, ignore_errors=True)
    if target.exists():
        target.rename(outgoing)
    source.rename(target)
    shutil.rmtree(outgoing, ignore_errors=True)


def stale(folder: LocalFolder, services: tuple[str, ...], since: float) -> list[str]:
    """The services whose state file is older than `since`, so that their last changes did not reach the disk."""
    files = {service: folder.state / f"{service}.json" for service in services}
    return [service for service, path in files.items() if path.exists() and path.stat().st_mtime < since]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix != ".lock")
