"""Rules of embeddings: storing, reading, changing and deleting them, one by one and many at once."""

import random
from dataclasses import replace
from typing import Any

from tests.support.api import encoded

from .base import Base, step
from .filters import FILTERS
from .model import MODELS, PRODUCTS, Keyed, Product, Slot, Tenant, as_float32
from .told import Told
from .violation import require

DIMENSIONS = (3, 4)


class Embeddings(Base):
    """Both users, and the admin for the shared catalogue, with the same products and model versions."""

    def content(self, owner: Tenant, dice: random.Random) -> dict[str, Any]:
        seller = {"name": owner.marker, "rating": dice.randint(0, 4)} if dice.random() < 0.7 else {"name": owner.marker}
        return {
            "marker": f"{owner.marker} {self.world.number()}",
            "kind": dice.choice(("dog", "cat")),
            "price": dice.choice((1, 2.5, 3, 5, 5.25, 8, 12.125)),
            "tags": dice.sample(("new", "old", "red"), dice.randint(0, 2)),
            "seller": seller,
        }

    def vector(self, dimension: int, dice: random.Random) -> list[float]:
        """Small whole numbers often, so that there are ties, and what float32 has to round."""
        choices = (-2.0, -1.0, 0.0, 1.0, 2.0) if dice.random() < 0.5 else (0.1, -0.123456789, 0.7, 1e-3, 3.3)
        return [dice.choice((1.0, 0.5)), *(dice.choice(choices) for _ in range(dimension - 1))]

    def dimension_for(self, owner: Tenant, model: str, dice: random.Random) -> int:
        declared = owner.models.get(model)
        if declared is None or dice.random() < 0.05:
            return dice.choice(DIMENSIONS)
        return declared

    @step
    def store_embedding(self, dice: random.Random) -> None:
        user, owner = self.writer(dice)
        self.store(user, owner, self.model(dice), self.product_id(dice), dice)

    def store(
        self, user: Tenant, owner: Tenant, model: str, product_id: str, dice: random.Random, *, clean: bool = False
    ) -> None:
        self.settle_models(owner, dice)
        slot = self.settle_product(owner, model, product_id, dice)
        state = slot.value
        key = None if clean else self.key(dice)
        versions = None if clean else self.versions(state, dice)
        dimension = owner.models.get(model, DIMENSIONS[0]) if clean else self.dimension_for(owner, model, dice)
        item = self.item(owner, model, product_id, dimension, dice)
        body = {**item, "catalogue": self.catalogue(owner)}
        told = self.world.call(user, "POST", "/embeddings", body, headers=self.headers(key, versions), clean=clean)
        after = _stored(state, item, key)
        expected = self.expected_status(owner, model, dimension, state, versions)
        self.note_declaration(user, owner, model, dimension, told, expected=expected, declares=versions is None)
        keyed = None
        if key is not None and versions is None:
            keyed = Keyed(user, "POST", "/embeddings", body, "", key, slot, lambda old: _stored(old, item, key))
        self.entered(told, slot, expected, after, keyed)
        self.note_change(owner, model)

    def item(self, owner: Tenant, model: str, product_id: str, dimension: int, dice: random.Random) -> dict[str, Any]:
        vector, content = self.vector(dimension, dice), self.content(owner, dice)
        return {"product_id": product_id, "model_version": model, "embedding_vector": vector, "product": content}

    def expected_status(
        self, owner: Tenant, model: str, dimension: int, state: Product | None, versions: list[int] | None
    ) -> int:
        declared = owner.models.get(model)
        if declared is None and versions is not None:
            return 412
        if declared is not None and declared != dimension:
            return 422
        is_live = state is not None and state.is_live
        if versions is not None and (state is None or not is_live or state.version not in versions):
            return 412
        return 200 if is_live else 201

    def note_declaration(
        self, user: Tenant, owner: Tenant, model: str, dimension: int, told: Told, *, expected: int, declares: bool
    ) -> None:
        """A first store makes the model version, and the owner's row, whatever becomes of the store itself."""
        if not declares or model in owner.models:
            return
        if told.has_failed:
            owner.models_in_doubt.add((model, dimension))
            self.note_profile(owner, certain=False)
        elif expected < 400:
            owner.models[model] = dimension
            self.note_profile(owner, certain=True)

    def note_profile(self, owner: Tenant, *, certain: bool) -> None:
        """The owner's row is made where there is none."""
        if owner is self.world.shared or None not in owner.profile.states:
            return
        if certain:
            known = [state for state in owner.profile.states if state is not None]
            owner.profile.states = [*(known or [owner.default_profile])]
        else:
            owner.profile.maybe(owner.default_profile)

    def note_change(self, owner: Tenant, model: str) -> None:
        owner.changed_at[model] = self.world.clock.time()

    @step
    def store_batch(self, dice: random.Random) -> None:
        """Several products, with one that is wrong among them, and one that is there twice."""
        user, owner = self.writer(dice)
        model = self.model(dice)
        self.settle_models(owner, dice)
        self.settle_products(owner, model, dice)
        dimension = owner.models.get(model, DIMENSIONS[0])
        chosen = dice.sample(PRODUCTS, dice.randint(1, 6))
        items: list[Any] = [self.item(owner, model, product_id, dimension, dice) for product_id in chosen]
        bad = dice.random() < 0.4
        if bad:
            items += [{**items[0], "product_id": "search"}, items[0]]
        before = {product_id: owner.slot(model, product_id).value for product_id in chosen}
        key = self.key(dice)
        body = {"items": items, "catalogue": self.catalogue(owner)}
        told = self.world.call(user, "POST", "/embeddings/batch", body, headers=self.headers(key))
        require(told.status == 200, f"a batch is answered {told.status}: {told.answer.text}")
        results = told.json()["results"]
        self.note_batch(user, owner, model, dimension, items[: len(chosen)], results, told, key)
        faulty = [result["status"] for result in results[len(chosen) :]]
        require(faulty == [422] * len(faulty) and len(results) == len(items), f"a batch with faults: {results}")
        if key is not None and dice.random() < 0.5:
            self.repeat_batch(user, owner, model, body, key, before, dice)

    def repeat_batch(
        self,
        user: Tenant,
        owner: Tenant,
        model: str,
        body: Any,
        key: str,
        before: dict[str, Product | None],
        dice: random.Random,
    ) -> None:
        """Under its key every item is stored once, whatever became of it at first."""
        self.settle_models(owner, dice)
        told = self.world.call(user, "POST", "/embeddings/batch", body, headers=self.headers(key), clean=True)
        for item, result in zip(body["items"], told.json()["results"], strict=True):
            if result["status"] == 422:
                continue
            product_id = item["product_id"]
            after = _stored(before[product_id], item, f"{key} {product_id}")
            require(result.get("version") == after.version, f"a repeated item is {result}, after {before[product_id]}")
            owner.slot(model, product_id).set(after)
            owner.models[model] = len(item["embedding_vector"])
        self.note_profile(owner, certain=True)
        self.note_change(owner, model)

    def note_batch(
        self,
        user: Tenant,
        owner: Tenant,
        model: str,
        dimension: int,
        items: list[Any],
        results: list[Any],
        told: Told,
        key: str | None,
    ) -> None:
        declared = model in owner.models
        for item, result in zip(items, results, strict=False):
            slot = owner.slot(model, item["product_id"])
            state = slot.value
            after = _stored(state, item, key and f"{key} {item['product_id']}")
            has_failed = result["status"] in (429, 503)
            require(told.hits or not has_failed, f"an item fails without a fault: {result}")
            if result.get("problem") == "outcome-unknown":
                slot.maybe(after)
            elif not has_failed:
                is_live = state is not None and state.is_live
                require(result["status"] == (200 if is_live else 201), f"an item is answered {result}, after {state}")
                require(result["version"] == after.version, f"an item is at {result}, not {after.version}")
                slot.set(after)
                owner.models.setdefault(model, dimension)
        if not declared:
            self.note_profile(owner, certain=model in owner.models)
            if model not in owner.models:
                owner.models_in_doubt.add((model, dimension))
        self.note_change(owner, model)

    def a_model(self, owner: Tenant, dice: random.Random) -> str:
        """One of the owner's model versions as a rule, often with something in it; or one that they may not have."""
        if not self.is_now(0.9, dice):
            return self.model(dice)
        if not owner.models and not self.is_now(0.5, dice):
            return self.model(dice)
        self.settle_models(owner, dice)
        model = dice.choice(sorted(owner.models) or MODELS[:1])
        if not self.settle_products(owner, model, dice) and self.is_now(0.5, dice):
            for product_id in dice.sample(PRODUCTS, 3):
                self.store(self.owner_writer(owner), owner, model, product_id, dice, clean=True)
        return model

    def a_product(self, owner: Tenant, dice: random.Random, writer: Tenant) -> tuple[str, str, Slot[Product]]:
        """One that is there, as a rule, settled."""
        known = [key for key, slot in owner.products.items() if any(state and state.is_live for state in slot.states)]
        if not known:
            known = [(self.model(dice), self.product_id(dice))]
            self.store(writer, owner, *known[0], dice, clean=True)
        model, product_id = dice.choice(known) if self.is_now(0.9, dice) else (self.model(dice), self.product_id(dice))
        return model, product_id, self.settle_product(owner, model, product_id, dice)

    def owner_writer(self, owner: Tenant) -> Tenant:
        return self.world.admin if owner is self.world.shared else owner

    @step
    def get_embedding(self, dice: random.Random) -> None:
        user, owner = self.reader(dice)
        model, product_id, slot = self.a_product(owner, dice, self.owner_writer(owner))
        with_vector = dice.random() < 0.7
        query = self.query(owner, model, include_vectors=str(with_vector).lower())
        told = self.world.call(user, "GET", f"/embeddings/{encoded(product_id)}", query=query)
        state = slot.value
        if told.has_failed:
            return
        is_live = state is not None and state.is_live
        require(told.status == (200 if is_live else 404), f"answered {told.status} and not as {state}")
        if state is not None and is_live:
            expected = state if with_vector else replace(state, vector=())
            require(Product.of(told.json()) == expected, f"read {told.json()}, not {state}")

    @step
    def update_product(self, dice: random.Random) -> None:
        user, owner = self.writer(dice)
        model, product_id, slot = self.a_product(owner, dice, user)
        state = slot.value
        key, versions = self.key(dice), self.versions(state, dice)
        body = {"product": self.content(owner, dice)}
        path, query = f"/embeddings/{encoded(product_id)}", self.query(owner, model)
        told = self.world.call(user, "PATCH", path, body, query=query, headers=self.headers(key, versions))
        keyed = None
        if key is not None and versions is None:
            keyed = Keyed(user, "PATCH", path, body, query, key, slot, lambda old: old and old.changed(key, **body))
        after = state.changed(key, **body) if state else None
        self.entered(told, slot, _expected_change(state, versions, 200), after, keyed)
        self.note_change(owner, model)

    @step
    def delete_embedding(self, dice: random.Random) -> None:
        user, owner = self.writer(dice)
        model, product_id, slot = self.a_product(owner, dice, user)
        state = slot.value
        versions = self.versions(state, dice)
        path, query = f"/embeddings/{encoded(product_id)}", self.query(owner, model)
        told = self.world.call(user, "DELETE", path, query=query, headers=self.headers(None, versions))
        after = state.buried() if state else None
        self.entered(told, slot, _expected_change(state, versions, 204), after, None)
        self.note_change(owner, model)

    @step
    def delete_by_filter(self, dice: random.Random) -> None:
        self.world.end_lag()
        user, owner = self.writer(dice)
        model = self.a_model(owner, dice)
        self.settle_models(owner, dice)
        live = self.settle_products(owner, model, dice)
        wanted, means = dice.choice(FILTERS[1:] if dice.random() < 0.8 else FILTERS)
        matching = [product_id for product_id, state in live.items() if means(state.product)]
        dry_run = dice.random() < 0.3
        body = {"model_version": model, "filter": wanted, "catalogue": self.catalogue(owner), "dry_run": dry_run}
        if model not in owner.models:
            told = self.world.call(user, "POST", "/embeddings/delete", body)
            require(told.has_failed or told.status == 422, f"an unknown model version is answered {told.status}")
            return
        hits, matched, deleted = self.walk_deletion(user, body)
        require(hits or (matched, deleted) == (len(matching), 0 if dry_run else len(matching)), f"{matched}, {deleted}")
        if not dry_run:
            for product_id in matching:
                slot = owner.slot(model, product_id)
                slot.set(slot.value.buried() if slot.value else None)
            self.note_change(owner, model)

    def walk_deletion(self, user: Tenant, body: dict[str, Any]) -> tuple[int, int, int]:
        """Steps until none is left: tries that met a fault, and what the answers count together."""
        hits = matched = deleted = 0
        continuation = None
        for _ in range(20):
            told = self.world.call(user, "POST", "/embeddings/delete", {**body, "continuation": continuation})
            hits += told.hits
            if told.has_failed:
                continue
            require(told.status == 200, f"a deletion is answered {told.status}: {told.answer.text}")
            answer = told.json()
            matched, deleted = matched + answer["matched"], deleted + answer["deleted"]
            continuation = answer["continuation"]
            if continuation is None:
                return hits, matched, deleted
        require(False, "a deletion does not end")
        return hits, matched, deleted


def _stored(state: Product | None, item: dict[str, Any], key: str | None) -> Product:
    vector = as_float32(item["embedding_vector"])
    before = state or Product(version=0)
    return before.changed(key, vector=vector, product=item["product"], is_live=True)


def _expected_change(state: Product | None, versions: list[int] | None, success: int) -> int:
    if state is None or not state.is_live:
        return 404
    return 412 if versions and state.version not in versions else success
