"""GET /reports/{report_id} beside the same route in other frameworks: CPU per warm request, and the cold start.

    benchmarks/run.sh                                   everything; about six minutes
    benchmarks/run.sh --rounds 20 --cold-rounds 5       a quick look
    benchmarks/run.sh --instructions                    counted by valgrind instead of timed

Every figure is a median. Ratios are taken within a round, in which all contenders ran one after the other, so that a
busy machine slows all alike.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import breakdown, instructions
from benchmarks.pool import running_pool
from benchmarks.scene import describe
from benchmarks.stage import MODULES, SILENT

ROOT = Path(__file__).parents[1]
TITLES = {
    "k9": "K9 API",
    SILENT: "K9 API without its log line",
    "powertools": "Powertools resolver",
    "fastapi-async": "FastAPI + Mangum, async def",
    "fastapi": "FastAPI + Mangum",
    "floor": "floor: bare boto3 client",
}
REQUESTS_A_ROUND = 150
WARM_UP_ROUNDS = 3
NAN = float("nan")


@dataclass(frozen=True)
class Goal:
    """How many times K9's CPU a peer should need."""

    peer: str
    kind: str
    least: float


GOALS = (Goal("fastapi", "warm", 3.0), Goal("powertools", "warm", 1.2), Goal("fastapi", "cold", 1 / 0.6))

Rounds = list[dict[str, float]]
"""One measurement of every contender per round."""


@dataclass(frozen=True)
class Measurement:
    warm_us: Rounds
    cold_ms: Rounds
    cold_wall_ms: Rounds
    import_ms: Rounds
    interpreter_ms: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure the request path beside its peers.")
    parser.add_argument("--rounds", type=int, default=60, help="rounds of warm requests")
    parser.add_argument("--cold-rounds", type=int, default=20, help="rounds of fresh processes")
    parser.add_argument("--only", nargs="+", choices=list(MODULES), default=list(MODULES), help="contenders")
    parser.add_argument("--instructions", action="store_true", help="count instructions (needs valgrind)")
    options = parser.parse_args(arguments)
    if options.instructions and not instructions.is_available():
        parser.error("valgrind is not installed")
    with tempfile.TemporaryDirectory() as folder, running_pool() as pool:
        scene = Path(folder, "scene.json")
        scene.write_text(json.dumps(describe(pool.token, pool.jwks_url)), encoding="utf-8")
        if options.instructions:
            print(render_instructions(instructions.count(options.only, str(scene), _environment())))
            return
        print(render(measure(options.only, str(scene), options.rounds, options.cold_rounds)))
        if "k9" in options.only:
            print(breakdown.render(json.loads(_output("breakdown", "run", str(scene)))))


def measure(names: Sequence[str], scene: str, rounds: int, cold_rounds: int) -> Measurement:
    starters = [name for name in names if name != SILENT]
    for name in starters:
        _spawn("answer_once", name, scene)  # leaves the compiled modules behind
    cold = [{name: _spawn("answer_once", name, scene) for name in starters} for _ in range(cold_rounds)]
    return Measurement(
        warm_us=measure_warm(names, scene, rounds),
        cold_ms=[{name: cpu for name, (cpu, _) in row.items()} for row in cold],
        cold_wall_ms=[{name: wall for name, (_, wall) in row.items()} for row in cold],
        import_ms=[{name: _spawn("import_only", name, scene)[0] for name in starters} for _ in range(cold_rounds)],
        interpreter_ms=median(_spawn("nothing")[0] for _ in range(cold_rounds)),
    )


def measure_warm(names: Sequence[str], scene: str, rounds: int) -> Rounds:
    """CPU microseconds per request; one process per contender, which take turns."""
    with ExitStack() as stack:
        workers = {name: stack.enter_context(_worker(name, scene)) for name in names}
        _check_alike({name: worker.first for name, worker in workers.items() if name != "floor"})
        for _ in range(WARM_UP_ROUNDS):
            _take_turns(workers, 0)
        return [_take_turns(workers, turn) for turn in range(rounds)]


@dataclass(frozen=True)
class Worker:
    """A warm process: its first answer, and the CPU microseconds per request of so many more."""

    first: Mapping[str, object]
    measure: Callable[[int], float]


@contextmanager
def _worker(name: str, scene: str) -> Iterator[Worker]:
    process = subprocess.Popen(
        _command("worker", "run", name, scene),
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    requests, results = process.stdin, process.stdout
    assert requests is not None
    assert results is not None

    def measure(count: int) -> float:
        requests.write(f"{count}\n")
        return float(results.readline())

    try:
        yield Worker(json.loads(results.readline()), measure)
    finally:
        requests.close()
        process.wait()
        results.close()


def _take_turns(workers: Mapping[str, Worker], turn: int) -> dict[str, float]:
    """One round; who begins changes from round to round."""
    names = list(workers)
    shift = turn % len(names)
    return {name: workers[name].measure(REQUESTS_A_ROUND) for name in names[shift:] + names[:shift]}


def _check_alike(answers: Mapping[str, Mapping[str, object]]) -> None:
    """Contenders that answer differently do not do the same work."""
    seen = {name: (answer["status"], json.loads(str(answer["body"]))) for name, answer in answers.items()}
    assert all(answer == next(iter(seen.values())) for answer in seen.values()), seen


def _spawn(task: str, *arguments: str) -> tuple[float, float]:
    """(CPU, wall) milliseconds of a process, from its start to its end."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(_command("cold", task, *arguments), env=_environment(), check=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000, wall * 1000


def _output(module: str, task: str, *arguments: str) -> str:
    process = subprocess.run(_command(module, task, *arguments), env=_environment(), check=True, stdout=subprocess.PIPE)
    return process.stdout.decode()


def _command(module: str, task: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"from benchmarks.{module} import {task}; {task}({', '.join(map(repr, arguments))})"]


def _environment() -> dict[str, str]:
    """Nothing of the caller's: neither AWS variables nor Python's switches may change what is measured."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


def render(measured: Measurement) -> str:
    head = f"{'CPU':<30}{'warm us':>9}{'x K9':>7}{'cold ms':>10}{'x K9':>7}{'wall ms':>9}{'import ms':>11}"
    lines = [head, *(_row(name, measured) for name in measured.warm_us[0])]
    lines += [f"\nOf each cold start the bare interpreter is {measured.interpreter_ms:.0f} ms.\n"]
    return "\n".join([*lines, *(_verdict(goal, measured) for goal in GOALS if _is_measured(goal, measured))])


def render_instructions(counts: Mapping[str, tuple[float, float]]) -> str:
    warm_base, cold_base = counts.get("k9", (NAN, NAN))
    head = f"{'instructions':<30}{'warm k':>9}{'x K9':>7}{'cold M':>10}{'x K9':>7}"
    rows = (
        f"{TITLES[name]:<30}{warm:>9.0f}{warm / warm_base:>7.2f}{cold:>10.0f}{cold / cold_base:>7.2f}"
        for name, (warm, cold) in counts.items()
    )
    return "\n".join([head, *rows])


def _row(name: str, measured: Measurement) -> str:
    return (
        f"{TITLES[name]:<30}{_median(measured.warm_us, name):>9.0f}{_ratio(measured.warm_us, name):>7.2f}"
        f"{_median(measured.cold_ms, name):>10.0f}{_ratio(measured.cold_ms, name):>7.2f}"
        f"{_median(measured.cold_wall_ms, name):>9.0f}{_median(measured.import_ms, name):>11.0f}"
    ).replace("nan", "  -")


def _is_measured(goal: Goal, measured: Measurement) -> bool:
    return {goal.peer, "k9"} <= measured.warm_us[0].keys()


def _verdict(goal: Goal, measured: Measurement) -> str:
    got = _ratio(measured.warm_us if goal.kind == "warm" else measured.cold_ms, goal.peer)
    outcome = "met" if got >= goal.least else "NOT met"
    return f"{goal.kind}: {TITLES[goal.peer]} needs {got:.2f} times K9's CPU; the goal is {goal.least:.2f}: {outcome}"


def _median(rounds: Rounds, name: str) -> float:
    return median(row.get(name, NAN) for row in rounds)


def _ratio(rounds: Rounds, name: str) -> float:
    """To K9, within each round."""
    return median(row.get(name, NAN) / row.get("k9", NAN) for row in rounds)


if __name__ == "__main__":
    main()
