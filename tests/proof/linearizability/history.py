"""What clients asked of one report, when, and what they were told: recorded, made operations of, and printed."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from .checker import Operation, Step, is_linearizable
from .report import NOTHING_CHANGED, READS, UNKNOWN, Kind, Request, Seen, State, answered, shown


@dataclass(slots=True)
class Call:
    """One request of one client; `answered` and `seen` are None while there is no answer, or where none ever came."""

    client: int
    request: Request
    invoked: int
    answered: int | None = None
    seen: Seen | None = None
    unanswered_tries: int = 0
    """Tries of the SDK that may have been applied, though no answer of theirs arrived."""

    notes: list[str] = field(default_factory=list)
    """Faults that it met."""

    @property
    def is_open(self) -> bool:
        return self.answered is None or self.seen is None or self.seen.problem == UNKNOWN

    @property
    def has_no_effect(self) -> bool:
        """By what was answered, or by what it is."""
        refused = self.seen is not None and self.seen.status >= 400 and not self.is_open
        return refused or self.request.kind in READS or self.request.by_stranger

    def cut_at(self, moment: int) -> "Call":
        """The same call as it looked then."""
        if self.answered is not None and self.answered > moment:
            return replace(self, answered=None, seen=None)
        return self

    def __str__(self) -> str:
        end = "      " if self.answered is None else f"{self.answered:6}"
        told = "no answer" if self.seen is None else _told(self.seen)
        notes = f"  [{', '.join(self.notes)}]" if self.notes else ""
        return f"{self.invoked:6} ..{end}  client {self.client}: {_asked(self.request)} -> {told}{notes}"


@dataclass(slots=True)
class Report:
    """One of the reports that clients are concerned with, and what became of it; its id comes from its key."""

    key: str
    id: str
    calls: list[Call] = field(default_factory=list)
    moments: list[tuple[int, str]] = field(default_factory=list)
    """Versions that were seen, with their `updated_at`."""


@dataclass(slots=True)
class History:
    """What clients did with some reports; `oddities` are what no answer may be, whatever happened before."""

    reports: list[Report]
    is_made_again: bool
    """Whether a report may be made again after a delete, at its first version."""

    oddities: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    """Answers that a proxy lost."""

    @property
    def length(self) -> int:
        return sum(len(report.calls) for report in self.reports)

    def __str__(self) -> str:
        return "\n".join([report.key + "\n" + "\n".join(map(str, report.calls)) for report in self.reports])


def explained(calls: Sequence[Call]) -> bool:
    """Whether the calls of one report, which does not exist at first, are those of an atomic one."""
    may_go = any(call.request.kind is Kind.DELETE for call in calls)
    return is_linearizable([_operation(call, may_go=may_go) for call in calls], None)


def _operation(call: Call, *, may_go: bool) -> Operation[State]:
    repeats = call.unanswered_tries if may_go else 0
    return Operation(call.invoked, None if call.is_open else call.answered, _steps(call, repeats))


def _steps(call: Call, repeats: int) -> list[Step[State]]:
    """One atomic step, which answers what was seen, unless the SDK sent a request again for want of an answer.

    Then an earlier try may have made the change and the last one have been told the row as it stood by then, with
    later changes of others: the change and the look are two steps. Where another deleted the report in between and it
    was made again, no retry can tell the new one from the old, and it changes each once: a create makes it anew, and a
    delete deletes it anew (docs/ARCHITECTURE.md): up to `repeats` times. A delete that finds nothing is done.
    """
    request, seen = call.request, call.seen
    if call.is_open or seen is None:
        return [] if call.has_no_effect else [_try(call)] * (1 + repeats)
    if seen.problem in NOTHING_CHANGED:
        return []
    if seen.status >= 400 or not call.unanswered_tries or request.kind in READS:
        return [_seen_at_once(request, seen)]
    again = [_maybe(call)] * repeats
    if request.kind is Kind.DELETE:
        return [*again, _gone(request)]
    return [*again, _made(call, seen), _shows(request, seen)]


def _try(call: Call) -> Step[State]:
    return lambda state: (_retried(call, state),)


def _maybe(call: Call) -> Step[State]:
    """A try of which it is not known whether it was applied; no report takes a call twice."""
    return lambda state: {state, _retried(call, state)}


def _retried(call: Call, state: State) -> State:
    if state is not None and call.invoked in state.retried:
        return state
    after = answered(call.request, state)[1]
    if after is None or after == state:
        return after
    return after._replace(retried=after.retried | {call.invoked})


def _seen_at_once(request: Request, seen: Seen) -> Step[State]:
    def step(state: State) -> Collection[State]:
        expected, after = answered(request, state)
        return (after,) if expected == seen else ()

    return step


def _made(call: Call, seen: Seen) -> Step[State]:
    def step(state: State) -> Collection[State]:
        is_made = state is not None and call.invoked in state.retried
        if is_made or answered(call.request, state)[0].status == seen.status:
            return (_retried(call, state),)
        return ()

    return step


def _shows(request: Request, seen: Seen) -> Step[State]:
    def step(state: State) -> Collection[State]:
        is_shown = state is not None and shown(request.kind, state, seen.status) == seen
        return (state,) if is_shown else ()

    return step


def _gone(request: Request) -> Step[State]:
    def step(state: State) -> Collection[State]:
        if state is None or request.by_stranger:
            return (state,)
        return _seen_at_once(request, Seen(204))(state)

    return step


def shortest(calls: Sequence[Call]) -> list[Call]:
    """The beginning of an inexplicable history that is inexplicable already, less what it takes not.

    A call without effect explains nothing, so that without it the rest is no easier to explain. One whose tries got
    lost stays, for it may have had an effect nevertheless.
    """
    ends = sorted(call.answered for call in calls if call.answered is not None)
    kept = next(cut for moment in ends if not explained(cut := _until(calls, moment)))
    for call in list(kept):
        rest = [other for other in kept if other is not call]
        if call.has_no_effect and not call.unanswered_tries and not explained(rest):
            kept = rest
    return kept


def _until(calls: Sequence[Call], moment: int) -> list[Call]:
    return [call.cut_at(moment) for call in calls if call.invoked <= moment]


def _asked(request: Request) -> str:
    content = request.content if isinstance(request.content, str) else "{" + ", ".join(sorted(request.content)) + "}"
    parts = [request.kind.value, *([content] if content else [])]
    if request.versions is not None:
        parts.append("If-Match " + ",".join(map(str, sorted(request.versions))))
    if request.key:
        parts.append(f"key {request.key}")
    return " ".join([*(["another user's"] if request.by_stranger else []), *parts])


def _told(seen: Seen) -> str:
    if seen.problem:
        return f"{seen.status} {seen.problem}"
    shown_parts = [] if seen.version is None else [f"v{seen.version}"]
    shown_parts += [] if seen.title is None else [f"title {seen.title}"]
    shown_parts += [] if seen.favorites is None else ["{" + ", ".join(sorted(seen.favorites)) + "}"]
    return " ".join([str(seen.status), *shown_parts])
