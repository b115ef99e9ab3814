"""The environment of deploy.sh: its lock file needs a pip newer than the one that Python brings."""

import os
import subprocess
from pathlib import Path

from scripts.local.folder import PROJECT

SCRIPT = (
    f"source {PROJECT}/scripts/lib/environment.sh; K9_ROOT=$1; shift; ensure_environment .venv-deploy deploy.txt $@"
)

# A virtual environment's python: records what pip is told, and what it is given to read.
PYTHON = """#!/bin/sh
[ "$1" = -c ] && exit 0
case "$*" in */dev/stdin) pip=$(cat) ;; esac
echo "$* $pip" >>"$(dirname "$0")/calls"
case "$*" in FAIL) exit 1 ;; esac
"""


def ensure(
    folder: Path, *arguments: str, fail: str = "nothing", uv: Path | None = None
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    binaries = folder / ".venv-deploy" / "bin"
    binaries.mkdir(parents=True, exist_ok=True)
    (folder / "requirements").mkdir(exist_ok=True)
    (folder / "requirements" / "deploy.txt").write_text("sam==1\n")
    (binaries / "python").write_text(PYTHON.replace("FAIL", fail))
    (binaries / "python").chmod(0o755)
    command = ["/bin/bash", "-c", SCRIPT, "deploy.sh", str(folder), *arguments]
    inherited = {name: value for name, value in os.environ.items() if name != "UV"}
    environ = {**inherited, **({"UV": str(uv)} if uv else {})}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    calls = binaries / "calls"
    return done, calls.read_text().splitlines() if calls.exists() else []


def test_pip_is_renewed_first(tmp_path: Path) -> None:
    done, (pip, packages) = ensure(tmp_path, "recent-pip")
    assert done.returncode == 0, done.stderr
    assert "--require-hashes" in pip
    assert " pip==" in pip
    assert " --hash=sha256:" in pip
    assert "requirements/deploy.txt" in packages


def test_other_environments_keep_their_pip(tmp_path: Path) -> None:
    done, calls = ensure(tmp_path)
    assert (done.returncode, len(calls)) == (0, 1)


def test_nothing_is_done_twice(tmp_path: Path) -> None:
    ensure(tmp_path, "recent-pip")
    done, calls = ensure(tmp_path, "recent-pip")
    assert (done.returncode, len(calls)) == (0, 2)


def test_a_pip_that_cannot_be_renewed(tmp_path: Path) -> None:
    done, calls = ensure(tmp_path, "recent-pip", fail="*/dev/stdin")
    assert (done.returncode, len(calls)) == (1, 1)
    assert "deploy.sh: pip could not be renewed in .venv-deploy" in done.stderr
    assert not (tmp_path / ".venv-deploy" / ".installed").exists()


def test_a_uv_that_is_named_installs_instead(tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/uv.calls\n')
    uv.chmod(0o755)
    done, calls = ensure(tmp_path, "recent-pip", uv=uv)
    assert (done.returncode, calls) == (0, [])
    (asked,) = (tmp_path / "uv.calls").read_text().splitlines()
    assert asked.startswith(f"pip install --quiet --python {tmp_path}/.venv-deploy/bin/python --require-hashes")
    assert asked.endswith("requirements/deploy.txt")
