"""Rules of the matrix of neighbours, which the worker builds."""

import random
from collections.abc import Mapping
from typing import Any

from tests.support.api import encoded

from . import brute_force
from .base import step
from .embeddings import Embeddings
from .model import Matrix, Product, Tenant
from .violation import require


class Matrices(Embeddings):
    """Neighbours are those of when the matrix was built, but for what was deleted since."""

    @step
    def request_matrix(self, dice: random.Random) -> None:
        user, owner = self.writer(dice)
        model = self.a_model(owner, dice)
        self.settle_models(owner, dice)
        body = {"model_version": model, "k": dice.choice((2, 2, 3)), "catalogue": self.catalogue(owner)}
        told = self.world.call(user, "POST", "/embeddings/similarity", body)
        statuses = (202, 409) if model in owner.models else (422,)
        require(told.has_failed or told.status in statuses, f"a matrix is answered {told.status}: {told.answer.text}")
        if dice.random() < 0.6:
            self.build_matrices(dice, dice)

    @step
    def matrix_state(self, dice: random.Random) -> None:
        user, owner = self.reader(dice)
        model = self.a_model(owner, dice)
        self.settle_models(owner, dice)
        told = self.world.call(user, "GET", "/embeddings/similarity", query=self.query(owner, model))
        require(told.has_failed or told.status == (200 if model in owner.models else 422), f"answered {told.status}")

    def have_a_matrix(self, owner: Tenant, model: str, dice: random.Random) -> None:
        body = {"model_version": model, "k": 2, "catalogue": self.catalogue(owner)}
        told = self.world.call(self.owner_writer(owner), "POST", "/embeddings/similarity", body, clean=True)
        if told.status == 202:
            self.build_matrices(None, dice)

    def build_matrices(self, ways: random.Random | None, dice: random.Random) -> None:
        """The worker builds those that were asked for; in `ways` of all kinds, else well."""
        for task in [task for task in self.world.queue if task["task"] == "matrix"]:
            self.world.queue.remove(task)
            self.build_matrix(task, ways, dice)

    def build_matrix(self, task: dict[str, Any], ways: random.Random | None, dice: random.Random) -> None:
        """The worker builds one; whether it did is told by its time."""
        self.world.end_lag()
        model = task["model_version"]
        owner = next(owner for owner in self.world.owners if owner.sub == task["owner"])
        self.settle_models(owner, dice)
        if model not in owner.models:  # the account was erased since
            self.world.work(task, ways)
            return
        live = self.settle_products(owner, model, dice)
        before = self.matrix_of(owner, model, dice)
        self.world.work(task, ways)
        after = self.matrix_of(owner, model, dice)
        if after["built_at"] != before["built_at"]:
            require(after["rows"] == len(live), f"a matrix of {after['rows']} rows is of {len(live)} products")
            owner.matrices[model] = Matrix(after["k"], {key: state.vector for key, state in live.items()})

    def matrix_of(self, owner: Tenant, model: str, dice: random.Random) -> Any:
        user = self.reader_of(owner, dice)
        told = self.world.call(user, "GET", "/embeddings/similarity", query=self.query(owner, model), clean=True)
        require(told.status == 200, f"the state of a matrix is answered {told.status}: {told.answer.text}")
        return told.json()

    @step
    def neighbours(self, dice: random.Random) -> None:
        user, owner = self.reader(dice)
        model, product_id = self.a_model(owner, dice), self.product_id(dice)
        self.settle_models(owner, dice)
        if not owner.matrices.get(model) and model in owner.models and self.is_now(0.7, dice):
            self.have_a_matrix(owner, model, dice)
        live = self.settle_products(owner, model, dice)
        product_id = dice.choice(sorted(live)) if live and self.is_now(0.8, dice) else product_id
        limit = dice.randint(1, 3)
        path, query = f"/embeddings/similarity/{encoded(product_id)}", self.query(owner, model, limit=str(limit))
        told = self.world.call(user, "GET", path, query=query)
        if told.has_failed:
            return
        matrix = owner.matrices.get(model)
        if model not in owner.models:
            require(told.status == 422, f"neighbours are answered {told.status}")
        elif matrix is None or product_id not in matrix.vectors or product_id not in live:
            require(told.status == 404, f"neighbours are answered {told.status}: {told.answer.text}")
        else:
            require(told.status == 200, f"neighbours are answered {told.status}: {told.answer.text}")
            _require_neighbours(told.json(), matrix, live, limit)


def _require_neighbours(shown: Any, matrix: Matrix, live: Mapping[str, Product], limit: int) -> None:
    """The nearest as the matrix was built, without those that were deleted since."""
    own = matrix.vectors[shown["product_id"]]
    others = {key: vector for key, vector in matrix.vectors.items() if key != shown["product_id"]}
    scores = {key: brute_force.score("cosine", vector, own) for key, vector in others.items()}
    nearest = sorted(scores.values(), reverse=True)[: min(limit, matrix.k)]
    found = {row["product_id"]: row for row in shown["neighbors"]}
    require(set(found) <= set(live), f"neighbours that were deleted: {set(found) - set(live)}")
    for key, row in found.items():
        require(abs(row["score"] - scores[key]) < 1e-6, f"a neighbour scores {row}, not {scores[key]}")
        require(not nearest or row["score"] > nearest[-1] - 1e-6, f"a neighbour is not among the nearest: {row}")
        require(row["product"] == live[key].product, f"a neighbour is shown as {row}, not {live[key]}")
    nearer = {key for key, score in scores.items() if nearest and score > nearest[-1] + 1e-6}
    require(nearer & set(live) <= set(found), f"nearer neighbours are missing: {nearer & set(live) - set(found)}")
