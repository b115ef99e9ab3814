"""Rules of one user who names what is another's, on every route that names anything."""

import json
import random

from shared.database.cursors import Position, encode_cursor
from tests.support.api import Api, encoded
from tests.support.cases import CASES, SIGNED_IN, Case

from .base import MISSING, step
from .embeddings import Embeddings
from .model import Tenant
from .profiles import Profiles, is_uploaded
from .reports import Reports
from .violation import require

_OF_REPORTS = [case for case in SIGNED_IN if case.names_a_report]
_OF_PRODUCTS = [case for case in SIGNED_IN if "{product_id}" in case.path and not case.names_a_report]
_OF_CATALOGUES = [
    CASES[key]
    for key in (
        ("POST", "/embeddings"),
        ("POST", "/embeddings/batch"),
        ("PATCH", "/embeddings/{product_id}"),
        ("DELETE", "/embeddings/{product_id}"),
        ("POST", "/embeddings/delete"),
        ("POST", "/embeddings/similarity"),
    )
]


class Attacks(Embeddings, Profiles, Reports):
    """Foreign and missing give one answer, and change nothing, which the look at the tables tells."""

    @step
    def use_anothers_report(self, dice: random.Random) -> None:
        user = self.user(dice)
        other = self.other(user, dice)
        report_id, _ = self.a_report(other, dice)
        for case in dice.sample(_OF_REPORTS, 3):
            foreign = self.sent(user, case, report_id)
            missing = self.sent(user, case, MISSING)
            require(foreign == missing, f"{case.method} {case.path} answers {foreign} to another's, {missing} to none")
            require(foreign[0] == 404, f"{case.method} {case.path} answers {foreign} to another's report")

    def sent(self, user: Tenant, case: Case, report_id: str) -> tuple[int, str]:
        """The answer, without what differs in any case."""
        path = case.path.format(report_id=report_id, product_id="p1")
        query = "&".join(f"{name}={encoded(value)}" for name, value in case.query.items())
        told = self.world.call(user, case.method, path, case.body, query=query, clean=True)
        return told.status, told.answer.without_request_id().replace(report_id, "-")

    @step
    def use_anothers_product(self, dice: random.Random) -> None:
        """What only another has is not there for this user."""
        user = self.user(dice)
        other = self.other(user, dice)
        case = dice.choice(_OF_PRODUCTS)
        model, product_id, _ = self.a_product(other, dice, other)
        self.settle_models(user, dice)
        slot = self.settle_product(user, model, product_id, dice)
        state = slot.value
        if case.path.startswith("/embeddings/similarity") or (state is not None and state.is_live):
            return
        path = case.path.format(product_id=encoded(product_id))
        told = self.world.call(user, case.method, path, case.body, query=self.query(user, model), clean=True)
        require(told.status == 404, f"{case.method} {path} of another's product is answered {told.status}")

    @step
    def use_anothers_cursor(self, dice: random.Random) -> None:
        """A cursor moves its holder within their own rows, whoever got it."""
        user = self.user(dice)
        other = self.other(user, dice)
        for _ in range(2):
            self.make_report(other, self.report_body(other, dice), None, clean=True)
        page = self.world.call(other, "GET", "/reports", query="limit=1", clean=True).json()
        self.use_anothers_place(user, other, dice)
        cursor = page["next_cursor"]
        if cursor is None:  # the index lags
            return
        told = self.world.call(user, "GET", "/reports", query=f"limit=20&cursor={cursor}", clean=True)
        ids = [row["id"] for row in told.json()["reports"]] if told.status == 200 else []
        known = {*user.reports, *(row for row in ids if user.lost_creates)}
        require(told.status == 200 and set(ids) <= known, f"another's cursor leads to {told.answer.text}")

    def use_anothers_place(self, user: Tenant, other: Tenant, dice: random.Random) -> None:
        """The same of embeddings, in their list and in a deletion that goes on from there."""
        model = self.a_model(other, dice)
        self.settle_models(user, dice)
        live = self.settle_products(user, model, dice)
        first = self.world.call(other, "GET", "/embeddings", query=self.query(other, model, limit="1"), clean=True)
        cursor = first.json().get("next_cursor")
        if cursor is None or model not in user.models:
            return
        query = self.query(user, model, limit="20", cursor=cursor)
        told = self.world.call(user, "GET", "/embeddings", query=query, clean=True)
        ids = {row["product_id"] for row in told.json()["embeddings"]}
        require(told.status == 200 and ids <= set(live), f"another's cursor leads to {told.answer.text}")
        body = {"model_version": model, "filter": {}, "dry_run": True, "continuation": cursor}
        told = self.world.call(user, "POST", "/embeddings/delete", body, clean=True)
        require(told.status == 200 and told.json()["matched"] <= len(live), f"it deletes: {told.answer.text}")

    @step
    def forge_a_cursor(self, dice: random.Random) -> None:
        user = self.user(dice)
        other = self.other(user, dice)
        model = self.model(dice)
        forged = encode_cursor(Position(self.world.clock.text(), f"{other.sub}#{model}"))
        self.world.call(user, "GET", "/reports", query=f"cursor={forged}", clean=True)
        told = self.world.call(user, "GET", "/embeddings", query=self.query(user, model, cursor=forged), clean=True)
        require(told.status in (200, 422), f"a forged cursor is answered {told.status}")
        told = self.world.call(user, "GET", "/reports", query="cursor=not-one-of-ours", clean=True)
        require(told.status == 400, f"a cursor that is none is answered {told.status}")

    @step
    def write_the_shared_catalogue(self, dice: random.Random) -> None:
        """Only the admin may."""
        user = dice.choice((self.world.alice, self.world.bob))
        model, product_id, _ = self.a_product(self.world.shared, dice, self.world.admin)
        for case in _OF_CATALOGUES:
            asked = case.in_catalogue("shared")
            path = asked.path.format(product_id=encoded(product_id))
            query = self.query(self.world.shared, model) if asked.query else ""
            told = self.world.call(user, asked.method, path, asked.body, query=query, clean=True)
            require(told.status == 403, f"{asked.method} {path} of the shared catalogue is answered {told.status}")

    @step
    def name_another_owner(self, dice: random.Random) -> None:
        """A body says nothing of who owns a row."""
        user = self.user(dice)
        other = self.other(user, dice)
        # The user's own words must not be what is looked for in the answer.
        for path, body in (("/reports", {"title": "t"}), ("/embeddings", CASES["POST", "/embeddings"].body)):
            told = self.world.call(user, "POST", path, {**body, dice.choice(("user_id", "owner", "id")): other.name})
            require(told.status == 422, f"POST {path} with another's id is answered {told.status}")

    @step
    def take_anothers_avatar(self, dice: random.Random) -> None:
        """An address in a profile is text: the picture that it leads to stays its owner's."""
        user = self.user(dice)
        other = self.other(user, dice)
        if not is_uploaded(self.settled_profile(other, dice)):
            self.send_good_upload(other, dice)
        shown = self.settled_profile(other, dice)
        state = self.settled_profile(user, dice)
        body = {"avatar_url": shown.avatar_url}
        told = self.world.call(user, "PATCH", "/user/profile", body, clean=True)
        require(told.status == 200, f"an address is answered {told.status}: {told.answer.text}")
        user.profile.set(self.patched(user, state, body, None))
        user.avatar_order = self.world.number()
        back = {"avatar_url": None}
        told = self.world.call(user, "PATCH", "/user/profile", back, clean=True)
        user.profile.set(self.patched(user, self.settled_profile(user, dice), back, None))
        user.avatar_order = self.world.number()
        self.require_shown(other, shown, None)

    @step
    def without_a_token(self, dice: random.Random) -> None:
        case = dice.choice(SIGNED_IN)
        answer = case.send(Api(), MISSING)
        require(answer.status == 401, f"{case.method} {case.path} without a token is answered {answer.status}")
        require(json.loads(answer.text)["title"] == "Unauthenticated", answer.text)
