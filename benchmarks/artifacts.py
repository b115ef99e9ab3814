"""What is deployed: how large the artifacts are, and how long each function's cold start takes.

    benchmarks/run.sh artifacts                 about eight minutes
    benchmarks/run.sh artifacts --rounds 1      a quick look

A cold start is a fresh process of the runtime's own Python (3.13), with nothing on the path but the artifact, that
imports the handler and answers one request of a signed-in user; the pool's keys, DynamoDB and S3 are on this machine.
Beside it the same with everything in one artifact, and without the bytecode that the build adds. Contenders take turns
within a round, and figures are medians of CPU time.
"""

import argparse
import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from scripts.building.artifacts import Artifact, machine_architecture
from scripts.building.build import built
from scripts.local.template import Template
from tests.support.artifact_process import Run, start
from tests.support.artifact_scene import Scene, running_scene
from tests.support.cases import CASES

SPLIT, ONE, SOURCE = "as deployed", "one artifact", "without bytecode"
ROUTES = {route.function: (route.method, route.path) for route in Template.load().routes()}
MEBIBYTE = 1024 * 1024

Contenders = Mapping[str, Sequence[Artifact]]


@dataclass(frozen=True)
class Size:
    """Bytes on disk, and as the archive that is uploaded."""

    unzipped: int
    zipped: int

    @classmethod
    def of(cls, *folders: Path) -> "Size":
        files = [(path, folder.name / path.relative_to(folder)) for folder in folders for path in folder.rglob("*")]
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path, name in files:
                if path.is_file():
                    packed.write(path, str(name))
        return cls(sum(path.stat().st_size for path, _ in files if path.is_file()), archive.tell())

    def __str__(self) -> str:
        return f"{self.unzipped / MEBIBYTE:.1f} | {self.zipped / MEBIBYTE:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        contenders = make_contenders(folder)
        print_sizes(contenders[SPLIT], contenders[ONE][0])
        scene = ends.enter_context(running_scene(folder / "store"))
        runs = measure(contenders, scene, rounds)
    print_starts(contenders[SPLIT], runs, rounds)


def make_contenders(folder: Path) -> Contenders:
    artifacts = built(machine_architecture()).functions()
    layers = sorted({layer for artifact in artifacts for layer in artifact.layers})
    everything = merged([artifacts[0].code, *(layer / "python" for layer in layers)], folder / "one")
    return {
        SPLIT: artifacts,
        ONE: [replace(artifact, code=everything, layers=()) for artifact in artifacts],
        SOURCE: uncompiled(artifacts, folder / "source"),
    }


def merged(sources: Sequence[Path], target: Path) -> Path:
    for source in sources:
        shutil.copytree(source, target, dirs_exist_ok=True)
    return target


def uncompiled(artifacts: Sequence[Artifact], folder: Path) -> list[Artifact]:
    code = merged([artifacts[0].code], folder / "code")
    layers = {layer: merged([layer], folder / layer.name) for artifact in artifacts for layer in artifact.layers}
    for bytecode in list(folder.rglob("__pycache__")):
        shutil.rmtree(bytecode)
    return [replace(each, code=code, layers=tuple(layers[layer] for layer in each.layers)) for each in artifacts]


def measure(contenders: Contenders, scene: Scene, rounds: int) -> dict[tuple[str, str], list[Run]]:
    runs: dict[tuple[str, str], list[Run]] = {}
    for number in range(rounds):
        for name, artifact in turns(contenders):
            owner = f"{artifact.function}-{name}-{number}".replace(" ", "-")
            runs.setdefault((artifact.function, name), []).append(answered(artifact, scene, owner))
    return runs


def turns(contenders: Contenders) -> Iterator[tuple[str, Artifact]]:
    """Function by function, so that the contenders of one run within seconds of each other."""
    for same in zip(*contenders.values(), strict=True):
        yield from zip(contenders, same, strict=True)


def answered(artifact: Artifact, scene: Scene, owner: str) -> Run:
    if artifact.function not in ROUTES:
        return start(artifact, scene.task(owner), scene.variables)
    case = CASES[ROUTES[artifact.function]]
    run = start(artifact, scene.event(case, owner), scene.variables)
    assert run.status == case.status, (artifact.function, run.status)
    return run


def print_sizes(artifacts: Sequence[Artifact], one: Artifact) -> None:
    light = next(artifact for artifact in artifacts if len(artifact.layers) == 1)
    heavy = next(artifact for artifact in artifacts if len(artifact.layers) == 2)
    dependencies, numerics = heavy.layers
    print("\n| artifact | MiB unzipped | zipped |\n|---|---|---|")
    for title, folders in (
        ("code, for all functions", [light.code]),
        ("layer of dependencies", [dependencies]),
        ("layer of numpy", [numerics]),
        ("a function without numpy: code and one layer", [light.code, dependencies]),
        ("a function with numpy: code and both layers", [heavy.code, dependencies, numerics]),
        ("everything in one artifact", [one.code]),
    ):
        print(f"| {title} | {Size.of(*folders)} |")


def print_starts(artifacts: Sequence[Artifact], runs: Mapping[tuple[str, str], list[Run]], rounds: int) -> None:
    print(
        f"\nMedians of {rounds} starts, ms of CPU: import + first answer, and the ratio to `{SPLIT}` within a round.\n"
    )
    print(f"| function | numpy | {SPLIT} | {ONE} | {SOURCE} |\n|---|---|---|---|---|")
    for artifact in artifacts:
        ours = runs[artifact.function, SPLIT]
        cells = [cell(ours, runs[artifact.function, name], name) for name in (SPLIT, ONE, SOURCE)]
        has_numpy = "yes" if ours[0].has_numpy else ""
        print(f"| {artifact.function.removesuffix('Function')} | {has_numpy} | {' | '.join(cells)} |")
    for name in (ONE, SOURCE):
        ratios = [ratio for artifact in artifacts for ratio in against(runs, artifact.function, name)]
        print(f"\n{name}: {median(ratios):.2f} of the CPU time, median over all functions and rounds")


def cell(ours: Sequence[Run], runs: Sequence[Run], name: str) -> str:
    imported, answer = (1000 * median(run.cpu[part] for run in runs) for part in (0, 1))
    text = f"{imported:.0f} + {answer:.0f}"
    if name == SPLIT:
        return text
    return f"{text} ({median(sum(b.cpu) / sum(a.cpu) for a, b in zip(ours, runs, strict=True)):.2f})"


def against(runs: Mapping[tuple[str, str], list[Run]], function: str, name: str) -> list[float]:
    pairs = zip(runs[function, SPLIT], runs[function, name], strict=True)
    return [sum(other.cpu) / sum(ours.cpu) for ours, other in pairs]


if __name__ == "__main__":
    main()
