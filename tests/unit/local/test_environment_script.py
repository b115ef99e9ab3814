"""What the scripts say on a machine whose Python is too old, or whose PYTHON is none."""

import os
import subprocess
from pathlib import Path

from scripts.local.folder import PROJECT

SCRIPT = f"source {PROJECT}/scripts/lib/environment.sh; K9_ROOT=$1; ensure_environment .venv dev.txt"


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`ensure_environment` in a folder without a virtual environment."""
    command = ["/bin/bash", "-c", SCRIPT, "dev.sh", str(folder)]
    return subprocess.run(command, env={"PATH": os.defpath, **environment}, capture_output=True, text=True, check=False)


def old_python(folder: Path, name: str) -> Path:
    """A program that says it is Python 3.10 and fails every question."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.10.13"\n[ "$1" = --version ]\n')
    program.chmod(0o755)
    return program


def test_an_old_python_on_the_path(tmp_path: Path) -> None:
    old_python(tmp_path / "bin", "python3")
    done = run(tmp_path, PATH=f"{tmp_path / 'bin'}")
    assert done.returncode == 1
    assert "K9 API needs Python 3.11 or newer; python3 here is Python 3.10.13." in done.stderr
    assert "PYTHON=" in done.stderr


def test_an_old_python_that_was_named(tmp_path: Path) -> None:
    program = old_python(tmp_path / "bin", "python3.10")
    done = run(tmp_path, PYTHON=str(program))
    assert done.returncode == 1
    assert f"PYTHON is {program} (Python 3.10.13): K9 API needs Python 3.11 or newer." in done.stderr


def test_a_python_that_is_not_there(tmp_path: Path) -> None:
    done = run(tmp_path, PYTHON="/no/such/python")
    assert done.returncode == 1
    assert "PYTHON is /no/such/python" in done.stderr
