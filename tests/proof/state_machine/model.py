"""What the product should hold, as plain Python: each user's rows, and the states that a row may be in.

A write whose outcome is unknown leaves a row in one of two states; the next consistent read says in which.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Self, TypeVar

import numpy as np

from .violation import require

PRODUCTS = ("p1", "p 2/ü", "p3?", "p4", "p5", "p6", "p7", "p8")
"""Both users and the shared catalogue have the same products."""

MODELS = ("m:1", "m:1/a")
"""Both have the same model versions, too, and one is the beginning of the other."""

_REGISTER = 4


def as_float32(vector: Iterable[float]) -> tuple[float, ...]:
    """What is kept of these components."""
    return tuple(np.asarray(list(vector), "<f4").tolist())


@dataclass(frozen=True)
class Versioned:
    """What every row has; `register` are the Idempotency-Keys of its last four writes, newest first."""

    version: int = 1
    register: tuple[str, ...] = field(default=(), compare=False)

    def changed(self, key: str | None, **members: Any) -> Self:
        """The row after one more write."""
        register = (key or "", *self.register)[:_REGISTER]
        return replace(self, version=self.version + 1, register=register, **members)


@dataclass(frozen=True)
class Report(Versioned):
    title: str = ""
    author: str = ""
    date: str = ""
    reference: Any = None
    favorites: tuple[str, ...] = ()
    created_at: str = field(default="", compare=False)

    @classmethod
    def of(cls, shown: dict[str, Any]) -> Self:
        names = ("version", "title", "author", "date", "reference", "created_at")
        return cls(**{name: shown[name] for name in names}, favorites=tuple(shown["favorites"]))


@dataclass(frozen=True)
class Product(Versioned):
    """An embedding; one that is deleted has left a tombstone with a version."""

    vector: tuple[float, ...] = ()
    product: Any = None
    is_live: bool = True
    updated_at: str = field(default="", compare=False)

    @classmethod
    def of(cls, shown: dict[str, Any]) -> Self:
        vector = as_float32(shown.get("embedding_vector", ()))
        return cls(shown["version"], (), vector, shown["product"], updated_at=shown["updated_at"])

    def buried(self, key: str | None = None) -> Self:
        return self.changed(key, vector=(), product=None, is_live=False)


@dataclass(frozen=True)
class Profile(Versioned):
    name: str | None = None
    email: str | None = None
    avatar_url: str | None = None
    avatar_error: str | None = None
    preferences: Any = field(default_factory=dict)

    @classmethod
    def of(cls, shown: dict[str, Any]) -> Self:
        names = ("version", "name", "email", "avatar_url", "avatar_error", "preferences")
        return cls(**{name: shown[name] for name in names})


S = TypeVar("S", bound=Versioned)


@dataclass
class Slot(Generic[S]):
    """One row: every state that it may be in. None is no row."""

    states: list[S | None] = field(default_factory=lambda: [None])
    pending: "Keyed | None" = None
    """The write whose outcome is not known, where it can be repeated."""

    @property
    def is_settled(self) -> bool:
        return len(self.states) == 1

    @property
    def value(self) -> S | None:
        require(self.is_settled, "the model has more than one state of a row that it should know:", self.states)
        return self.states[0]

    def set(self, state: S | None) -> None:
        self.states, self.pending = [state], None

    def maybe(self, state: S | None) -> None:
        if state not in self.states:
            self.states.append(state)

    def observe(self, seen: S | None, what: str, fits: Callable[[S | None, S | None], bool] | None = None) -> None:
        """A consistent read: it must be one of the states, which then is the only one."""
        found = [state for state in self.states if (fits(state, seen) if fits else state == seen)]
        require(found, f"{what}: read {seen}, and it should be one of {self.states}")
        self.set(found[0])


@dataclass
class Keyed:
    """A write under an Idempotency-Key, as it can be sent again; `after` is what it makes of a row."""

    user: "Tenant"
    method: str
    path: str
    body: Any
    query: str
    key: str
    slot: Slot[Any]
    after: Callable[[Any], Any]

    @property
    def kind(self) -> str:
        return f"{self.method} {'/reports' if self.path == '/reports' else self.path.split('/')[1]}"


@dataclass
class LostCreate:
    """A report that may have been made; no answer gave its id. Its title is like no other's."""

    key: str | None
    body: dict[str, Any]
    author: str


@dataclass
class Form:
    """A form for an upload: which one was asked for later counts."""

    order: int
    upload: str
    fields: dict[str, str]
    url: str
    is_sent: bool = False
    is_good: bool = True
    is_dead: bool = False
    colour: str = ""


@dataclass
class Matrix:
    """The finished matrix: what was stored when it was built."""

    k: int
    vectors: dict[str, tuple[float, ...]]


@dataclass
class Tenant:
    """One owner, and all that it has."""

    name: str
    sub: str
    groups: tuple[str, ...] = ()
    reports: dict[str, Slot[Report]] = field(default_factory=dict)
    lost_creates: list[LostCreate] = field(default_factory=list)
    products: dict[tuple[str, str], Slot[Product]] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    models_in_doubt: set[tuple[str, int]] = field(default_factory=set)
    profile: Slot[Profile] = field(default_factory=Slot)
    avatar_order: int = 0
    avatar_error_order: int = 0
    forms: list[Form] = field(default_factory=list)
    matrices: dict[str, Matrix | None] = field(default_factory=dict)
    """None: it cannot be told which."""

    changed_at: dict[str, float] = field(default_factory=dict)
    erasure: str = "absent"
    copy_asked_at: float = 0.0

    @property
    def marker(self) -> str:
        """A text that all of the owner's texts hold, and no answer to anybody else may."""
        return f"zq{self.name}qz"

    @property
    def default_profile(self) -> Profile:
        return Profile(name=f"{self.marker} name", email=f"{self.marker}@example.com")

    def slot(self, model: str, product_id: str) -> Slot[Product]:
        return self.products.setdefault((model, product_id), Slot())

    def live(self, model: str) -> dict[str, Product]:
        """The products of a model version, all of which must be settled."""
        found = {product_id: slot.value for (of, product_id), slot in self.products.items() if of == model}
        return {product_id: state for product_id, state in found.items() if state and state.is_live}

    def live_reports(self) -> dict[str, Report]:
        found = {report_id: slot.value for report_id, slot in self.reports.items()}
        return {report_id: state for report_id, state in found.items() if state}

    def bury(self) -> None:
        """What the first pass of an erasure leaves. Who has a slot yet, as a walk, learns of it."""
        for report in self.reports.values():
            report.set(None)
        self.reports.clear()
        self.lost_creates.clear()
        for slot in self.products.values():
            state = slot.value
            if state is not None and state.is_live:
                slot.set(replace(state.buried(), register=()))
        self.models.clear()
        self.models_in_doubt.clear()
        self.profile.set(None)
        for form in self.forms:
            form.is_dead = True
        self.matrices.clear()
