"""What all rules share: how a rule is declared, who acts, and how the outcome of a write is entered into the model."""

import random
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.support.api import encoded

from .engine import Engine
from .model import MODELS, PRODUCTS, Keyed, Product, Slot, Tenant, Versioned
from .told import Tally, Told
from .violation import require
from .world import World

M = TypeVar("M", bound="Base")

_DICE = st.randoms(use_true_random=True)
"""One choice of Hypothesis a step, which decides all of it: an example of a hundred steps then has room for each."""

MISSING = "00000000-0000-4000-8000-000000000000"


def step(method: Callable[[M, random.Random], None]) -> Any:
    """Make a method a rule: it is counted, it may meet a fault, and what it finds is told with the steps before."""

    @wraps(method)
    def run(self: M, dice: random.Random) -> None:
        with self.world.step(method.__name__, dice):
            method(self, dice)

    return rule(dice=_DICE)(run)


class Base(RuleBasedStateMachine):
    """The world of one example, and what is remembered of its requests."""

    engine: ClassVar[Engine]
    tally: ClassVar[Tally]

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.engine, self.tally, self.tally.examples)
        self.keyed: list[Keyed] = []

    def teardown(self) -> None:
        try:
            if not self.world.has_failed:
                self.world.finish_example()
        finally:
            self.world.close()

    def user(self, dice: random.Random) -> Tenant:
        return dice.choice((self.world.alice, self.world.alice, self.world.bob, self.world.bob, self.world.admin))

    def is_now(self, chance: float, dice: random.Random) -> bool:
        """Whether what a rule does now and then is done: always while a run is completed."""
        return self.tally.is_completing or dice.random() < chance

    def other(self, user: Tenant, dice: random.Random) -> Tenant:
        return dice.choice([other for other in self.world.users if other is not user])

    def reader(self, dice: random.Random) -> tuple[Tenant, Tenant]:
        """A user, and the owner of the catalogue that they read."""
        user = self.user(dice)
        return user, self.world.shared if dice.random() < 0.25 else user

    def writer(self, dice: random.Random) -> tuple[Tenant, Tenant]:
        """A user, and the owner of a catalogue that they may write."""
        if dice.random() < 0.2:
            return self.world.admin, self.world.shared
        user = self.user(dice)
        return user, user

    def key(self, dice: random.Random) -> str | None:
        return f"key-{self.world.number()}" if dice.random() < 0.5 else None

    def headers(self, key: str | None = None, versions: Sequence[int] | None = None) -> dict[str, str]:
        named = {} if key is None else {"Idempotency-Key": key}
        return named if versions is None else {**named, "If-Match": ", ".join(f'"{version}"' for version in versions)}

    def versions(self, state: Versioned | None, dice: random.Random) -> list[int] | None:
        """What an If-Match names: most often there is none."""
        at = state.version if state else 1
        if self.tally.is_completing:
            return dice.choice((None, [at]))
        return dice.choice((None, None, None, None, [at], [at, at + 7], [at + 1], [max(1, at - 1)]))

    def entered(
        self, told: Told, slot: Slot[Any], expected: int | Sequence[int], after: Any, keyed: Keyed | None
    ) -> bool:
        """Enter the outcome of a write of a settled row: it should have been answered so, and left the row so.
        Whether it was made."""
        statuses = [expected] if isinstance(expected, int) else list(expected)
        should_work = statuses[0] < 400
        if told.is_unknown:
            if should_work:
                slot.maybe(after)
                slot.pending = keyed
            return False
        if told.is_refused:
            return False
        require(told.status in statuses, f"answered {told.status}, not {statuses}: {told.answer.text}")
        if should_work:
            slot.set(after)
            self.remember(keyed)
        return should_work

    def remember(self, keyed: Keyed | None) -> None:
        if keyed is not None:
            self.keyed = [*self.keyed[-30:], keyed]

    def repeat(self, keyed: Keyed, *, body: Any = None, clean: bool = True) -> Told:
        content = keyed.body if body is None else body
        return self.world.call(
            keyed.user,
            keyed.method,
            keyed.path,
            content,
            query=keyed.query,
            headers=self.headers(keyed.key),
            clean=clean,
        )

    def settle(self, slot: Slot[Any], dice: random.Random, read: Callable[[], Any], what: str) -> None:
        """Find out what became of a write whose outcome is unknown: by sending it again, or by a look."""
        if slot.is_settled:
            return
        keyed = slot.pending
        if keyed is None or dice.random() < 0.5:
            slot.observe(read(), what)
            return
        told = self.repeat(keyed)
        require(told.status in (200, 201), f"a repeat under the same key is answered {told.status}: {told.answer.text}")
        slot.set(slot.states[-1])
        self.remember(keyed)
        slot.observe(read(), f"{what}, repeated")

    # Embeddings, which several kinds of rule are about

    def catalogue(self, owner: Tenant) -> str:
        return "shared" if owner is self.world.shared else "own"

    def query(self, owner: Tenant, model: str, **more: str) -> str:
        return urlencode({"model_version": model, "catalogue": self.catalogue(owner), **more})

    def reader_of(self, owner: Tenant, dice: random.Random) -> Tenant:
        return self.user(dice) if owner is self.world.shared else owner

    def product_id(self, dice: random.Random) -> str:
        return dice.choice(PRODUCTS)

    def model(self, dice: random.Random) -> str:
        return dice.choice((MODELS[0], *MODELS))

    def read_product(self, owner: Tenant, model: str, product_id: str, dice: random.Random) -> Callable[[], Any]:
        slot = owner.slot(model, product_id)

        def read() -> Any:
            path = f"/embeddings/{encoded(product_id)}"
            told = self.world.call(self.reader_of(owner, dice), "GET", path, query=self.query(owner, model), clean=True)
            require(told.status in (200, 404), f"{path} is answered {told.status}: {told.answer.text}")
            if told.status == 200:
                return Product.of(told.json())
            dead = [state for state in slot.states if state is None or not state.is_live]
            return dead[0] if dead else None

        return read

    def settle_product(self, owner: Tenant, model: str, product_id: str, dice: random.Random) -> Slot[Product]:
        slot = owner.slot(model, product_id)
        self.settle(slot, dice, self.read_product(owner, model, product_id, dice), f"{product_id} of {owner.name}")
        return slot

    def settle_products(self, owner: Tenant, model: str, dice: random.Random) -> dict[str, Product]:
        """All of a model version; what is live of it."""
        for of, product_id in list(owner.products):
            if of == model:
                self.settle_product(owner, model, product_id, dice)
        return owner.live(model)

    def settle_models(self, owner: Tenant, dice: random.Random) -> None:
        """What the owner's row says of model versions that a failed store may have declared."""
        if not owner.models_in_doubt:
            return
        query = f"catalogue={self.catalogue(owner)}"
        told = self.world.call(self.reader_of(owner, dice), "GET", "/embeddings/models", query=query, clean=True)
        shown = {found["model_version"]: found["vector_dimension"] for found in told.json()["models"]}
        require(owner.models.items() <= shown.items(), f"model versions are lost: {shown}, not {owner.models}")
        new = set(shown.items()) - set(owner.models.items())
        require(new <= owner.models_in_doubt, f"model versions that were never declared: {new}")
        owner.models, owner.models_in_doubt = shown, set()
