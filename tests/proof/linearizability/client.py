"""One client: what it asks next, by what it has seen so far, and its record of what it was told."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tests.support.api import Answer, Api

from .faults import OWN_RETRY
from .history import Call, History, Report
from .report import CAP, NOTHING_CHANGED, UNKNOWN, Kind, Request, Seen

_KEYED = frozenset({Kind.PATCH, Kind.ADD, Kind.REMOVE, Kind.REPLACE})
_CONDITIONED = frozenset({*_KEYED, Kind.DELETE})
_PRODUCTS = "pqr"
_METHODS = {
    Kind.CREATE: "POST",
    Kind.GET: "GET",
    Kind.FAVORITES: "GET",
    Kind.PATCH: "PATCH",
    Kind.DELETE: "DELETE",
    Kind.ADD: "PUT",
    Kind.REMOVE: "DELETE",
    Kind.REPLACE: "PUT",
}


class Send(Protocol):
    """Sends a request of a client, and returns no answer where none came."""

    def __call__(self, call: Call, ask: Callable[[], Answer]) -> Answer | None: ...


@dataclass(slots=True)
class Client:
    """Asks one request after another. `now` gives the time at which something is asked or answered."""

    number: int
    source: random.Random
    history: History
    apis: tuple[Api, Api]
    """The owner's and a stranger's."""

    now: Callable[[], int]
    send: Send
    _versions: dict[str, int] = field(default_factory=dict)
    _keyed: list[tuple[Report, Call]] = field(default_factory=list)

    def work(self, requests: int, kinds: Mapping[Kind, int]) -> None:
        """Ask so many requests; `kinds` says how many there are of each, on average, among how many."""
        for _ in range(requests):
            if self.source.random() < 0.04:
                self._look_at_list()
            else:
                self._ask_something(kinds)

    def ask(self, report: Report, request: Request) -> Call:
        """Ask, and enter it into the report's history."""
        call = Call(self.number, request, self.now())
        report.calls.append(call)
        try:
            answer = self.send(call, lambda: _sent(self.apis[request.by_stranger], report, request))
        except AssertionError as error:  # of an answer that the OpenAPI document does not tell of
            self.history.oddities.append(f"{error}: {call}")
            return call
        if answer is not None:
            call.seen, call.answered = Seen.of(answer), self.now()
            self._learn(report, call.seen, answer)
            self._look_for_oddities(call)
        return call

    def _learn(self, report: Report, seen: Seen, answer: Answer) -> None:
        if seen.version is None:
            return
        self._versions[report.id] = seen.version
        if seen.title is not None:
            report.moments.append((seen.version, answer.json()["updated_at"]))

    def _look_for_oddities(self, call: Call) -> None:
        assert call.seen is not None
        if call.seen.status == 500:
            self.history.oddities.append(f"an answer that no request may have: {call}")
        if call.seen.problem == UNKNOWN and not call.unanswered_tries:
            self.history.oddities.append(f"the outcome is said to be unknown though no answer got lost: {call}")

    def _ask_something(self, kinds: Mapping[Kind, int]) -> None:
        last = self._keyed[-1] if self._keyed and self._keyed[-1][1].request.kind in kinds else None
        if last and self.source.random() < (0.6 if _is_unsettled(last[1]) else 0.1):
            self.history.fired[OWN_RETRY] += 1
            report, request = last[0], last[1].request
        else:
            report = self.source.choice(self.history.reports)
            request = self._request(report, kinds)
        call = self.ask(report, request)
        if request.key is not None and not request.by_stranger:
            self._keyed.append((report, call))

    def _request(self, report: Report, kinds: Mapping[Kind, int]) -> Request:
        kind = self._kind(report, kinds)
        versions, key = None, report.key if kind is Kind.CREATE else None
        if kind in _CONDITIONED and self.source.random() < (0.7 if kind is Kind.DELETE else 0.4):
            versions = frozenset({max(1, self._versions.get(report.id, 1) - self.source.choice((0, 0, 0, 0, 1)))})
        if kind in _KEYED and self.source.random() < 0.35:
            key = self._key()
        is_strange = kind is not Kind.CREATE and self.source.random() < 0.05
        return Request(kind, self._content(kind, report), versions, key, is_strange)

    def _kind(self, report: Report, kinds: Mapping[Kind, int]) -> Kind:
        if Kind.CREATE in kinds and not report.calls:
            return Kind.CREATE
        return self.source.choices(list(kinds), list(kinds.values()))[0]

    def _key(self) -> str:
        """A new one, but seldom one of before, which stands for something else."""
        if self._keyed and self.source.random() < 0.08:
            return str(self._keyed[-1][1].request.key)
        return f"{self.number}-{len(self._keyed)}"

    def _content(self, kind: Kind, report: Report) -> str | frozenset[str]:
        match kind:
            case Kind.CREATE:
                return "new" if self.source.random() < 0.95 else "other"
            case Kind.PATCH:
                return f"{self.number}.{self.source.randrange(1_000)}"
            case Kind.ADD | Kind.REMOVE:
                return self.source.choice(_PRODUCTS)
            case Kind.REPLACE:
                return frozenset(self.source.sample(_PRODUCTS, self.source.randint(0, CAP)))
        return ""

    def _look_at_list(self) -> None:
        """The index is eventually consistent: only whose the reports are is certain."""
        call = Call(self.number, Request(Kind.GET), self.now())
        answer = self.send(call, lambda: self.apis[0].get("/reports"))
        if answer is not None and answer.status == 200:
            ids = {listed["id"] for listed in answer.json()["reports"]}
            strange = ids - {report.id for report in self.history.reports}
            if strange:
                self.history.oddities.append(f"client {self.number} was listed reports of nobody: {sorted(strange)}")


def _is_unsettled(call: Call) -> bool:
    return call.seen is None or call.seen.problem in (UNKNOWN, *NOTHING_CHANGED)


def _sent(api: Api, report: Report, request: Request) -> Answer:
    place = f"/reports/{report.id}"
    headers = {}
    if request.versions is not None:
        headers["If-Match"] = ", ".join(f'"{version}"' for version in sorted(request.versions))
    if request.key is not None:
        headers["Idempotency-Key"] = request.key
    path, body = {
        Kind.CREATE: ("/reports", {"title": request.content, "author": "a", "date": "2026-01-01"}),
        Kind.PATCH: (place, {"title": request.content}),
        Kind.FAVORITES: (f"{place}/favorites", None),
        Kind.REPLACE: (f"{place}/favorites", {"favorites": sorted(request.content)}),
        Kind.ADD: (f"{place}/favorites/{request.content}", None),
        Kind.REMOVE: (f"{place}/favorites/{request.content}", None),
    }.get(request.kind, (place, None))
    return api.request(_METHODS[request.kind], path, body, headers=headers)
