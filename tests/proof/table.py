"""The table that a run ends in."""

from collections.abc import Mapping

from .outcome import Outcome

_HEADINGS = ("suite", "cases", "faults fired", "violations", "seconds")


def table(outcomes: Mapping[str, tuple[Outcome, float]]) -> str:
    """A line for each suite, then what is behind its numbers: a Markdown table and lists."""
    rows = [_HEADINGS, *(_row(name, *found) for name, found in outcomes.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for name, (outcome, _) in outcomes.items():
        lines += _details(name, outcome)
    return "\n".join(lines)


def _row(name: str, outcome: Outcome, seconds: float) -> tuple[str, ...]:
    faults = f"{outcome.faults.total():,}" if outcome.faults else "-"
    return name, f"{outcome.cases:,} {outcome.unit}", faults, str(len(outcome.violations)), f"{seconds:.0f}"


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def _details(name: str, outcome: Outcome) -> list[str]:
    counts = [f"{fault}: {fired:,}" for fault, fired in sorted(outcome.faults.items())]
    figures = [f"{figure}: {value}" for figure, value in outcome.figures.items()]
    found = [f"VIOLATION {violation}" for violation in outcome.violations]
    found += [f"VIOLATION the fault {fault!r} never fired, so nothing was shown of it" for fault in outcome.idle]
    found += [] if outcome.cases or found else ["VIOLATION it had no case"]
    listed = [*(["faults: " + ", ".join(counts)] if counts else []), *figures, *found]
    return ["", f"{name}:", *(f"- {line}" for line in listed)] if listed else []
