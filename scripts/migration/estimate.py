"""What the writing will cost and take, from the rows themselves and DynamoDB's documented rules."""

from dataclasses import dataclass

from scripts.migration.reading import Findings

DOLLARS_PER_MILLION_UNITS = 0.625
"""On-demand write units in us-east-1, as docs/COST.md has it."""

_NEW_TABLE_UNITS_PER_SECOND = 4_000
"""What an on-demand table bears at once that has never borne more."""

_ROWS_PER_SECOND = 1_500
"""What one process of this tool writes at most, about."""


@dataclass(frozen=True, slots=True)
class Estimate:
    items: int
    bytes: int
    write_units: int
    dollars: float
    minutes: float


def estimate(findings: Findings, max_wcu: float | None) -> Estimate:
    """Of writing every accepted row into empty tables; `max_wcu` is the limit that the user sets."""
    items = findings.accepted.total()
    units_per_second = min(max_wcu or _NEW_TABLE_UNITS_PER_SECOND, _NEW_TABLE_UNITS_PER_SECOND)
    seconds = max(findings.write_units / units_per_second, items / _ROWS_PER_SECOND)
    return Estimate(
        items=items,
        bytes=findings.bytes.total(),
        write_units=findings.write_units,
        dollars=round(findings.write_units * DOLLARS_PER_MILLION_UNITS / 1e6, 2),
        minutes=round(seconds / 60, 1),
    )
