"""Rules of the erasure of an account, in its two passes."""

import random
from collections.abc import Callable

from handlers import resume
from shared.account.erasure_status import ErasureStatus
from shared.account.erasures import ErasureStore
from shared.account.places import owned_prefixes
from shared.similarity.objects import default_objects

from . import storage
from .base import step
from .copies import Copies
from .model import MODELS, Tenant
from .violation import require

_CLAIM_SECONDS = 17 * 60
"""Longer than a worker that is gone has an erasure yet."""

_PASSES = 4
"""Of a worker, for what one does that is not disturbed."""


class Erasures(Copies):
    """Everything of the user goes, nothing of others, and nothing comes back."""

    @step
    def erasure_state(self, dice: random.Random) -> None:
        user = self.user(dice)
        told = self.world.call(user, "GET", "/user/erasure")
        is_right = told.has_failed or (told.status == 200 and told.json()["state"] == user.erasure)
        require(is_right, f"the erasure of {user.name} is {told.answer.text}, not {user.erasure}")

    @step
    def begin_erasure(self, dice: random.Random) -> None:
        if self.is_now(0.3, dice):
            self.erase(self.user(dice), dice)
        else:
            self.erasure_state(dice=dice)

    def erase(self, user: Tenant, dice: random.Random) -> None:
        """Ask for it, and have the worker do the first pass: everything that there is goes."""
        self.world.end_lag()
        self.settle_account(user, dice)
        others = storage.rows_of_others(self.world, user)
        told = self.world.call(user, "DELETE", "/user")
        if told.has_failed:
            told = self.world.call(user, "DELETE", "/user", clean=True)
        require(told.status == 202, f"an erasure is answered {told.status}: {told.answer.text}")
        if user.erasure == "waiting":
            return
        self.go_on_until(user, lambda status: status.stage == "fence", dice)
        user.erasure = "waiting"
        user.bury()
        self.keyed = [keyed for keyed in self.keyed if keyed.user is not user]
        require(others == storage.rows_of_others(self.world, user), f"the erasure of {user.name} changed others' rows")
        storage.check_rows(self.world)
        if dice.random() < 0.5:
            self.world.restart()
        else:
            self.world.clock.pass_time(301)

    def go_on_until(self, user: Tenant, is_there: Callable[[ErasureStatus], bool], dice: random.Random) -> None:
        """Have the worker go on, disturbed at first perhaps; what it leaves is found again when its claim is over."""
        for number in range(_PASSES):
            store = ErasureStore.of_user(default_objects(), user.sub)
            self.world.erase(store.account, None if number else dice)
            status = store.status()
            if status is not None and is_there(status):
                return
            self.world.clock.pass_time(_CLAIM_SECONDS)
            resume.handler({})
        require(False, f"the erasure of {user.name} does not go on")

    @step
    def finish_erasure(self, dice: random.Random) -> None:
        """The second pass, when every token of before has ended: what was written meanwhile goes as well."""
        user = self.user(dice)
        if dice.random() < 0.85:
            self.erasure_state(dice=dice)
            return
        if user.erasure != "waiting":
            self.erase(user, dice)
        self.world.end_lag()
        others = storage.rows_of_others(self.world, user)
        self.resume_until(user, lambda status: status.stage == "clear", dice)
        self.write_behind_the_fence(user, dice)
        self.resume_until(user, lambda status: status.state == "done", dice)
        left = storage.rows_of(self.world, user)
        require(not left, f"an erasure that is done left rows: {left}")
        keys = [info.key for prefix in owned_prefixes(user.sub) for info in default_objects().list(prefix)]
        require(not keys, f"an erasure that is done left objects: {keys}")
        require(others == storage.rows_of_others(self.world, user), f"the erasure of {user.name} changed others' rows")
        self.begin_anew(user)

    def resume_until(self, user: Tenant, is_there: Callable[[ErasureStatus], bool], dice: random.Random) -> None:
        """What is due is gone on with, as every few minutes."""
        status = ErasureStore.of_user(default_objects(), user.sub).status()
        require(status, f"nothing is known of the erasure of {user.name}")
        self.world.clock.pass_to(status.due_at if status else "")
        resume.handler({})
        self.go_on_until(user, is_there, dice)

    def write_behind_the_fence(self, user: Tenant, dice: random.Random) -> None:
        """Nothing is there, and nothing can be declared; what else is written goes in the last pass."""
        self.world.restart()
        told = self.world.call(user, "GET", "/reports", clean=True)
        require(told.json()["reports"] == [], f"an erased account lists reports: {told.answer.text}")
        told = self.world.call(user, "GET", "/embeddings/models", clean=True)
        require(told.json()["models"] == [], f"an erased account has model versions: {told.answer.text}")
        item = self.item(user, MODELS[0], self.product_id(dice), 3, dice)
        told = self.world.call(user, "POST", "/embeddings", item, clean=True, may_fail=True)
        require(told.is_refused, f"a model version is declared behind the fence: {told.answer.text}")
        self.make_report(user, self.report_body(user, dice), None, clean=True)
        self.world.call(user, "PATCH", "/user/profile", {"name": f"{user.marker} again"}, clean=True)

    def begin_anew(self, user: Tenant) -> None:
        for slot in user.products.values():
            slot.set(None)
        user.products.clear()
        user.bury()
        user.erasure = "done"
        user.forms.clear()
        user.avatar_order = user.avatar_error_order = 0
        self.keyed = [keyed for keyed in self.keyed if keyed.user is not user]
        self.world.restart()
