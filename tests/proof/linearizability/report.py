"""One report as docs/API.md has it, without concurrency: what each request answers, and what it leaves."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from tests.support.api import Answer

CAP = 2
"""Favourites that a report can have here, so that few requests reach it."""

_REMEMBERED = 4
"""The last changes of a report, by whose Idempotency-Keys a repeat is recognised."""


class Kind(StrEnum):
    CREATE = "create"
    GET = "get"
    FAVORITES = "favorites"
    PATCH = "patch"
    DELETE = "delete"
    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


READS = frozenset({Kind.GET, Kind.FAVORITES})
_ANSWERED_WITH_FAVORITES = frozenset({Kind.FAVORITES, Kind.ADD, Kind.REMOVE, Kind.REPLACE})

NOTHING_CHANGED = frozenset({"unavailable", "too-many-requests"})
"""Problems that promise it."""

UNKNOWN = "outcome-unknown"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks of a report. `content` is a title, a product or several, by kind."""

    kind: Kind
    content: str | frozenset[str] = ""
    versions: frozenset[int] | None = None
    """What its If-Match names."""

    key: str | None = None
    """Its Idempotency-Key."""

    by_stranger: bool = False
    """The report is not theirs."""


class Row(NamedTuple):
    """A report that exists. `keys` are those of its last changes with their content, None for one without a key."""

    version: int
    title: str
    favorites: frozenset[str]
    keys: tuple[tuple[Kind, str, str | frozenset[str]] | None, ...]
    created_with: tuple[str | None, str | frozenset[str]]
    retried: frozenset[int] = frozenset()
    """Requests that were sent again for want of an answer, and that this report has."""


State = Row | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client sees of an answer; what its kind does not show is None."""

    status: int
    problem: str | None = None
    version: int | None = None
    title: str | None = None
    favorites: frozenset[str] | None = None

    @classmethod
    def of(cls, answer: Answer) -> "Seen":
        if answer.status == 204:
            return cls(204)
        document = answer.json()
        if answer.status >= 400:
            return cls(answer.status, document["type"].rsplit(":", 1)[-1])
        version = int(answer.headers["ETag"].strip('"'))
        assert document.get("version", version) == version, "the ETag is not the version"
        return cls(answer.status, None, version, document.get("title"), frozenset(document["favorites"]))


def answered(request: Request, state: State) -> tuple[Seen, State]:
    """The answer to a request that nothing else happens beside, and the state after it."""
    if request.kind is Kind.CREATE:
        return _create(request, state)
    if state is None or request.by_stranger:
        return Seen(404, "not-found"), state
    if request.kind in READS:
        return shown(request.kind, state), state
    if request.kind is not Kind.DELETE and _used(request, state.keys):
        return _repeated(request, state), state
    if request.versions is not None and state.version not in request.versions:
        return Seen(412, "precondition-failed"), state
    if request.kind is Kind.DELETE:
        return Seen(204), None
    return _change(request, state)


def shown(kind: Kind, row: Row, status: int = 200) -> Seen:
    """The row as an answer to a request of this kind has it."""
    title = None if kind in _ANSWERED_WITH_FAVORITES else row.title
    return Seen(status, None, row.version, title, row.favorites)


def _create(request: Request, state: State) -> tuple[Seen, State]:
    """The id comes from the key, so a report that is there was made with it."""
    if state is None:
        made = Row(1, str(request.content), frozenset(), (None,), (request.key, request.content))
        return shown(Kind.CREATE, made, 201), made
    if state.created_with != (request.key, request.content):
        return Seen(422, "invalid-request"), state
    return shown(Kind.CREATE, state, 201), state


def _used(request: Request, keys: Iterable[tuple[Kind, str, Any] | None]) -> bool:
    return request.key is not None and any(used and used[:2] == (request.kind, request.key) for used in keys)


def _repeated(request: Request, row: Row) -> Seen:
    is_same = (request.kind, request.key, request.content) in row.keys
    return shown(request.kind, row) if is_same else Seen(422, "invalid-request")


def _change(request: Request, row: Row) -> tuple[Seen, State]:
    """A change that is none is left out, but for one with a key, which must stay to be recognised."""
    changed = _changed(request, row)
    if len(changed.favorites) > max(CAP, len(row.favorites)):
        return Seen(409, "conflict"), row
    if changed == row and request.key is None and request.kind in (Kind.ADD, Kind.REMOVE):
        return shown(request.kind, row), row
    entry = None if request.key is None else (request.kind, request.key, request.content)
    after = changed._replace(version=row.version + 1, keys=(entry, *row.keys)[:_REMEMBERED])
    return shown(request.kind, after), after


def _changed(request: Request, row: Row) -> Row:
    products = frozenset({request.content}) if isinstance(request.content, str) else request.content
    match request.kind:
        case Kind.PATCH:
            return row._replace(title=str(request.content))
        case Kind.ADD:
            return row._replace(favorites=row.favorites | products)
        case Kind.REMOVE:
            return row._replace(favorites=row.favorites - products)
        case Kind.REPLACE:
            return row._replace(favorites=products)
    raise AssertionError(f"{request.kind} is no change")
