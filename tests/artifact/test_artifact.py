"""What deploy.sh builds and uploads: unpacked, and run in the runtime's own Python with nothing beside it.

Not among the tests that run by default: the build takes SAM (.venv-deploy) and Python 3.13.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import get_args

import pytest

from scripts.building.artifacts import Architecture, Artifact, Artifacts
from scripts.building.build import built
from scripts.building.swagger_ui import ensure_swagger_ui
from scripts.local.folder import PROJECT
from scripts.local.template import Template
from shared.models.report_export import ExportFormat
from tests.support.artifact_process import Run, start
from tests.support.artifact_scene import Scene, running_scene
from tests.support.cases import CASES
from tests.support.sizes import IS_FULL_SIZE
from tests.support.uploaded import Upload, dry_run
from tests.template.emulator import running_emulator

ROUTES = {route.function: (route.method, route.path) for route in Template.load().routes()}
FUNCTIONS = sorted(Template.load().resources("AWS::Serverless::Function"))
LAYERS = {
    "DependenciesLayer": "core.txt",
    "NumericsLayer": "numerics.txt",
    "ExportLayer": "export.txt",
    "ImagingLayer": "imaging.txt",
}
"""Those of packages; the page's layer has files."""

LAYERS_OF = {
    "ExportReportFunction": ["DependenciesLayer", "NumericsLayer", "ExportLayer"],
    "CheckAvatarFunction": ["DependenciesLayer", "ImagingLayer"],
    "GetPageFunction": ["DependenciesLayer", "DocumentationLayer"],
    "GetAssetFunction": ["DependenciesLayer", "DocumentationLayer"],
}
"""Of the functions that have others than the first, or the first two."""

ARCHITECTURES: tuple[Architecture, ...] = ("x86_64", "arm64") if IS_FULL_SIZE else ("x86_64",)
UNZIPPED_LIMIT = 250 * 1024 * 1024
"""Bytes of a function and its layers together (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""

EXPORT_LAYER_LIMIT = 80 * 1024 * 1024
"""Bytes unpacked: what one function alone has to load."""

ELF_MACHINES = {"x86_64": 62, "arm64": 183}
LAMBDAS_GLIBC = (2, 34)
"""That of Amazon Linux 2023, on which python3.13 runs."""


@pytest.fixture(scope="module", params=ARCHITECTURES)
def artifacts(request: pytest.FixtureRequest) -> Artifacts:
    return built(request.param)


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upload]:
    folder = tmp_path_factory.mktemp("deployment")
    with running_emulator(folder, knows_sam=True) as emulator:
        made = dry_run(emulator, folder)
        assert "k9-api-dev" not in [stack["StackName"] for stack in emulator.stacks()]
        yield made


@pytest.fixture(scope="module")
def functions(upload: Upload) -> dict[str, Artifact]:
    return upload.functions()


@pytest.fixture(scope="module")
def imported(functions: dict[str, Artifact]) -> dict[str, Run]:
    """Every function, started on its own and with no environment at all."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(functions, pool.map(start, functions.values()), strict=True))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with running_scene(tmp_path_factory.mktemp("scene")) as running:
        yield running


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).digest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_dry_run_shows_the_change_set_and_uploads_one_code_and_each_layer(upload: Upload) -> None:
    assert "That is the change set; nothing was deployed." in upload.said
    assert re.search(r"\+ Add +ReportsTable +AWS::DynamoDB::Table", upload.said)
    assert len(upload.archives) == 1 + len(LAYERS) + 1


def test_every_function_is_built(functions: dict[str, Artifact]) -> None:
    assert sorted(functions) == FUNCTIONS


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_imports_from_its_artifact_alone(imported: dict[str, Run], function: str) -> None:
    run = imported[function]
    assert run.strange == ()
    assert run.modules > 100


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_cold_start_compiles_nothing(imported: dict[str, Run], function: str) -> None:
    assert imported[function].uncompiled == ()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_numpy_is_where_it_is_used(functions: dict[str, Artifact], imported: dict[str, Run], function: str) -> None:
    layers = [layer.name for layer in functions[function].layers]
    usual = (["DependenciesLayer"], ["DependenciesLayer", "NumericsLayer"])
    assert layers in ([LAYERS_OF[function]] if function in LAYERS_OF else usual)
    assert imported[function].has_numpy == ("NumericsLayer" in layers)


@pytest.mark.parametrize("file_format", get_args(ExportFormat))
def test_every_format_can_be_exported(functions: dict[str, Artifact], scene: Scene, file_format: str) -> None:
    """Each imports its libraries, and finds its fonts, only when it is asked for."""
    case = CASES["GET", "/reports/{report_id}/export"]
    event = scene.event(replace(case, query={**case.query, "format": file_format}), "user-of-exports")
    run = start(functions["ExportReportFunction"], event, scene.variables)
    assert (run.status, run.strange, run.uncompiled) == (200, (), ())


def test_the_export_layer_has_the_fonts_and_their_licences(artifacts: Artifacts) -> None:
    built_in = PROJECT / "infrastructure" / "export" / "k9_fonts"
    layer = artifacts.folder / "ExportLayer"
    assert files(layer / "python" / "k9_fonts") == files(built_in)
    assert {path.name for path in built_in.glob("LICENSE-*")} == {
        "LICENSE-DejaVu.txt",
        "LICENSE-DroidSansFallback.txt",
    }
    assert size(built_in) < 6_000_000
    assert size(layer) < EXPORT_LAYER_LIMIT


@pytest.mark.parametrize("function", sorted(ROUTES))
def test_a_function_answers(functions: dict[str, Artifact], scene: Scene, function: str) -> None:
    case = CASES[ROUTES[function]]
    event = scene.event(case, f"user-of-{function}")
    assert start(functions[function], event, scene.variables).status == case.status


def test_the_worker_works(functions: dict[str, Artifact], scene: Scene) -> None:
    task = scene.task("user-of-worker")
    assert scene.manifests("user-of-worker") == []
    assert start(functions["WorkerFunction"], task, scene.variables).status is None
    assert len(scene.manifests("user-of-worker")) == 1


def test_the_check_of_uploads_checks_one(functions: dict[str, Artifact], scene: Scene) -> None:
    arrived = scene.upload("user-of-check")
    assert scene.avatar("user-of-check") is None
    assert start(functions["CheckAvatarFunction"], arrived, scene.variables).status is None
    assert (scene.avatar("user-of-check") or "").startswith("/avatars/")


def test_all_functions_share_one_code(artifacts: Artifacts) -> None:
    first, *others = artifacts.functions()
    code = files(first.code)
    assert all(files(other.code) == code for other in others)


def without_bytecode(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: digest for name, digest in found.items() if "__pycache__" not in name}


def test_the_code_is_the_source_and_its_bytecode(artifacts: Artifacts) -> None:
    code = files(artifacts.functions()[0].code)
    assert without_bytecode(code) == without_bytecode(files(PROJECT / "src"))
    modules = [Path(name) for name in code if name.endswith(".py")]
    compiled = {str(path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc") for path in modules}
    assert code.keys() - without_bytecode(code).keys() == compiled


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_has_exactly_the_locked_packages(artifacts: Artifacts, layer: str) -> None:
    locked = dict(re.findall(r"^([\w.-]+?)(?:\[[^]]*])?==([^ ;\\]+)", lock(layer), re.MULTILINE))
    found = dict(re.findall(r"^Name: (.+)\nVersion: (.+)$", metadata(artifacts.folder / layer), re.MULTILINE))
    assert {normal(name): version for name, version in found.items()} == {
        normal(name): version for name, version in locked.items()
    }


def lock(layer: str) -> str:
    return (PROJECT / "requirements" / LAYERS[layer]).read_text(encoding="utf-8")


def normal(name: str) -> str:
    """A project's name as PyPA's specification compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def metadata(layer: Path) -> str:
    found = [path.read_text(encoding="utf-8") for path in layer.glob("python/*.dist-info/METADATA")]
    return "\n".join(re.sub(r"^(Metadata-Version: .*)\n", "", text) for text in found)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_locked_package_has_hashes_and_comes_as_a_wheel(layer: str) -> None:
    packages = re.split(r"\n(?=[\w.-]+(?:\[[^]]*])?==)", lock(layer))
    assert all("--hash=sha256:" in package for package in packages)
    asked = Template.load().resources("AWS::Serverless::LayerVersion")[layer]["Properties"]["ContentUri"]
    requirements = (PROJECT / "infrastructure" / asked / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in requirements if not line.startswith("#")] == [
        "--only-binary :all:",
        f"-r ../../requirements/{LAYERS[layer]}",
    ]


def test_the_pages_layer_has_swagger_ui_and_nothing_else(artifacts: Artifacts) -> None:
    found = files(artifacts.folder / "DocumentationLayer" / "python")
    here = files(ensure_swagger_ui() / "swagger_ui")
    packed = {name.removeprefix("swagger_ui/"): digest for name, digest in without_bytecode(found).items()}
    assert packed.pop("requirements.txt")
    assert packed == without_bytecode(here)
    assert len([name for name in packed if name.endswith(".gz")]) == 3


def test_compiled_modules_are_for_the_processor_and_the_system(artifacts: Artifacts) -> None:
    libraries = list(artifacts.folder.glob("*Layer/python/**/*.so*"))
    machine = ELF_MACHINES[artifacts.folder.name]
    assert len(libraries) > 10
    assert {int.from_bytes(library.read_bytes()[18:20], "little") for library in libraries} == {machine}


def test_wheels_run_on_lambdas_system(artifacts: Artifacts) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in artifacts.folder.glob("*Layer/python/*/WHEEL"))
    needed = [(int(major), int(minor)) for major, minor in re.findall(r"manylinux_(\d+)_(\d+)_", text)]
    assert needed
    assert max(needed) <= LAMBDAS_GLIBC
    assert "-linux_" not in text  # such a wheel was compiled on somebody's machine, for that machine


def test_no_function_is_larger_than_lambda_takes(artifacts: Artifacts) -> None:
    for artifact in artifacts.functions():
        assert size(artifact.code) + sum(size(layer) for layer in artifact.layers) < UNZIPPED_LIMIT
