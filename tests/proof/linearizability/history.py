"""What clients asked of one report, when, and what they were told: recorded, made operations of, and printed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from .checker import Operation, Step, is_linearizable
from .report import NOTHING_CHANGED, READS, UNKNOWN, Kind, Request, Seen, State, answered, shown

_REPEATED = frozenset({Kind.CREATE, Kind.DELETE})
"""Kinds that the SDK's own retry makes again, where another request undid them in between (see `_steps`)."""


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


def explained(calls: Sequence[Call]) -> bool:
    """Whether the calls of one report, which does not exist at first, are those of an atomic one."""
    return is_linearizable([operation(call) for call in calls], None)


def operation(call: Call) -> Operation[State]:
    return Operation(call.invoked, None if call.is_open else call.answered, _steps(call))


def _steps(call: Call) -> list[Step[State]]:
    """One atomic step, which answers what was seen, unless the SDK sent a request again for want of an answer.

    Then an earlier try may have made the change and the last one have been told the row as it stood by then, with later
    changes of others: the change and the look are two steps. A create and a delete are made again where another undid
    them in between, as docs/API.md has it of a client's own retry. And a delete that finds nothing is done.
    """
    request, seen = call.request, call.seen
    if call.is_open or seen is None:
        return _open_steps(call)
    if seen.problem in NOTHING_CHANGED:
        return []
    if seen.status >= 400 or not call.unanswered_tries or request.kind in READS:
        return [_seen_at_once(request, seen)]
    if request.kind is Kind.DELETE:
        return [*_again(call), _gone(request)]
    return [*_again(call), _made(request, seen), _shows(request, seen)]


def _open_steps(call: Call) -> list[Step[State]]:
    if call.has_no_effect:
        return []
    times = max(1, call.unanswered_tries) if call.request.kind in _REPEATED else 1
    return [lambda state: (answered(call.request, state)[1],)] * times


def _again(call: Call) -> list[Step[State]]:
    """Tries before the last, each of which may have been applied or not."""
    times = call.unanswered_tries if call.request.kind in _REPEATED else 0
    return [lambda state: {state, answered(call.request, state)[1]}] * times


def _seen_at_once(request: Request, seen: Seen) -> Step[State]:
    def step(state: State) -> Collection[State]:
        expected, after = answered(request, state)
        return (after,) if expected == seen else ()

    return step


def _made(request: Request, seen: Seen) -> Step[State]:
    def step(state: State) -> Collection[State]:
        expected, after = answered(request, state)
        return (after,) if expected.status == seen.status else ()

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
    """The beginning of an inexplicable history that is inexplicable already, less what it takes not: a call without
    effect explains nothing, so that without it the rest is no easier to explain."""
    ends = sorted(call.answered for call in calls if call.answered is not None)
    kept = next(cut for moment in ends if not explained(cut := _until(calls, moment)))
    for call in list(kept):
        rest = [other for other in kept if other is not call]
        if call.has_no_effect and not explained(rest):
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
