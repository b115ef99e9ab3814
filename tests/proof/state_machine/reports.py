"""Rules of reports and their favourites."""

import random
from dataclasses import replace
from functools import partial
from typing import Any

from shared.models.report import MAX_FAVORITES
from tests.support.api import encoded

from .base import MISSING, Base, step
from .model import PRODUCTS, Keyed, LostCreate, Report, Slot, Tenant
from .violation import require


class Reports(Base):
    """Making, reading, changing and deleting reports, with and without conditions and keys."""

    @step
    def create_report(self, dice: random.Random) -> None:
        user = self.user(dice)
        key = self.key(dice)
        self.make_report(user, self.report_body(user, dice), key)

    def report_body(self, user: Tenant, dice: random.Random) -> dict[str, Any]:
        body: dict[str, Any] = {"title": f"{user.marker} {self.world.number()}", "author": f"{user.marker} author"}
        if dice.random() < 0.7:
            body["reference"] = {"product_id": dice.choice(PRODUCTS), "note": user.marker, "price": 249.99}
        return {**body, "date": f"2026-01-{dice.randint(1, 28):02}"} if dice.random() < 0.5 else body

    def make_report(self, user: Tenant, body: dict[str, Any], key: str | None, *, clean: bool = False) -> str | None:
        """The new report's id, where it is known to be there."""
        told = self.world.call(user, "POST", "/reports", body, headers=self.headers(key), clean=clean)
        if told.is_unknown:
            user.lost_creates.append(LostCreate(key, body, body["author"]))
        if told.has_failed:
            return None
        require(told.status == 201, f"a report is not made: {told.answer.text}")
        return self.note_report(user, body, key, told.json())

    def note_report(self, user: Tenant, body: dict[str, Any], key: str | None, shown: dict[str, Any]) -> str:
        made = Report.of(shown)
        wanted = {**made.__dict__, **{"reference": None, **body}, "version": 1, "favorites": ()}
        require(made == Report(**wanted), f"a report is made as {shown}, not as {body}")
        require(shown["id"] not in user.reports, f"a new report has the id of another: {shown}")
        slot = user.reports[shown["id"]] = Slot([made])
        if key is not None:
            again = Report(**{**wanted, "register": (key,)})
            self.remember(Keyed(user, "POST", "/reports", body, "", key, slot, lambda state: state or again))
        return str(shown["id"])

    def a_report(self, user: Tenant, dice: random.Random) -> tuple[str, Slot[Report]]:
        """One of the user's, settled; made where there is none."""
        live = [report_id for report_id, slot in user.reports.items() if slot.states != [None]]
        if not live:
            made = self.make_report(user, self.report_body(user, dice), None, clean=True)
            live = [str(made)]
        report_id = dice.choice(live)
        return report_id, self.settle_report(user, report_id, dice)

    def settle_report(self, user: Tenant, report_id: str, dice: random.Random) -> Slot[Report]:
        slot = user.reports[report_id]
        self.settle(slot, dice, partial(self.read_report, user, report_id), f"report {report_id}")
        return slot

    def settle_reports(self, user: Tenant, dice: random.Random) -> None:
        for report_id in list(user.reports):
            self.settle_report(user, report_id, dice)

    def read_report(self, user: Tenant, report_id: str) -> Report | None:
        told = self.world.call(user, "GET", f"/reports/{report_id}", clean=True)
        require(told.status in (200, 404), f"a report is answered {told.status}: {told.answer.text}")
        return Report.of(told.json()) if told.status == 200 else None

    @step
    def get_report(self, dice: random.Random) -> None:
        user = self.user(dice)
        report_id, slot = self.a_report(user, dice)
        told = self.world.call(user, "GET", f"/reports/{report_id}")
        if not told.has_failed:
            slot.observe(Report.of(told.json()) if told.status == 200 else None, f"report {report_id}")

    @step
    def list_favorites(self, dice: random.Random) -> None:
        user = self.user(dice)
        report_id, slot = self.a_report(user, dice)
        told = self.world.call(user, "GET", f"/reports/{report_id}/favorites")
        state = slot.value
        if told.has_failed:
            return
        require(told.status == (200 if state else 404), f"favourites are answered {told.status}")
        require(state is None or tuple(told.json()["favorites"]) == state.favorites, f"{told.json()}, not {state}")

    @step
    def update_report(self, dice: random.Random) -> None:
        user = self.user(dice)
        body: dict[str, Any] = {}
        if dice.random() < 0.7:
            body["title"] = f"{user.marker} {self.world.number()}"
        if dice.random() < 0.5 or not body:
            body["reference"] = dice.choice((None, {"id": dice.choice(PRODUCTS), "note": [user.marker, 1, 0.5]}))
        self.change(user, "PATCH", "", body, body, dice)

    @step
    def replace_favorites(self, dice: random.Random) -> None:
        user = self.user(dice)
        count = dice.choice((0, 1, 2, 5, 5, MAX_FAVORITES - 1, MAX_FAVORITES)) if dice.random() < 0.3 else 3
        pool = [*PRODUCTS, *(f"f{number}" for number in range(MAX_FAVORITES))]
        chosen = dice.sample(PRODUCTS, 3) if count == 3 else pool[:count]
        self.change(user, "PUT", "/favorites", {"favorites": chosen}, {"favorites": tuple(sorted(chosen))}, dice)

    def change(
        self, user: Tenant, method: str, place: str, body: Any, members: dict[str, Any], dice: random.Random
    ) -> None:
        """A change of a report that sets these members, whatever they were."""
        report_id, slot = self.a_report(user, dice)
        state = slot.value
        key, versions = self.key(dice), self.versions(state, dice)
        path = f"/reports/{report_id}{place}"
        told = self.world.call(user, method, path, body, headers=self.headers(key, versions))
        keyed = None
        if key is not None and versions is None:
            keyed = Keyed(user, method, path, body, "", key, slot, lambda old: old and old.changed(key, **members))
        after = state.changed(key, **members) if state else None
        expected = 404 if state is None else 412 if versions and state.version not in versions else 200
        if self.entered(told, slot, expected, after, keyed):
            etag = told.answer.headers["ETag"]
            require(after and etag == f'"{after.version}"', f"the ETag is {etag} of {after}")

    @step
    def add_favorite(self, dice: random.Random) -> None:
        self.change_favorite("PUT", dice)

    @step
    def remove_favorite(self, dice: random.Random) -> None:
        self.change_favorite("DELETE", dice)

    def change_favorite(self, method: str, dice: random.Random) -> None:
        user = self.user(dice)
        report_id, slot = self.a_report(user, dice)
        state = slot.value
        product_id = dice.choice(PRODUCTS)
        if state and state.favorites and method == "DELETE" and dice.random() < 0.7:
            product_id = dice.choice(state.favorites)
        key = self.key(dice) if method == "PUT" else None
        versions = self.versions(state, dice)
        path = f"/reports/{report_id}/favorites/{encoded(product_id)}"
        told = self.world.call(user, method, path, headers=self.headers(key, versions))
        expected, after = _with_favorite(state, product_id, key, adds=method == "PUT")
        if state is not None and versions and state.version not in versions:
            expected = 412
        self.entered(told, slot, expected, after, None)

    @step
    def two_favorites_at_once(self, dice: random.Random) -> None:
        """Another process of the same user adds one just before this one's write is sent."""
        user = self.user(dice)
        report_id, slot = self.a_report(user, dice)
        state = slot.value
        if state is None or len(state.favorites) > MAX_FAVORITES - 2:
            return
        first, second = dice.sample(PRODUCTS, 2)
        path = f"/reports/{report_id}/favorites"
        self.world.faults.between = lambda: self.world.call(user, "PUT", f"{path}/{encoded(second)}", clean=True)
        told = self.world.call(user, "PUT", f"{path}/{encoded(first)}", clean=True)
        self.world.faults.between = None
        both = tuple(sorted({*state.favorites, first, second}))
        require(tuple(told.json()["favorites"]) == both, f"of two favourites added at once one is lost: {told.json()}")
        added = len({first, second} - set(state.favorites))
        for _ in range(added):
            state = state.changed(None, favorites=both)
        slot.set(state)

    @step
    def delete_report(self, dice: random.Random) -> None:
        user = self.user(dice)
        report_id, slot = self.a_report(user, dice)
        state = slot.value
        versions = self.versions(state, dice)
        told = self.world.call(user, "DELETE", f"/reports/{report_id}", headers=self.headers(None, versions))
        expected = 412 if state and versions and state.version not in versions else 204
        if state is None and not (told.hits and told.status == 204):  # nothing there after a lost try: it may be done
            expected = 404
        self.entered(told, slot, expected, None, None)

    @step
    def repeat_a_key(self, dice: random.Random) -> None:
        """A request is sent again under its key, or another under the same key."""
        if not self.keyed:
            self.create_report(dice=dice)
            return
        keyed = dice.choice(self.keyed)
        if not keyed.slot.is_settled:
            return
        state = keyed.slot.value
        is_known = state is not None and (keyed.key in state.register or keyed.kind == "POST /reports")
        if is_known and dice.random() < 0.3 and isinstance(keyed.body, dict):
            told = self.repeat(keyed, body={**keyed.body, **self.other_content(keyed)})
            require(told.status == 422, f"other content under a used key is answered {told.status}: {told.answer.text}")
            return
        self.send_again(keyed, state, is_known=is_known)

    def other_content(self, keyed: Keyed) -> dict[str, Any]:
        if "favorites" in keyed.body:
            return {"favorites": ["other content"]}
        if "product" in keyed.body:
            return {"product": {"other": "content"}}
        return {"name" if keyed.path == "/user/profile" else "title": f"{keyed.user.marker} other"}

    def send_again(self, keyed: Keyed, state: Any, *, is_known: bool) -> None:
        is_dead = getattr(state, "is_live", True) is False
        if keyed.method == "PATCH" and (state is None or is_dead):
            if not is_known:
                told = self.repeat(keyed)
                require(told.status == 404, f"a change of what is deleted is answered {told.status}")
            return
        told = self.repeat(keyed)
        if keyed.method == "PUT" and state is None:
            require(told.status == 404, f"a change of what is deleted is answered {told.status}")
            return
        require(told.status in (200, 201), f"a repeat is answered {told.status}: {told.answer.text}")
        if not is_known:
            after = keyed.after(state)
            if state is None and isinstance(after, Report):  # made anew, on the day that it is now
                after = replace(after, date=keyed.body.get("date", told.json()["date"]))
            keyed.slot.set(after)

    @step
    def the_same_key_of_two_users(self, dice: random.Random) -> None:
        """A key is each user's own."""
        key = f"both-{self.world.number()}"
        made = [self.make_report(user, self.report_body(user, dice), key, clean=True) for user in self.world.users[:2]]
        require(made[0] != made[1], "two users' reports have one id")

    @step
    def report_that_is_not_there(self, dice: random.Random) -> None:
        told = self.world.call(self.user(dice), "GET", f"/reports/{MISSING}")
        require(told.has_failed or told.status == 404, f"a report of nobody is answered {told.status}")


def _with_favorite(state: Report | None, product_id: str, key: str | None, *, adds: bool) -> tuple[int, Report | None]:
    """The status, and the report afterwards; without a key nothing is written where nothing changes."""
    if state is None:
        return 404, None
    has = product_id in state.favorites
    if adds and not has and len(state.favorites) >= MAX_FAVORITES:
        return 409, state
    if has == adds and key is None:
        return 200, state
    changed = {*state.favorites, product_id} if adds else set(state.favorites) - {product_id}
    return 200, state.changed(key, favorites=tuple(sorted(changed)))
