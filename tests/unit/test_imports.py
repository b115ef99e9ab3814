"""What an import costs and does, and which file may import which."""

import ast
import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import handlers
from scripts.local.template import Template

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
HANDLERS = sorted(module.name for module in pkgutil.walk_packages(handlers.__path__, "handlers.") if not module.ispkg)

FLOORS: list[set[str]] = [
    {"shared", "shared.errors", "shared.exports", "shared.process", "shared.scope"},
    {"shared.config"},
    {"shared.models"},
    {"shared.database", "shared.rendering"},
    {"shared.jwks", "shared.events", "shared.telemetry"},
    {"shared.tasks"},
    {"shared.similarity", "shared.downloads"},
    {"shared.avatars"},
    {"shared.account"},
    {"shared.limits"},
    {"shared.auth"},
    {"shared.binding"},
    {"shared.http"},
    {"handlers"},
]
"""From the ground up: a file imports from its own floor and those below. A package stands for its files."""

Imported = dict[str, dict[str, list[str]]]

REPORT = """
import json, os, sys
read = []
plain = os._Environ.__getitem__

def watched(self, name):
    frame = sys._getframe(1)
    while frame and not frame.f_code.co_filename.endswith(".py"):
        frame = frame.f_back
    while frame and frame.f_code.co_filename == os.__file__:
        frame = frame.f_back
    if frame and frame.f_code.co_filename.startswith(sys.argv[2]):
        read.append(name)
    return plain(self, name)

os._Environ.__getitem__ = watched
__import__(sys.argv[1])
from shared.config import get_settings
from shared.database.manager import default_manager
from shared.telemetry import get_logger
kept = [function.__name__ for function in (get_settings, default_manager, get_logger) if function.cache_info().currsize]
print(json.dumps({"modules": sorted(sys.modules), "environment": read, "kept": kept}))
"""


def python(*arguments: str, path: str, cwd: Path = ROOT) -> str:
    """A fresh interpreter with an empty environment but PYTHONPATH; returns what it prints."""
    finished = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def imported() -> Imported:
    """What importing each handler module did, each in an interpreter of its own, all at once."""
    command = [sys.executable, "-c", REPORT]
    running = {
        module: subprocess.Popen(
            [*command, module, str(SRC)], env={"PYTHONPATH": str(SRC)}, stdout=subprocess.PIPE, text=True
        )
        for module in HANDLERS
    }
    return {module: json.loads(process.communicate()[0]) for module, process in running.items()}


def test_the_list_of_handlers_is_not_empty() -> None:
    assert "handlers.reports.get_report" in HANDLERS


@pytest.mark.parametrize("module", HANDLERS)
@pytest.mark.parametrize("heavy", ["boto3", "botocore.session", "requests", "moto"])
def test_a_handler_imports_nothing_heavy(imported: Imported, module: str, heavy: str) -> None:
    assert module in imported[module]["modules"]
    assert heavy not in imported[module]["modules"]


@pytest.mark.parametrize("module", HANDLERS)
def test_numpy_is_imported_where_the_template_brings_it_and_nowhere_else(imported: Imported, module: str) -> None:
    """A function without the layer could not import it; one that has it and does not need it starts slower."""
    with_layer = {
        body["Properties"]["Handler"].removesuffix(".handler")
        for body in Template.load().resources("AWS::Serverless::Function").values()
        if {"Ref": "NumericsLayer"} in body["Properties"].get("Layers", [])
    }
    shared_by_handlers = {
        "handlers.embeddings.hits",
        "handlers.embeddings.matrix_state",
        "handlers.reports.exporting",
    }
    if module not in shared_by_handlers:
        assert ("numpy" in imported[module]["modules"]) == (module in with_layer)


@pytest.mark.parametrize("module", HANDLERS)
def test_the_imaging_library_is_imported_where_the_template_brings_it_and_nowhere_else(
    imported: Imported, module: str
) -> None:
    assert ("PIL" in imported[module]["modules"]) == (module == "handlers.avatar_uploads")
    layers = Template.load().resources("AWS::Serverless::Function")["CheckAvatarFunction"]["Properties"]["Layers"]
    assert layers == [{"Ref": "ImagingLayer"}]


@pytest.mark.parametrize("module", HANDLERS)
def test_an_import_reads_no_environment_and_makes_no_client(imported: Imported, module: str) -> None:
    assert imported[module]["environment"] == []
    assert imported[module]["kept"] == []
    assert "botocore.client" not in imported[module]["modules"]


def test_the_watch_on_the_environment_watches() -> None:
    """The test above would pass for a watch that sees nothing."""
    seen = python("-c", REPORT + "get_settings()\nprint(json.dumps(read))", "handlers.health", str(SRC), path=str(SRC))
    assert "PYTHONPATH" in json.loads(seen.splitlines()[-1])


def test_the_repositories_can_be_imported_from_the_root() -> None:
    printed = python("-c", "from src.shared.database import ReportRepository as R; print(R.__module__)", path="")
    assert printed.strip() == "src.shared.database.reports"


@pytest.mark.parametrize("package", ["shared.models", "shared.database"])
def test_a_packages_names_are_what_it_lists(package: str) -> None:
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name).__module__.startswith("shared.")
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nobody'"):
        module.Nobody  # noqa: B018 - the access is what is tested


def test_a_handler_of_reports_imports_nothing_of_embeddings(imported: Imported) -> None:
    modules = imported["handlers.reports.get_report"]["modules"]
    assert not {"shared.models.embedding", "shared.database.embeddings", "shared.similarity"} & set(modules)


def test_the_handler_of_the_document_imports_no_other(imported: Imported) -> None:
    """It serves a file: neither the models that the file tells of nor the generator is there."""
    modules = imported["handlers.documentation.get_openapi"]["modules"]
    assert not {"shared.models.embedding", "shared.models.report", "handlers.reports", "scripts"} & set(modules)


def test_the_repositories_can_be_imported_as_in_lambda() -> None:
    code = "from shared.database import DBReport, DBUser, ReportRepository as R, UserRepository; print(R.__module__)"
    assert python("-c", code, path=str(SRC), cwd=Path(os.sep)).strip() == "shared.database.reports"


class TestFloors:
    @pytest.mark.parametrize("file", sorted(SRC.rglob("*.py")), ids=lambda file: str(file.relative_to(SRC)))
    def test_a_file_imports_only_downwards(self, file: Path) -> None:
        own = floor(module_of(file))
        for imported in imports_of(file):
            assert floor(imported) <= own, f"{module_of(file)} imports {imported}"

    @pytest.mark.parametrize("file", sorted((SRC / "handlers").rglob("*.py")), ids=lambda file: file.stem)
    def test_handlers_know_no_aws(self, file: Path) -> None:
        assert not {"boto3", "botocore"} & packages_of(file)

    @pytest.mark.parametrize("file", sorted((SRC / "shared" / "models").rglob("*.py")), ids=lambda file: file.stem)
    def test_models_know_no_aws_and_no_http(self, file: Path) -> None:
        assert not {"boto3", "botocore", "http", "urllib"} & packages_of(file)
        assert all(name.startswith(("shared.models", "shared.exports", "shared.process")) for name in imports_of(file))

    def test_every_file_has_a_floor(self) -> None:
        assert {floor(module_of(file)) for file in SRC.rglob("*.py")} == set(range(len(FLOORS)))

    def test_there_are_no_circles(self) -> None:
        """Imports that only type checkers follow do not count, nor do those of a package's own list of names."""
        graph = {module_of(file): set(imports_of(file)) for file in SRC.rglob("*.py") if file.name != "__init__.py"}
        while leaves := {module for module, needed in graph.items() if not needed & graph.keys()}:
            graph = {module: needed for module, needed in graph.items() if module not in leaves}
        assert graph == {}


def module_of(file: Path) -> str:
    parts = file.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(module: str) -> int:
    """The floor of a module: that of its name, or of the package that holds it."""
    for number, names in enumerate(FLOORS):
        if module in names or any(module.startswith(f"{name}.") for name in names - {"shared"}):
            return number
    raise AssertionError(f"{module} has no floor")


def imports_of(file: Path) -> list[str]:
    """The project's own modules that a file imports, at run time."""
    return [name for name in all_imports_of(file) if name.split(".")[0] in ("shared", "handlers")]


def packages_of(file: Path) -> set[str]:
    return {name.split(".")[0] for name in all_imports_of(file)}


def all_imports_of(file: Path) -> Iterator[str]:
    package = module_of(file) if file.name == "__init__.py" else module_of(file).rpartition(".")[0]
    for node in runtime_nodes(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, package)
            yield from (f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base for alias in node.names)


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from runtime_nodes(child)


def absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parents = package.split(".")
    base = ".".join(parents[: len(parents) - node.level + 1])
    return f"{base}.{node.module}" if node.module else base


def is_module(name: str) -> bool:
    path = SRC.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()
