"""The Python client as pip installs it: built without a network, by the setuptools of .venv-deploy, and used."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.local.folder import PROJECT

SOURCE = PROJECT / "clients" / "python"
USE = """
import sys, k9_api
from k9_api import Client
with Client("https://api.example.com", token="t") as client:
    print(k9_api.__version__, k9_api.__file__, client.reports.get.__doc__)
"""


def pip(*arguments: str) -> str:
    command = [str(PROJECT / ".venv-deploy" / "bin" / "python"), "-m", "pip", *arguments, "--no-deps", "--no-index"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy: setuptools leaves folders behind."""
    folder = tmp_path_factory.mktemp("client")
    shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "source"))
    (built,) = folder.glob("*.whl")
    return built


def test_it_has_every_module_and_the_mark_of_types(wheel: Path) -> None:
    package = SOURCE / "src" / "k9_api"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        told = archive.read(metadata).decode()
    modules = {f"k9_api/{file.relative_to(package).as_posix()}" for file in package.rglob("*.py")}
    assert {name for name in names if ".dist-info/" not in name} == modules | {"k9_api/py.typed"}
    for line in ("Name: k9-api-client", "Requires-Python: >=3.11", "Requires-Dist: httpx", "# The Python client"):
        assert line in told


def test_it_works_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    pip("install", "--target", str(tmp_path), str(wheel))
    done = subprocess.run(
        [sys.executable, "-c", USE],
        env={"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert f"{tmp_path}/k9_api/__init__.py One of the caller's reports." in done.stdout


def test_a_type_checker_sees_its_types(wheel: Path, tmp_path: Path) -> None:
    """A user's program, checked against the package as installed; its two mistakes are found."""
    pip("install", "--target", str(tmp_path), str(wheel))
    program = tmp_path / "program.py"
    program.write_text(
        "from k9_api import AsyncClient, Client, Report\n"
        "def blocking(client: Client) -> str:\n"
        "    report: Report = client.reports.get('r')\n"
        "    return report.title + client.reports.create('T').id\n"
        "async def awaited(client: AsyncClient) -> list[str]:\n"
        "    report: Report = await client.reports.get('r')\n"
        "    return [report.id, *[each.id async for each in client.reports.iterate(limit=3)]]\n"
        "def wrong(client: Client, other: AsyncClient) -> None:\n"
        "    client.reports.create(titel='T')\n"
        "    other.reports.get('r').title\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)],
        env={"PYTHONPATH": str(tmp_path), "MYPYPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line.split(": error: ")[0] for line in done.stdout.splitlines() if ": error: " in line]
    assert found == ["program.py:9", "program.py:10"], done.stdout
