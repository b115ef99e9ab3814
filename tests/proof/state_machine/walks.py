"""Rules of pages: walks to the end, also with writes in between."""

import random
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from .base import step
from .embeddings import Embeddings
from .model import Product, Report, Slot, Tenant
from .reports import Reports
from .told import Told
from .violation import require


@dataclass
class Walk:
    """A walk that other steps come between; `there` is what it must not miss, as it was at its beginning."""

    user: Tenant
    path: str
    query: dict[str, str]
    there: dict[str, tuple[Slot[Any], Any]]
    may_repeat: bool
    has_lagged: bool = False
    cursor: str | None = None
    seen: list[str] = field(default_factory=list)


class Walks(Embeddings, Reports):
    """The union of all pages is exactly what there is."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Walk] = []

    def walked(self, user: Tenant, path: str, query: dict[str, str], member: str) -> tuple[list[Any], Any] | None:
        """Every page's rows, and the first answer; None where the first request failed."""
        first: Any = None
        rows: list[Any] = []
        cursor: dict[str, str] = {}
        for _ in range(500):
            told = self.world.call(user, "GET", path, query=urlencode({**query, **cursor}))
            if told.has_failed and first is None:
                return None
            require(told.status == 200, f"a page is answered {told.status}: {told.answer.text}")
            page = told.json()
            first = first or page
            rows += page[member]
            require(len(page[member]) <= int(query["limit"]), f"a page is longer than asked: {page}")
            require(page["has_more"] == (page["next_cursor"] is not None), f"a page says two things: {page}")
            if page["next_cursor"] is None:
                return rows, first
            cursor = {"cursor": page["next_cursor"]}
        require(False, "a walk does not end")
        return None

    @step
    def list_reports(self, dice: random.Random) -> None:
        user = self.user(dice)
        total = str(dice.random() < 0.3).lower()
        query = {"limit": dice.choice(("1", "2", "3", "20")), "include_total": total}
        walked = self.walked(user, "/reports", query, "reports")
        if walked is None:
            return
        rows, first = walked
        ids = [row["id"] for row in rows]
        require(len(set(ids)) == len(ids), f"a report is on two pages: {ids}")
        order = [(row["created_at"], row["id"]) for row in rows]
        require(
            [time for time, _ in order] == sorted((time for time, _ in order), reverse=True), f"not in order: {order}"
        )
        if self.world.lags:
            return
        for row in rows:
            self.note_listed(user, row)
        self.forget_what_was_not_made(user, {row["title"] for row in rows})
        missing = [key for key, slot in user.reports.items() if None not in slot.states and key not in ids]
        require(not missing, f"reports are missing from their list: {missing}")
        require(first.get("total", len(ids)) == len(ids), f"{first} counts {len(ids)} reports")

    def note_listed(self, user: Tenant, row: dict[str, Any]) -> None:
        slot = user.reports.get(row["id"])
        if slot is not None:
            require(Report.of(row) in slot.states, f"a list shows {row}, and the model has {slot.states}")
            return
        made = next((lost for lost in user.lost_creates if lost.body["title"] == row["title"]), None)
        if made is None:
            require(False, f"a list shows a report that was never made: {row}")
            return
        user.lost_creates.remove(made)
        self.note_report(user, made.body, made.key, row)

    def forget_what_was_not_made(self, user: Tenant, titles: set[str]) -> None:
        """The index shows all that there is: what it does not show of the creates without an answer was never made."""
        user.lost_creates = [lost for lost in user.lost_creates if lost.body["title"] in titles or lost.key]

    @step
    def repeat_lost_create(self, dice: random.Random) -> None:
        """A create whose answer got lost, under its key: there is one report, whether it had been made or not."""
        user = self.user(dice)
        lost = next((lost for lost in user.lost_creates if lost.key), None)
        if lost is None:
            self.make_report(user, self.report_body(user, dice), f"key-{self.world.number()}")
            return
        told = self.world.call(user, "POST", "/reports", lost.body, headers=self.headers(lost.key))
        if not told.has_failed:
            user.lost_creates.remove(lost)
            require(told.status == 201, f"a repeated create is answered {told.status}: {told.answer.text}")
            self.note_report(user, lost.body, lost.key, told.json())

    @step
    def list_embeddings(self, dice: random.Random) -> None:
        user, owner = self.reader(dice)
        model = self.a_model(owner, dice)
        self.settle_models(owner, dice)
        live = self.settle_products(owner, model, dice)
        with_vectors = dice.random() < 0.5
        query = {"model_version": model, "catalogue": self.catalogue(owner), "limit": dice.choice(("1", "3", "20"))}
        query["include_vectors"] = str(with_vectors).lower()
        if model not in owner.models:
            told = self.world.call(user, "GET", "/embeddings", query=urlencode(query))
            require(told.has_failed or told.status == 422, f"an unknown model version is answered {told.status}")
            return
        walked = self.walked(user, "/embeddings", query, "embeddings")
        if walked is None:
            return
        rows = walked[0]
        ids = [row["product_id"] for row in rows]
        require(len(set(ids)) == len(ids), f"a product is on two pages: {ids}")
        require(set(ids) <= set(live), f"a list shows what is deleted: {set(ids) - set(live)}")
        require(self.world.lags or set(ids) == set(live), f"missing from a list: {set(live) - set(ids)}")
        for row in rows:
            state = live[row["product_id"]]
            shown = Product.of(row)
            same = (shown.version, shown.product) == (state.version, state.product)
            require(same and shown.vector in (state.vector, ()), f"a list shows {row}, not {state}")

    @step
    def begin_walk(self, dice: random.Random) -> None:
        user = self.user(dice)
        self.world.end_lag()
        if dice.random() < 0.5:
            self.settle_reports(user, dice)
            there = {key: (user.reports[key], state) for key, state in user.live_reports().items()}
            self.open.append(Walk(user, "/reports", {"limit": "2"}, there, may_repeat=False))
        else:
            model = self.a_model(user, dice)
            self.settle_models(user, dice)
            live = self.settle_products(user, model, dice)
            if model not in user.models:
                return
            there_too = {key: (user.slot(model, key), state) for key, state in live.items()}
            query = {"limit": "2", "model_version": model}
            self.open.append(Walk(user, "/embeddings", query, there_too, may_repeat=True))
        self.go_on(self.open[-1])

    @step
    def go_on_with_walk(self, dice: random.Random) -> None:
        if not self.open:
            self.begin_walk(dice=dice)
            return
        self.go_on(dice.choice(self.open))

    def go_on(self, walk: Walk) -> None:
        """The next page; at the end, what was there all the time must have been seen, and nothing twice."""
        query = walk.query if walk.cursor is None else {**walk.query, "cursor": walk.cursor}
        walk.has_lagged = walk.has_lagged or self.world.lags
        told = self.world.call(walk.user, "GET", walk.path, query=urlencode(query))
        if told.has_failed:
            return
        if told.status == 422:  # the account was erased
            self.open.remove(walk)
            return
        self.note_page(walk, told)
        if walk.cursor is None:
            self.open.remove(walk)
            missed = [
                key for key, (slot, state) in walk.there.items() if _is_as_it_was(slot, state) and key not in walk.seen
            ]
            require(walk.has_lagged or not missed, f"a walk of {walk.path} missed {missed}: it saw {walk.seen}")

    def note_page(self, walk: Walk, told: Told) -> None:
        page = told.json()
        name = "reports" if walk.path == "/reports" else "embeddings"
        ids = [row["id" if name == "reports" else "product_id"] for row in page[name]]
        require(walk.may_repeat or not set(ids) & set(walk.seen), f"a walk shows {ids} again, after {walk.seen}")
        walk.seen += ids
        walk.cursor = page["next_cursor"]


def _is_as_it_was(slot: Slot[Any], state: Any) -> bool:
    return slot.is_settled and slot.states[0] == state
