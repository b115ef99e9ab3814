"""All targets, two at a time, and the readers that are broken on purpose."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import atheris

from ..outcome import Options, Outcome
from .engine import Ended, Job, Running

# The product's code alone tells the engine where an input has led, and it alone is slowed down by that.
with atheris.instrument_imports(include=["shared"]):
    from .broken import BROKEN, Broken
    from .targets import KEPT, REACHED, TARGETS, inputs

_QUICK_RUNS = 3_000
"""Of each target, where seconds count."""

_BROKEN_RUNS = 60_000
"""Within which each broken reader must have been found."""

_AT_ONCE = 2
_ORIGIN = "https://app.example.com"


def fuzz(options: Options) -> Outcome:
    """Runs every target for its share of ten million (a few thousand where the mode is quick), then the broken ones."""
    os.environ["ALLOWED_ORIGINS"] = _ORIGIN
    outcome = Outcome.of(
        "runs", [f"{name} {kind}" for name in TARGETS for kind in _kinds(name)] + ["broken reader found"]
    )
    with tempfile.TemporaryDirectory(prefix="k9-fuzz-") as folder:
        jobs = [_job(name, options, Path(folder)) for name in TARGETS]
        jobs += [_broken_job(broken, options, Path(folder)) for broken in BROKEN]
        for job, ended in _ended(jobs):
            if job.name in TARGETS:
                _tell(outcome, job, ended, options)
            elif ended.finding is None:
                outcome.violations.append(f"the {job.name} was not found in {ended.runs:,} runs: {_repeated(options)}")
            else:
                outcome.faults["broken reader found"] += 1
    return outcome


def _kinds(name: str) -> Iterable[str]:
    return dict.fromkeys(label.partition(":")[0] for label in TARGETS[name].labels)


def _job(name: str, options: Options, folder: Path) -> Job:
    target = TARGETS[name]
    runs = _QUICK_RUNS if options.is_quick else target.runs
    return Job(name, target, inputs(name), runs, _seed(options, name), folder / name)


def _broken_job(broken: Broken, options: Options, folder: Path) -> Job:
    """Begins with inputs that are accepted alone, so that the one that the check refuses is the engine's own."""
    target = TARGETS[broken.target]
    good = tuple(data for data in inputs(broken.target) if target.check(data).startswith("accepted"))
    place = folder / f"broken-{BROKEN.index(broken)}"
    return Job(broken.name, target, good, _BROKEN_RUNS, _seed(options, broken.name), place, broken.take_out)


def _seed(options: Options, name: str) -> int:
    return options.random("fuzz", name).randrange(1, 2**31)


def _ended(jobs: list[Job]) -> Iterator[tuple[Job, Ended]]:
    """Each job as it ends, begun in their order."""
    waiting = jobs[::-1]
    running: dict[int, Running] = {}
    while waiting or running:
        while waiting and len(running) < _AT_ONCE:
            begun = Running(waiting.pop())
            running[begun.process] = begun
        process, status, used = os.wait4(-1, 0)
        ended = running.pop(process)
        yield ended.job, ended.ended(status, used.ru_utime + used.ru_stime)


def _tell(outcome: Outcome, job: Job, ended: Ended, options: Options) -> None:
    outcome.cases += ended.runs
    for label, count in ended.counts.items():
        outcome.faults[f"{job.name} {label.partition(':')[0]}"] += count
    unseen = [label for label, count in ended.counts.items() if not count]
    if ended.finding is not None:
        outcome.violations.append(
            f"{job.name}: {ended.finding}: {_kept(job.name, ended.finding_input)}; {_repeated(options)}"
        )
    elif unseen:
        outcome.violations.append(f"{job.name}: no input was {', nor '.join(unseen)}: {_repeated(options)}")
    elif ended.runs != job.runs:
        outcome.violations.append(f"{job.name}: ended after {ended.runs:,} runs of {job.runs:,}")
    outcome.figures[job.name] = _figures(ended)
    if not options.is_quick:
        shutil.rmtree(REACHED / job.name, ignore_errors=True)
        shutil.copytree(job.inputs_folder, REACHED / job.name)


def _figures(ended: Ended) -> str:
    places, features, inputs = ended.coverage or (0, 0, 0)
    told = f"{ended.runs:,} runs, {ended.runs / max(ended.seconds, 0.001):,.0f} a second of a processor"
    return f"{told}, {places} places in the code and {features} features reached by {inputs} inputs"


def _kept(name: str, file: Path | None) -> str:
    """Where the input is from now on, and what it is, if it is short."""
    if file is None:
        return "no input is to be blamed"
    data = file.read_bytes()
    kept = KEPT / "found" / name / hashlib.sha256(data).hexdigest()[:16]
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, kept)
    told = f", {data!r}," if len(data) <= 200 else ""
    file_name = kept.relative_to(KEPT.parents[1])
    again = f"PYTHONPATH=src .venv/bin/python -m tests.proof.fuzz {name} {file_name}"
    return f"the input{told} is in {file_name}; look: {again}"


def _repeated(options: Options) -> str:
    return f"repeat: ./scripts/prove.sh{' --quick' if options.is_quick else ''} --seed {options.seed} fuzz"
