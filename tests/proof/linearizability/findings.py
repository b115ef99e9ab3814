"""What is wrong with a history, in words that show it."""

from itertools import pairwise

from .history import History, Report, explained, shortest


def findings(history: History) -> list[str]:
    """Nothing, if all is well."""
    found = list(history.oddities)
    for report in history.reports:
        if not explained(report.calls):
            found.append(f"no order explains the calls of report {report.key}:\n{_shown(report)}")
        if not history.is_made_again:
            found += _disorder(report)
    return found


def _shown(report: Report) -> str:
    return "\n".join(f"    {call}" for call in shortest(report.calls))


def _disorder(report: Report) -> list[str]:
    """Where a later version is not of a later time, though readers of the index go by it."""
    seen = sorted(set(report.moments))
    return [
        f"report {report.key} has version {later[0]} of {later[1]} after {earlier[0]} of {earlier[1]}"
        for earlier, later in pairwise(seen)
        if earlier[0] == later[0] or earlier[1] >= later[1]
    ]
