"""migrate.py once its environment is there: plan, apply, resume, verify, report."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from scripts.migration import report as reports
from scripts.migration.calls import Caller
from scripts.migration.capacity import AdaptiveConcurrency, CapacityLimit
from scripts.migration.estimate import estimate
from scripts.migration.failure import MigrationError
from scripts.migration.journal import Journal, Outcome
from scripts.migration.mapping import Mapping, load_mapping
from scripts.migration.options import Options, Verb, parse
from scripts.migration.progress import Progress, say
from scripts.migration.puts import ConditionalPuts
from scripts.migration.reading import Contents, FirstReading, changed, digest_source
from scripts.migration.registry import Registry
from scripts.migration.rejects import Rejects
from scripts.migration.report import Report
from scripts.migration.run import Run, is_finished
from scripts.migration.sources.opening import open_source
from scripts.migration.sources.source import SourceError
from scripts.migration.target import Target, open_target
from scripts.migration.verifying import Verifier
from scripts.migration.work import WorkFolder

DONE, FAILED, REJECTS, DIFFERENT, INTERRUPTED = 0, 1, 3, 4, 130
"""Exit statuses; 2 is that of wrong options."""


def main(given: Sequence[str] | None = None) -> int:
    try:
        options = parse(given)
        with options.work.locked():
            return _run(options)
    except (MigrationError, SourceError) as error:
        say(f"migrate.py: {error}")
        return FAILED
    except OSError as error:
        say(f"migrate.py: {error}. Make room, or see who may write there; then go on with resume, if a run has begun.")
        return FAILED


def _run(options: Options) -> int:
    try:
        return _VERBS[options.verb](options)
    except KeyboardInterrupt:
        is_writing = options.verb in ("apply", "resume") and _is_unfinished(options)
        goes_on = "What was acknowledged is in the journal: `migrate.py resume` goes on."
        say(f"\nInterrupted. {goes_on if is_writing else 'Nothing was written.'}")
        return INTERRUPTED


def plan(options: Options) -> int:
    """Reads everything and writes nothing."""
    with _opened(options) as (contents, mapping), _scratch(options.work) as journal:
        target = None if options.offline else _found_target(options)
        reading, rejected = _first_reading(options, contents, journal)
        report = _report(options, reading=reading)
        options.work.write(options.work.report, report)
        if not options.work.journal.exists():  # else it says what a run began with
            options.work.write(options.work.command, options.command)
        if target is not None:
            _look_at_target(target, journal, mapping)
    return _show(options, report, REJECTS if rejected else DONE)


def apply(options: Options) -> int:
    """Writes what is accepted."""
    _refuse_unfinished(options)
    with _opened(options) as (contents, mapping):
        target = _target(options)
        options.work.write(options.work.command, options.command)
        with closing(Journal.create(options.work.journal, target.identity)) as journal:
            reading, rejected = _first_reading(options, contents, journal)
            options.work.write(options.work.report, _report(options, reading=reading))
            if rejected and not options.accept_rejects:
                say(f"{rejected} rows are rejects; see {options.work.rejects}. Nothing was written.")
                say("Correct the source or the mapping, or leave them behind with --accept-rejects.")
                return REJECTS
            journal.put(mapping=mapping.digest, reading=json.dumps(reading))
            return _write(options, contents, mapping, journal, target, resumed=False)


def resume(options: Options) -> int:
    """Goes on with what `apply` began."""
    with _opened(options) as (contents, mapping), closing(Journal(options.work.journal)) as journal:
        if journal.get("phase") is None:
            raise MigrationError("Nothing was written yet: begin with apply.")
        if is_finished(journal):
            say("The run is finished; there is nothing to resume.")
            show_report(options)
            return _status(journal)
        target = _target(options)
        _refuse_changes(contents, mapping, journal, target)
        return _write(options, contents, mapping, journal, target, resumed=True)


def verify(options: Options) -> int:
    """Reads both sides anew and compares them; relies on nothing that `apply` noted."""
    with _opened(options) as (contents, mapping), _scratch(options.work) as journal:
        target = _found_target(options)
        reading, rejected = _first_reading(options, contents, journal)
        found = Verifier(contents, journal, target, mapping.source).run()
    report = _report(options, reading=reading, verification=reports.verification_report(found, reading))
    options.work.write(options.work.report, report)
    options.work.write_lines(options.work.owners, reports.owner_states(found))
    return _show(options, report, DIFFERENT if not found.is_right else REJECTS if rejected else DONE)


def show_report(options: Options) -> int:
    for line in reports.lines(options.work.read(options.work.report)):
        print(line)
    return DONE


_VERBS: dict[Verb, Callable[[Options], int]] = {
    "plan": plan,
    "apply": apply,
    "resume": resume,
    "verify": verify,
    "report": show_report,
}


@contextmanager
def _opened(options: Options) -> Iterator[tuple[Contents, Mapping]]:
    mapping = load_mapping(options.mapping)
    source = open_source(options.source, collections=mapping.collections, options=mapping.options)
    with closing(source):
        yield Contents(source, mapping), mapping


@contextmanager
def _scratch(work: WorkFolder) -> Iterator[Journal]:
    """A journal that nobody goes on with."""
    with closing(Journal.create(work.scratch)) as journal:
        yield journal
    for path in work.root.glob(f"{work.scratch.name}*"):
        path.unlink()


def _target(options: Options) -> Target:
    return open_target(options.target, options.pace.threads)


def _found_target(options: Options) -> Target:
    """Raises MigrationError where a table cannot be read, before a long reading of the source."""
    target = _target(options)
    for table, name in target.tables.items():
        say(f"{name} {'is empty' if target.is_empty(table) else 'holds rows'}.")
    return target


def _first_reading(options: Options, contents: Contents, journal: Journal) -> tuple[Report, int]:
    """What it found, and how many rows are rejects."""
    with closing(Rejects(options.work.rejects_of(options.verb))) as rejects, Progress("reading", None) as progress:
        findings = FirstReading(contents, journal, rejects, progress.tick).run()
    options.work.write_lines(options.work.owners, reports.owner_counts(journal))
    cost = estimate(findings, options.pace.max_wcu)
    return reports.reading_report(contents, findings, rejects, cost, journal), rejects.total


def _look_at_target(target: Target, journal: Journal, mapping: Mapping) -> None:
    """Raises MigrationError for what `apply` would be stopped by."""
    caller = Caller(CapacityLimit(None), AdaptiveConcurrency(1))
    Registry(journal, ConditionalPuts(target.reader, target.reader, caller), target.reader, mapping.source).check()


def _refuse_unfinished(options: Options) -> None:
    if not options.start_over and _is_unfinished(options):
        raise MigrationError(
            f"An interrupted run is in {options.work.root}: go on with resume, or pass --start-over, which "
            "recognises what was written and writes nothing twice."
        )


def _is_unfinished(options: Options) -> bool:
    """Whether the folder has a run that has begun to write, and can be resumed."""
    if not options.work.journal.exists():
        return False
    with closing(Journal(options.work.journal)) as journal:
        return journal.get("phase") is not None and not is_finished(journal)


def _refuse_changes(contents: Contents, mapping: Mapping, journal: Journal, target: Target) -> None:
    if journal.get("mapping") != mapping.digest:
        raise MigrationError("The mapping has changed since the run began: apply --start-over begins anew with it.")
    if journal.get("target") != target.identity:
        raise MigrationError("These are not the tables that the run began with: name them as then, or apply anew.")
    with Progress("reading", None) as progress:
        digest = digest_source(contents, progress.tick)
    if digest.hex() != json.loads(journal.get("reading") or "{}").get("source_digest"):
        raise changed("its digest is another")


def _write(
    options: Options, contents: Contents, mapping: Mapping, journal: Journal, target: Target, *, resumed: bool
) -> int:
    with closing(Rejects(options.work.rejects, resumed=True)) as rejects:
        run = Run(contents, mapping, journal, target, rejects, options.pace, options.work.holder)
        try:
            run.write(resumed=resumed)
        finally:
            reading = json.loads(journal.get("reading") or "{}")
            report = _report(options, reading=reading, writing=reports.writing_report(journal, run))
            options.work.write(options.work.report, report)
    say("Functions that run already may hold an index of before: publish them anew (docs/MIGRATION.md).")
    return _show(options, report, _status(journal))


def _status(journal: Journal) -> int:
    """Of a run that is finished, whatever start of it left rows behind."""
    reading = json.loads(journal.get("reading") or "{}")
    return REJECTS if reading.get("rejects") or Outcome.TAKEN in journal.outcome_counts() else DONE


def _report(options: Options, **parts: Report) -> Report:
    target = "the laptop stack" if options.target.local else options.target.environment or "the shell's tables"
    return {"verb": options.verb, "source": options.source, "target": target, **parts}


def _show(options: Options, report: Report, status: int) -> int:
    for line in reports.lines(report):
        print(line)
    if status == REJECTS:
        print(f"The rejects, one by one: {options.work.rejects_of(options.verb)}")
    return status


if __name__ == "__main__":
    sys.exit(main())
