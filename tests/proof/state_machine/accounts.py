"""Rules of copies of an account, and of its erasure."""

import json
import random
import zipfile
from io import BytesIO
from typing import Any

from handlers import resume
from shared.account.account_exports import ExportStore
from shared.account.places import account_digest, erasure_key, owned_prefixes
from shared.models.fields import parse_timestamp
from shared.similarity.objects import default_objects

from . import storage
from .base import step
from .embeddings import Embeddings
from .model import MODELS, Product, Report, Tenant
from .reports import Reports
from .violation import require

_KEPT_SECONDS = 24 * 3600 - 60
"""How long a copy is kept, from when it was asked for."""


class Accounts(Embeddings, Reports):
    """What concerns all that a user has."""

    def __init__(self) -> None:
        super().__init__()
        self.left_behind: set[str] = set()
        """Copies that a worker has broken off."""

    # Copies

    @step
    def export_account(self, dice: random.Random) -> None:
        user = self.user(dice)
        told = self.world.call(user, "POST", "/user/export")
        require(told.has_failed or told.status == 202, f"an export is answered {told.status}: {told.answer.text}")
        if told.status == 202 and told.json()["state"] == "queued":
            requested = parse_timestamp(told.json()["requested_at"])
            user.copy_asked_at = requested.timestamp()
        if dice.random() < 0.6:
            self.make_copies(user, dice)

    @step
    def get_export(self, dice: random.Random) -> None:
        user = self.user(dice)
        told = self.world.call(user, "GET", "/user/export")
        require(told.has_failed or told.status == 200, f"an export is answered {told.status}")
        if not told.has_failed and told.json()["state"] == "done":
            self.require_own_copy(user, told.json()["url"])

    def make_copies(self, user: Tenant, dice: random.Random) -> None:
        """The worker makes the copies that are asked for; one that was made in one go holds all there is."""
        self.world.end_lag()
        self.settle_account(user, dice)
        mine = [task for task in self.world.queue if task["task"] == "export" and task["owner"] == user.sub]
        for task in mine:
            self.world.queue.remove(task)
            went_well = self.make_copy(task, dice)
            state = self.world.call(user, "GET", "/user/export", clean=True).json()
            status = ExportStore(default_objects(), user.sub).status()
            if status is None or status.id != task["export_id"]:  # it is of one before
                continue
            is_kept = self.world.clock.time() - user.copy_asked_at < _KEPT_SECONDS
            require(not went_well or state["state"] == "done" or not is_kept, f"an export that went well is {state}")
            if went_well and is_kept:
                self.require_whole_copy(user, state["url"])

    def make_copy(self, task: dict[str, Any], dice: random.Random) -> bool:
        """The worker makes one; whether it did from beginning to end. Whoever broke it off has it for a while."""
        went_well = self.world.work(task, dice) and task["export_id"] not in self.left_behind
        if not went_well:
            self.left_behind.add(task["export_id"])
        return went_well

    def settle_account(self, user: Tenant, dice: random.Random) -> None:
        self.settle_models(user, dice)
        for model in MODELS:
            self.settle_products(user, model, dice)
        for report_id in list(user.reports):
            slot = user.reports[report_id]
            self.settle(slot, dice, lambda report_id=report_id: self.read_report(user, report_id), report_id)  # type: ignore[misc]

    def require_own_copy(self, user: Tenant, url: str) -> bytes:
        body = self.world.engine.fetch(url)
        with zipfile.ZipFile(BytesIO(body)) as archive:
            texts = [archive.read(name).decode("utf-8", "backslashreplace") for name in archive.namelist()]
        self.world.require_own(user, "\n".join(texts), "a copy of the account")
        return body

    def require_whole_copy(self, user: Tenant, url: str) -> None:
        files = opened_rows(self.require_own_copy(user, url))
        lost = {create.body["title"] for create in user.lost_creates}
        reports = {row["id"]: Report.of(row) for row in files["reports"] if row["title"] not in lost}
        require(reports == user.live_reports(), f"a copy has the reports {reports}, not {user.live_reports()}")
        copied = {(row["model_version"], row["product_id"]): Product.of(row) for row in files["embeddings"]}
        stored = {(model, key): state for model in MODELS for key, state in user.live(model).items()}
        require(copied == stored, f"a copy has the embeddings {copied}, not {stored}")

    # Erasures

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
        self.world.erase(account_digest(user.sub))
        user.erasure = "waiting"
        user.bury()
        self.keyed = [keyed for keyed in self.keyed if keyed.user is not user]
        require(others == storage.rows_of_others(self.world, user), f"the erasure of {user.name} changed others' rows")
        storage.check_rows(self.world)
        if dice.random() < 0.5:
            self.world.restart()
        else:
            self.world.clock.pass_time(301)

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
        self.resume_until(user, "waiting")
        self.require_fenced(user)
        self.resume_until(user, "done")
        left = storage.rows_of(self.world, user)
        require(not left, f"an erasure that is done left rows: {left}")
        keys = [info.key for prefix in owned_prefixes(user.sub) for info in default_objects().list(prefix)]
        require(not keys, f"an erasure that is done left objects: {keys}")
        require(others == storage.rows_of_others(self.world, user), f"the erasure of {user.name} changed others' rows")
        self.begin_anew(user)

    def resume_until(self, user: Tenant, state: str) -> None:
        """What is due is gone on with, until the erasure stands so."""
        stored = default_objects().get(erasure_key(account_digest(user.sub)))
        require(stored, f"nothing is kept of the erasure of {user.name}")
        self.world.clock.pass_to(json.loads(stored.body)["due_at"] if stored else "")
        resume.handler({})
        self.world.erase(account_digest(user.sub))
        told = self.world.call(user, "GET", "/user/erasure", clean=True)
        require(told.json()["state"] == state, f"an erasure is {told.json()}, not {state}")

    def require_fenced(self, user: Tenant) -> None:
        """Nothing is there, and nothing can be declared."""
        self.world.restart()
        told = self.world.call(user, "GET", "/reports", clean=True)
        require(told.json()["reports"] == [], f"an erased account lists reports: {told.answer.text}")
        told = self.world.call(user, "GET", "/embeddings/models", clean=True)
        require(told.json()["models"] == [], f"an erased account has model versions: {told.answer.text}")

    def begin_anew(self, user: Tenant) -> None:
        user.bury()
        for slot in user.products.values():
            slot.set(None)
        user.products.clear()
        user.erasure = "done"
        user.forms.clear()
        user.avatar_order = user.avatar_error_order = 0
        self.keyed = [keyed for keyed in self.keyed if keyed.user is not user]
        self.world.restart()


def opened_rows(body: bytes) -> dict[str, list[Any]]:
    """The rows of a copy by their kind."""
    found: dict[str, list[Any]] = {"reports": [], "embeddings": [], "profile": []}
    with zipfile.ZipFile(BytesIO(body)) as archive:
        require(archive.testzip() is None, "a copy is damaged")
        for name in archive.namelist():
            kind, is_rows = name.partition("-")[0], name.endswith(".ndjson")
            if is_rows:
                found[kind] += [json.loads(line) for line in archive.read(name).splitlines()]
    return found
