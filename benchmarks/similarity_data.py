"""What similarity is measured on, and by: two kinds of vectors, products of about 200 bytes, and CPU time in turns."""

import random
import string
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Literal

import numpy as np
import numpy.typing as npt

from shared.database.index_rows import IndexRow
from shared.models.fields import timestamp
from shared.models.json_value import JsonObject
from shared.similarity.index import ModelIndex, Part
from shared.similarity.segment import SEGMENT_ROWS, Segment

DIMENSION = 512
KINDS = ("cat", "bird", "fish", "dog")
Floats = npt.NDArray[np.float32]
Kind = Literal["isotropic", "clustered"]
DATA: tuple[Kind, Kind] = ("clustered", "isotropic")

_CLUSTERS = 200
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

Turns = list[dict[str, float]]
"""One measurement of every contender per round."""


def vectors(kind: Kind, rows: int, seed: int = 1) -> Floats:
    """float32 (rows, DIMENSION).

    isotropic: normal, all directions alike; no row is near another, and scores are as close together as can be.
    clustered: 200 clusters of unlike size about a common mean, their variance falling off from direction to direction
    as that of text and image embeddings does; of length one; two rows have a cosine of 0.4, of one cluster 0.8.
    """
    random_numbers = np.random.default_rng(seed)
    if kind == "isotropic":
        return random_numbers.standard_normal((rows, DIMENSION), np.float32)
    shape = np.random.default_rng(7)
    rotation = np.linalg.qr(shape.standard_normal((DIMENSION, DIMENSION)))[0].astype(np.float32)
    spread = (np.arange(1, DIMENSION + 1) ** -0.5).astype(np.float32)
    spread /= np.linalg.norm(spread)
    centres = 0.65 * shape.standard_normal((_CLUSTERS, DIMENSION), np.float32) * spread
    centres[:, 0] += 0.65
    sizes = 1 / np.arange(1, _CLUSTERS + 1)
    cluster = random_numbers.choice(_CLUSTERS, rows, p=sizes / sizes.sum())
    found = random_numbers.standard_normal((rows, DIMENSION), np.float32)
    found *= 0.45 * spread
    found += centres[cluster]
    found = found @ rotation
    return units(found)


def units(rows: Floats) -> Floats:
    """The rows over their norms, float32."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    scaled: Floats = (rows / norms[:, np.newaxis]).astype(np.float32)
    return scaled


def product(number: int) -> JsonObject:
    """Metadata of about 200 bytes of JSON; `percentile` is below p in p % of the products, `kind` is dog in a tenth."""
    numbers = random.Random(number)  # noqa: S311 - repeatable
    return {
        "name": "".join(numbers.choices(string.ascii_lowercase, k=24)),
        "kind": numbers.choices(KINDS, (50, 25, 15, 10))[0],
        "brand": f"brand-{numbers.randrange(200)}",
        "price": round(numbers.uniform(0, 100), 2),
        "percentile": numbers.randrange(100),
        "tags": [f"tag-{numbers.randrange(40)}", f"tag-{numbers.randrange(40)}"],
        "in_stock": numbers.random() < 0.8,
    }


def product_id(number: int) -> str:
    return f"product-{number:07d}"


def index_rows(matrix: Floats) -> list[IndexRow]:
    """The rows of a table, stored 10 ms after each other."""
    return [
        IndexRow(product_id(number), moment(number), vector.tobytes(), product(number))
        for number, vector in enumerate(matrix)
    ]


def moment(number: int) -> str:
    return timestamp(_BEGIN + timedelta(milliseconds=10 * number))


def index_of(rows: Sequence[IndexRow]) -> ModelIndex:
    """An index as a snapshot of these rows gives it."""
    chunks = (rows[start : start + SEGMENT_ROWS] for start in range(0, len(rows), SEGMENT_ROWS))
    stored = (Segment.of(chunk, DIMENSION).to_bytes() for chunk in chunks)
    return ModelIndex(DIMENSION, tuple(Part(Segment.from_bytes(body)) for body in stored))


def take_turns(contenders: Mapping[str, Callable[[int], object]], rounds: int, calls: int) -> Turns:
    """CPU milliseconds per call, all threads of the process together, after one round that does not count.

    Every call gets a number, the same ones for all contenders; who begins changes from round to round.
    """
    names = list(contenders)
    turns: Turns = []
    for turn in range(rounds + 1):
        shift = turn % len(names)
        taken = {name: _cpu(contenders[name], calls, turn) for name in names[shift:] + names[:shift]}
        turns.append(taken)
    return turns[1:]


def cpu_milliseconds(call: Callable[[], object]) -> float:
    started = time.process_time_ns()
    call()
    return (time.process_time_ns() - started) / 1e6


def middle(turns: Turns, name: str) -> float:
    return median(turn[name] for turn in turns)


def ratio(turns: Turns, name: str, to: str) -> float:
    """How many times as much the one takes as the other, of the same round."""
    return median(turn[name] / turn[to] for turn in turns)


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns, the first to the left and the others to the right."""
    widths = [max(len(line[place]) for line in (heads, *lines)) for place in range(len(heads))]
    return "\n".join(_line(line, widths) for line in (heads, *lines))


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(texts, widths, strict=True)
    return "  ".join(["", first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)])


def _cpu(call: Callable[[int], object], calls: int, turn: int) -> float:
    return cpu_milliseconds(lambda: [call(turn * calls + number) for number in range(calls)]) / calls
