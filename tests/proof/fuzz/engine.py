"""One run of the engine on one target, in a process of its own."""

import logging
import mmap
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NoReturn

import atheris

from .target import Target

_TIMEOUT_SECONDS = 20
"""For one input, on a busy machine; a thousandth of it is much."""

_MEMORY_MEGABYTES = 1024
_CHANGES = 2
"""Made to an input one upon the other, each of them tried: after more, hardly any is accepted."""

_DONE = re.compile(r"^#\d+\s+DONE\s+cov: (\d+) ft: (\d+) corp: (\d+)/\S+", re.MULTILINE)
_FOUND = "found"
"""The file of the input that something was found with, in a job's folder; the engine has other names for its own."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run. `prepare` is called in the new process, before anything is fuzzed."""

    name: str
    target: Target
    inputs: tuple[bytes, ...]
    runs: int
    seed: int
    folder: Path
    prepare: Callable[[], None] = lambda: None

    @property
    def inputs_folder(self) -> Path:
        """Where the inputs are, and those join them that reach something new."""
        return self.folder / "inputs"


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a job: how often each label was the answer, and what was found, if anything was."""

    counts: dict[str, int]
    seconds: float
    """Of a processor."""

    coverage: tuple[int, int, int] | None
    """Places in the code, features (those with how often, in steps) and inputs that reached them."""

    finding: str | None
    finding_input: Path | None

    @property
    def runs(self) -> int:
        return sum(self.counts.values())


class Running:
    """A job under way. The counts are in memory that both processes see, since the engine ends its own abruptly."""

    def __init__(self, job: Job) -> None:
        job.folder.mkdir(parents=True)
        self.job = job
        self._log = job.folder / "log"
        self._counts = mmap.mmap(-1, 8 * len(job.target.labels))
        sys.stdout.flush()
        sys.stderr.flush()
        self.process = os.fork()
        if self.process == 0:
            _run(job, self._log, memoryview(self._counts).cast("Q"))

    def ended(self, status: int, seconds: float) -> Ended:
        log = self._log.read_text(encoding="utf-8", errors="replace")
        counted = memoryview(self._counts).cast("Q").tolist()
        done = _DONE.search(log)
        inputs = [file for file in self.job.folder.iterdir() if re.match(f"{_FOUND}|timeout-|oom-|crash-", file.name)]
        return Ended(
            dict(zip(self.job.target.labels, counted, strict=True)),
            seconds,
            (int(done[1]), int(done[2]), int(done[3])) if done else None,
            None if status == 0 else _finding(log),
            inputs[0] if inputs else None,
        )


def _finding(log: str) -> str:
    """What was said of an input: the exception and where it came from, or why the engine was stopped."""
    told = [line for line in log.splitlines() if "ERROR: " in line]
    return "; ".join(told) or f"the engine broke off: {log[-500:]}"


def _raised(error: Exception) -> str:
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[1:]]
    told = " ".join(traceback.format_exception_only(error)).strip().replace("\n", " ")
    return f"ERROR: {told[:500]} at {' '.join(places[-6:])}"


def _run(job: Job, log: Path, counts: "memoryview[int]") -> NoReturn:
    """Becomes the engine. Whatever happens, this process does not go on as the one that it is a copy of."""
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        logging.disable(logging.CRITICAL)
        job.prepare()
        _fuzz(job, counts)
    except BaseException as error:  # noqa: BLE001 - told in the log, and by the status
        print(f"ERROR: {type(error).__name__}: {error}", flush=True)
    finally:
        os._exit(1)


def _fuzz(job: Job, counts: "memoryview[int]") -> None:
    corpus = job.inputs_folder
    corpus.mkdir()
    for number, data in enumerate(job.inputs):
        (corpus / f"{number:04}").write_bytes(data)
    words = job.folder / "words"
    words.write_text("".join(f'"{_quoted(word)}"\n' for word in job.target.words), encoding="ascii")
    options = {
        "runs": job.runs,
        "seed": job.seed,
        "max_len": job.target.max_length,
        "timeout": _TIMEOUT_SECONDS,
        "rss_limit_mb": _MEMORY_MEGABYTES,
        "artifact_prefix": f"{job.folder}/",
        "reload": 0,
        "mutate_depth": _CHANGES,
        **({"dict": words} if job.target.words else {}),
    }
    check, place_of = job.target.check, {label: place for place, label in enumerate(job.target.labels)}

    def run_one(data: bytes) -> None:
        try:
            counts[place_of[check(data)]] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
            (job.folder / _FOUND).write_bytes(data)
            print(_raised(error), flush=True)
            os._exit(1)

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        return job.target.mutate(data, Random(seed), atheris.Mutate, longest)[:longest]  # noqa: S311 - to be repeated

    arguments = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup(["fuzz", *arguments, str(corpus)], run_one, custom_mutator=mutate)
    atheris.Fuzz()


def _quoted(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)
