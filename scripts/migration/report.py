"""What a step of a migration found, for people and for programs."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from scripts.migration.estimate import Estimate
from scripts.migration.journal import Journal
from scripts.migration.reading import Contents, Findings
from scripts.migration.rejects import Rejects
from scripts.migration.run import Run
from scripts.migration.verifying import WRONG, Verification

Report = dict[str, Any]
_FEW_OWNERS, _SHOWN_OWNERS = 20, 100
"""The others are in the file of owners alone, which may be long."""


def reading_report(
    contents: Contents, findings: Findings, rejects: Rejects, estimate: Estimate, journal: Journal
) -> Report:
    """What the first reading found."""
    return {
        "collections": {name: transformer.table for name, transformer in contents.transformers.items()},
        "ignored_collections": contents.ignored,
        "rows": findings.source.count,
        "accepted": dict(sorted(findings.accepted.items())),
        "rejects": dict(sorted(rejects.counts.items())),
        "identical_duplicates": findings.identical,
        "left_out": contents.source.left_out(),
        "source_digest": findings.source.hex(),
        "content_digest": findings.target.hex(),
        "estimate": asdict(estimate),
        "owners": journal.owner_count(),
    }


def owner_counts(journal: Journal) -> Iterator[Report]:
    """The accepted rows of each owner, by table."""
    for owner, counts in groupby(journal.owner_counts(), itemgetter(0)):
        yield {"owner": owner, **{table: count for _, table, count in counts}}


def owner_states(found: Verification) -> Iterator[Report]:
    """What became of each owner's rows, by table and state."""
    surplus = ((owner, table, "surplus", count) for (owner, table), count in found.surplus.items())
    states = ((*place, count) for place, count in found.counts.items())
    for owner, counts in groupby(sorted([*states, *surplus]), itemgetter(0)):
        tables: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for _, table, state, count in counts:
            tables[table][state] = count
        yield {"owner": owner, **tables}


def writing_report(journal: Journal, run: Run) -> Report:
    """What has become of the rows so far, and how the tables took it."""
    return {
        "outcomes": {outcome.name.lower(): count for outcome, count in journal.outcome_counts().items()},
        "write_units": round(run.caller.limit.consumed, 1),
        "throttled_calls": run.caller.concurrency.throttles,
        "unprocessed_items": run.batches.unprocessed,
    }


def verification_report(found: Verification, reading: Mapping[str, Any]) -> Report:
    """`reading` is what reading_report said of the source."""
    owners = {counts.pop("owner"): counts for counts in islice(_shown(found), _SHOWN_OWNERS)}
    rejects = sum(reading["rejects"].values())
    return {
        "agrees": found.is_right,
        "complete": found.is_right and not rejects,
        "rows": reading["rows"] - reading["identical_duplicates"],
        "arrived": found.arrived,
        "rejects": rejects,
        "states": found.by_state,
        "missing_model_versions": found.missing_models,
        "different_model_versions": found.different_models,
        "surplus": found.surplus.total(),
        "source_digest": found.source.hex(),
        "target_digest": found.target.hex(),
        "owners": owners,
    }


def _shown(found: Verification) -> Iterator[Report]:
    """Few owners are all shown; of many, those of whom something did not arrive or is there too much."""
    is_few = len({owner for owner, _, _ in found.counts}) <= _FEW_OWNERS
    odd = {*WRONG, "surplus"}
    for counts in owner_states(found):
        states = {state for states in counts.values() if isinstance(states, dict) for state in states}
        if is_few or states & odd:
            yield counts


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report as text."""
    yield f"{report['verb']} of {report['source']} into {report['target']}"
    if "reading" in report:
        yield from _reading_lines(report["reading"])
    if "writing" in report:
        yield from _writing_lines(report["writing"])
    if "verification" in report:
        yield from _verification_lines(report["verification"])


def _reading_lines(reading: Mapping[str, Any]) -> Iterator[str]:
    accepted = _counts(reading["accepted"]) or "none"
    yield f"read: {reading['rows']:,} rows; accepted: {accepted}, of {reading['owners']:,} owners"
    if reading["identical_duplicates"]:
        yield f"there twice, word for word: {reading['identical_duplicates']:,}"
    if reading["left_out"] or reading["ignored_collections"]:
        yield "left out: " + ", ".join(filter(None, (_counts(reading["left_out"]), *reading["ignored_collections"])))
    yield "rejects: " + (_counts(reading["rejects"]) or "none")
    cost = reading["estimate"]
    yield (
        f"estimate: {cost['items']:,} items, {cost['bytes'] / 1e6:,.1f} MB, {cost['write_units']:,} write units, "
        f"${cost['dollars']:,.2f}, {cost['minutes']:,.1f} minutes"
    )
    yield f"digest of the rows as they were read: {reading['source_digest']}"


def _writing_lines(writing: Mapping[str, Any]) -> Iterator[str]:
    yield "written: " + (_counts(writing["outcomes"]) or "nothing")
    yield (
        f"consumed: {writing['write_units']:,} write units; {writing['throttled_calls']:,} calls were throttled, "
        f"{writing['unprocessed_items']:,} items of batches left for later"
    )


def _verification_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['arrived']:,} of {found['rows']:,} rows of the source arrived."
    yield "verified: " + (_counts({state: count for state, count in found["states"].items() if count}) or "nothing")
    yield (
        f"model versions missing: {found['missing_model_versions']:,}; "
        f"of another dimension: {found['different_model_versions']:,}"
    )
    yield f"surplus, which the source no longer has: {found['surplus']:,}"
    yield f"digest of the items of the source: {found['source_digest']}"
    yield f"digest of those of the target: {found['target_digest']}"
    for owner, tables in found["owners"].items():
        yield f"  {owner}: " + "; ".join(f"{table}: {_counts(states)}" for table, states in tables.items())
    yield _verdict(found)


def _verdict(found: Mapping[str, Any]) -> str:
    if not found["agrees"]:
        return "THE SIDES DIFFER: see what did not arrive above."
    if not found["complete"]:
        return f"What was accepted arrived, and {found['rejects']:,} rows of the source STAYED BEHIND as rejects."
    return "Both sides agree."


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
