"""Rules of whatever finds embeddings: searches, scores, counts, exports of reports."""

import csv
import io
import json
import random
import zipfile
from collections.abc import Mapping
from typing import Any

from tests.support.api import encoded

from . import brute_force
from .base import step
from .embeddings import Embeddings
from .filters import FILTERS
from .model import MODELS, Product, Report, Tenant, as_float32
from .reports import Reports
from .violation import require

METRICS = ("cosine", "dot", "euclidean")
_THRESHOLDS = (None, None, -0.3141, 0.1112, 0.4321)
"""Where no score of the machine's vectors lies."""


class Searching(Embeddings, Reports):
    """Every answer is compared with what comparing everything gives."""

    def found_in(
        self, owner: Tenant, model: str, reference: brute_force.Vector, body: Mapping[str, Any], skip: str | None
    ) -> dict[str, float]:
        """Each product of the model that a search may find, and its score."""
        means = next(means for wanted, means in FILTERS if wanted == body["filter"])
        live = {key: state for key, state in owner.live(model).items() if key != skip and means(state.product)}
        scores = {key: brute_force.score(body["metric"], state.vector, reference) for key, state in live.items()}
        least = body.get("min_score")
        return {key: score for key, score in scores.items() if least is None or score >= least}

    def search_body(self, owner: Tenant, model: str, dice: random.Random) -> dict[str, Any]:
        body: dict[str, Any] = {"model_version": model, "catalogue": self.catalogue(owner), "top_k": dice.randint(1, 9)}
        body |= {"metric": dice.choice(METRICS), "filter": dice.choice(FILTERS)[0]}
        body["include_vectors"] = dice.random() < 0.3
        least = dice.choice(_THRESHOLDS)
        return body if least is None else {**body, "min_score": least}

    def is_exact(self, owner: Tenant, model: str, dice: random.Random) -> bool:
        """Whether a search must see everything: what was stored or deleted a second before it began."""
        if dice.random() < 0.7:
            self.world.clock.pass_time(1.05)
        return not self.world.lags and self.world.clock.time() - owner.changed_at.get(model, 0.0) > 1.0

    def require_hits(
        self,
        owner: Tenant,
        model: str,
        body: Mapping[str, Any],
        hits: list[Any],
        scores: Mapping[str, float],
        exact: bool,
    ) -> None:
        if exact:
            what = f"a search of {model} of {owner.name} for {dict(body)}"
            brute_force.require_best(hits, scores, body["top_k"], what)
        for hit in hits:
            state = owner.slot(model, hit["product_id"]).value
            is_current = state is not None and hit["product"] == state.product
            require(is_current or not exact, f"a search shows {hit}, which is {state}")
            vector = hit.get("embedding_vector")
            is_same = vector is None or state is None or as_float32(vector) == state.vector
            require(is_same or not exact, f"a search shows {hit}, which is {state}")
            require(hit["product"]["marker"].startswith(owner.marker), f"a search of {owner.name} shows {hit}")

    @step
    def search(self, dice: random.Random) -> None:
        user, owner = self.reader(dice)
        model = self.a_model(owner, dice)
        self.settle_models(owner, dice)
        live = self.settle_products(owner, model, dice)
        exact = self.is_exact(owner, model, dice)
        body = self.search_body(owner, model, dice)
        skip = dice.choice(sorted(live)) if live and dice.random() < 0.5 else None
        dimension = owner.models.get(model, 3)
        reference = live[skip].vector if skip else self.vector(dimension, dice)
        asked = {"product_id": skip} if skip else {"embedding_vector": reference}
        told = self.world.call(user, "POST", "/embeddings/search", {**body, **asked})
        if told.has_failed:
            return
        require(told.status == (200 if model in owner.models else 422), f"a search is answered {told.status}")
        if told.status == 200:
            scores = self.found_in(owner, model, as_float32(reference), body, skip)
            self.require_hits(owner, model, body, told.json()["hits"], scores, exact)

    def report_about(self, user: Tenant, live: Mapping[str, Product], dice: random.Random) -> tuple[str, Report | None]:
        """A report of the user's; often one about a product that there is."""
        report_id, slot = self.a_report(user, dice)
        if live and slot.value is not None and self.is_now(0.6, dice):
            body = {"reference": {"product_id": dice.choice(sorted(live)), "note": user.marker}}
            told = self.world.call(user, "PATCH", f"/reports/{report_id}", body, clean=True)
            require(told.status == 200, f"a change is answered {told.status}: {told.answer.text}")
            slot.set(slot.value.changed(None, **body))
        return report_id, slot.value

    def search_all(self, owner: Tenant, model: str, dice: random.Random, *, exact: bool) -> None:
        """Everything of a model version, a second after the last look."""
        self.world.clock.pass_time(1.05)
        self.settle_products(owner, model, dice)
        reference = self.vector(owner.models[model], dice)
        body = {"model_version": model, "catalogue": self.catalogue(owner), "top_k": 20, "metric": "dot", "filter": {}}
        asked = {**body, "embedding_vector": reference}
        told = self.world.call(self.reader_of(owner, dice), "POST", "/embeddings/search", asked, clean=True)
        require(told.status == 200, f"a search is answered {told.status}: {told.answer.text}")
        scores = self.found_in(owner, model, as_float32(reference), body, None)
        self.require_hits(owner, model, body, told.json()["hits"], scores, exact)

    @step
    def search_what_lagged(self, dice: random.Random) -> None:
        """What an index in memory was read without, as the table's index did not show it yet, is found later on."""
        user, owner = self.writer(dice)
        self.world.end_lag()
        self.settle_models(owner, dice)
        if not owner.models:
            self.store(user, owner, MODELS[0], self.product_id(dice), dice, clean=True)
        model = dice.choice(sorted(owner.models))
        self.search_all(owner, model, dice, exact=True)
        self.world.begin_lag()
        self.store(user, owner, model, self.product_id(dice), dice, clean=True)
        self.search_all(owner, model, dice, exact=False)
        self.world.end_lag()
        self.search_all(owner, model, dice, exact=True)

    @step
    def search_report(self, dice: random.Random) -> None:
        user, owner = self.reader(dice)
        model = self.a_model(owner, dice)
        self.settle_models(owner, dice)
        live = self.settle_products(owner, model, dice)
        report_id, report = self.report_about(user, live, dice)
        exact = self.is_exact(owner, model, dice)
        body = self.search_body(owner, model, dice)
        told = self.world.call(user, "POST", f"/reports/{report_id}/search", body)
        if told.has_failed:
            return
        named = _reference_id(report)
        expected = 404 if report is None else 200 if model in owner.models and named in live else 422
        require(told.status == expected, f"a report's search is answered {told.status}, not {expected}")
        if expected == 200 and report is not None and named is not None:
            scores = self.found_in(owner, model, live[named].vector, body, named)
            hits = told.json()["hits"]
            self.require_hits(owner, model, body, hits, scores, exact)
            for hit in hits:
                require(hit["is_favorite"] == (hit["product_id"] in report.favorites), f"{hit} of {report}")

    @step
    def score_product(self, dice: random.Random) -> None:
        user, owner = self.reader(dice)
        model = self.a_model(owner, dice)
        self.settle_models(owner, dice)
        live = self.settle_products(owner, model, dice)
        product_id = dice.choice(sorted(live)) if live and self.is_now(0.8, dice) else self.product_id(dice)
        report_id, report = self.report_about(user, live, dice)
        metric = dice.choice(METRICS)
        path = f"/reports/{report_id}/products/{encoded(product_id)}"
        told = self.world.call(user, "GET", path, query=self.query(owner, model, metric=metric))
        if told.has_failed:
            return
        named = _reference_id(report)
        if report is None or (named is not None and model in owner.models and product_id not in live):
            require(told.status == 404, f"a score is answered {told.status}: {told.answer.text}")
        elif model not in owner.models or named not in live:
            require(told.status == 422, f"a score is answered {told.status}: {told.answer.text}")
        else:
            right = brute_force.score(metric, live[product_id].vector, live[named].vector)
            require(abs(told.json()["score"] - right) < 1e-9 * max(1, abs(right)), f"{told.json()}, not {right}")
            require(told.json()["product"] == live[product_id].product, f"{told.json()}, not {live[product_id]}")

    @step
    def export_report(self, dice: random.Random) -> None:
        user, owner = self.reader(dice)
        model = self.a_model(owner, dice)
        self.settle_models(owner, dice)
        live = self.settle_products(owner, model, dice)
        report_id, report = self.report_about(user, live, dice)
        file_format = dice.choice(("zip", "zip", "csv")) if dice.random() < 0.95 else dice.choice(("xlsx", "pdf"))
        query = self.query(owner, model, format=file_format)
        told = self.world.call(user, "GET", f"/reports/{report_id}/export", query=query)
        if told.has_failed:
            return
        expected = 404 if report is None else 200 if model in owner.models else 422
        require(told.status == expected, f"an export is answered {told.status}, not {expected}: {told.answer.text}")
        if expected == 200 and report is not None:
            _require_file(file_format, told.answer.content, report, live)

    @step
    def list_models(self, dice: random.Random) -> None:
        user, owner = self.reader(dice)
        self.settle_models(owner, dice)
        counts = {model: len(self.settle_products(owner, model, dice)) for model in owner.models}
        told = self.world.call(user, "GET", "/embeddings/models", query=f"catalogue={self.catalogue(owner)}")
        if told.has_failed:
            return
        shown = {found["model_version"]: found for found in told.json()["models"]}
        dimensions = {name: found["vector_dimension"] for name, found in shown.items()}
        require(dimensions == owner.models, f"the model versions are {dimensions}, not {owner.models}")
        given = {name: found["count"] for name, found in shown.items()}
        is_right = given == counts or (told.hits and all(given[name] in (None, counts[name]) for name in counts))
        require(self.world.lags or is_right, f"the model versions count {given}, not {counts}")


def _reference_id(report: Report | None) -> str | None:
    reference = (report.reference if report else None) or {}
    return reference.get("product_id") or reference.get("id")


def _require_file(file_format: str, content: bytes, report: Report, live: Mapping[str, Product]) -> None:
    """The favourites that the report has, and of each what is stored."""
    if file_format == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            document = json.loads(archive.read("report.json"))
        shown = {row["product_id"]: row["product"] for row in document["favorites"]}
        stored = {key: live[key].product if key in live else None for key in report.favorites}
        require(shown == stored, f"an export shows {shown}, not {stored}")
        require(document["report"]["title"] == report.title, f"an export of {document['report']}, not {report}")
    if file_format == "csv":
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        ids = sorted(row["product_id"] for row in rows)
        require(ids == sorted(report.favorites), f"an export has {ids}, not {report.favorites}")
