"""What a step of a migration found, for people and for programs."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from scripts.migration.estimate import Estimate
from scripts.migration.journal import Journal
from scripts.migration.reading import Contents, Findings
from scripts.migration.rejects import Rejects
from scripts.migration.run import Run
from scripts.migration.verifying import STATES, WRONG, Verification

Report = dict[str, Any]


def reading_report(
    contents: Contents, findings: Findings, rejects: Rejects, estimate: Estimate, journal: Journal
) -> Report:
    """What the first reading found."""
    owners: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for owner, table, count in journal.owner_counts():
        owners[owner][table] = count
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
        "owners": dict(owners),
    }


def writing_report(journal: Journal, run: Run) -> Report:
    """What has become of the rows so far, and how the tables took it."""
    return {
        "outcomes": {outcome.name.lower(): count for outcome, count in journal.outcome_counts().items()},
        "write_units": round(run.caller.limit.consumed, 1),
        "throttled_calls": run.caller.concurrency.throttles,
        "unprocessed_items": run.batches.unprocessed,
    }


def verification_report(found: Verification) -> Report:
    owners: defaultdict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for (owner, table, state), count in sorted(found.counts.items()):
        owners[owner].setdefault(table, {})[state] = count
    return {
        "agrees": found.is_right,
        "states": found.by_state,
        "missing_model_versions": found.missing_models,
        "source_digest": found.source.hex(),
        "target_digest": found.target.hex(),
        "owners": dict(owners),
    }


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
    yield f"read: {reading['rows']:,} rows; accepted: {accepted}, of {len(reading['owners']):,} owners"
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
    yield f"digest of the source: {reading['source_digest']}"


def _writing_lines(writing: Mapping[str, Any]) -> Iterator[str]:
    yield "written: " + (_counts(writing["outcomes"]) or "nothing")
    yield (
        f"consumed: {writing['write_units']:,} write units; {writing['throttled_calls']:,} calls were throttled, "
        f"{writing['unprocessed_items']:,} items of batches left for later"
    )


def _verification_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield "verified: " + _counts({state: found["states"][state] for state in STATES if found["states"][state]})
    yield f"model versions missing: {found['missing_model_versions']}"
    yield f"digest of the source: {found['source_digest']}"
    yield f"digest of the target: {found['target_digest']}"
    for owner, tables in found["owners"].items():
        wrong = {state for states in tables.values() for state in states if state in WRONG}
        if wrong or len(found["owners"]) <= 20:
            yield f"  {owner}: " + "; ".join(f"{table}: {_counts(states)}" for table, states in tables.items())
    yield "Both sides agree." if found["agrees"] else "THE SIDES DIFFER: see what is missing or different above."


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
