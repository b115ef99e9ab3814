"""The k nearest neighbours of all rows beside scikit-learn: CPU, and the memory that comes on top of the data."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.similarity_data import (
    DATA,
    DIMENSION,
    Floats,
    Turns,
    middle,
    product_id,
    ratio,
    table,
    units,
    vectors,
)
from shared.similarity.neighbours import Block, nearest_neighbours
from shared.similarity.segment import SEGMENT_ROWS

CONTENDERS = ("K9", "scikit-learn, euclidean", "scikit-learn, cosine")
_CHECKED = 100
Neighbours = npt.NDArray[np.int64]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure the matrix of nearest neighbours.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--k", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=CONTENDERS, help="measure this one here, and answer in JSON")
    parser.add_argument("--file", type=Path)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(_measure_here(options.one, options.file, options.k[0])))
        return
    for data in options.data:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "vectors.npy")
            np.save(file, vectors(data, options.rows))
            for k in options.k:
                print(f"\nThe {k} nearest of each of {options.rows:,} rows of {DIMENSION}, {data}")
                print(_measure(file, k, options.rounds))


def _measure(file: Path, k: int, rounds: int) -> str:
    """Each in a process of its own, in turns."""
    found = [{name: _spawn(name, file, k) for name in CONTENDERS} for _ in range(rounds)]
    seconds: Turns = [{name: turn[name]["seconds"] for name in CONTENDERS} for turn in found]
    memory: Turns = [{name: turn[name]["megabytes"] for name in CONTENDERS} for turn in found]
    lines = [
        (
            name,
            f"{middle(seconds, name):.1f}",
            f"{ratio(seconds, name, 'K9'):.2f}",
            f"{middle(memory, name):.0f}",
            f"{ratio(memory, name, 'K9'):.1f}",
            f"{found[0][name]['recall']:.4f}",
        )
        for name in CONTENDERS
    ]
    assert all(turn["K9"]["recall"] == 1 for turn in found)
    return table(("", "CPU s", "times K9's", "MB on top", "times K9's", "recall"), lines)


def _spawn(name: str, file: Path, k: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.similarity_matrix", "--one", name, "--file", str(file), "--k", str(k)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _measure_here(name: str, file: Path, k: int) -> dict[str, float]:
    matrix: Floats = np.load(file)
    contenders: dict[str, Callable[[Floats, int], Neighbours]] = {
        "K9": _k9,
        "scikit-learn, euclidean": partial(_scikit, metric="euclidean"),
        "scikit-learn, cosine": partial(_scikit, metric="cosine"),
    }
    run = contenders[name]
    run(matrix[:300].copy(), 10)  # imports, and the memory that they take
    data = units(matrix) if name == "scikit-learn, euclidean" else matrix
    before = _memory_now_and_peak_from_now()
    started = time.process_time()
    found = run(data, k)
    seconds = time.process_time() - started
    megabytes = (_status("VmHWM") - before) / 1000
    return {"seconds": seconds, "megabytes": megabytes, "recall": _recall(matrix, found, k)}


def _k9(matrix: Floats, k: int) -> Neighbours:
    blocks = [partial(_block, matrix, start, start + SEGMENT_ROWS) for start in range(0, len(matrix), SEGMENT_ROWS)]
    neighbours = nearest_neighbours(blocks, k)
    return neighbours.rows(0, len(matrix))[0].astype(np.int64)


def _block(matrix: Floats, start: int, stop: int) -> Block:
    rows = matrix[start:stop].copy()  # as the bytes of a segment become an array of their own
    return Block([product_id(start + place) for place in range(len(rows))], rows)


def _scikit(matrix: Floats, k: int, *, metric: str) -> Neighbours:
    """Of unit rows the euclidean neighbours are those by cosine."""
    neighbours = import_module("sklearn.neighbors").NearestNeighbors(
        n_neighbors=k, algorithm="brute", metric=metric, n_jobs=1
    )
    found: Neighbours = neighbours.fit(matrix).kneighbors()[1]  # a row is not its own neighbour
    return found


def _recall(matrix: Floats, found: Neighbours, k: int) -> float:
    """The share of the true neighbours, by float64, of rows here and there that was found."""
    wide = matrix.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1)[:, np.newaxis]
    rows = np.linspace(0, len(matrix) - 1, _CHECKED).astype(int)
    hits = 0
    for row in rows.tolist():
        scores = wide @ wide[row]
        scores[row] = -np.inf
        hits += len(set(np.argpartition(-scores, k)[:k].tolist()) & set(found[row].tolist()))
    return hits / (k * len(rows))


def _memory_now_and_peak_from_now() -> int:
    """Kilobytes of this process; its peak is counted from here on (see proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise LookupError(name)


if __name__ == "__main__":
    main()
