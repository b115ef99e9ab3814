"""Rules of copies of an account."""

import json
import random
import zipfile
from io import BytesIO
from typing import Any

from shared.account.account_exports import ExportStore
from shared.models.fields import parse_timestamp
from shared.similarity.objects import default_objects

from .base import step
from .embeddings import Embeddings
from .model import MODELS, Product, Report, Tenant
from .reports import Reports
from .violation import require

_KEPT_SECONDS = 24 * 3600 - 60
"""How long a copy is kept, from when it was asked for."""


class Copies(Embeddings, Reports):
    """A copy that is made in one go has all that the user has, and of nobody else anything."""

    def __init__(self) -> None:
        super().__init__()
        self.left_behind: set[str] = set()
        """Copies that a worker has broken off."""

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
        self.settle_reports(user, dice)

    def require_own_copy(self, user: Tenant, url: str) -> bytes:
        body = self.world.engine.fetch(url)
        with zipfile.ZipFile(BytesIO(body)) as archive:
            texts = [archive.read(name).decode("utf-8", "backslashreplace") for name in archive.namelist()]
        self.world.require_own(user, "\n".join(texts), "a copy of the account")
        return body

    def require_whole_copy(self, user: Tenant, url: str) -> None:
        files = _rows_of(self.require_own_copy(user, url))
        lost = {create.body["title"] for create in user.lost_creates}
        reports = {row["id"]: Report.of(row) for row in files["reports"] if row["title"] not in lost}
        require(reports == user.live_reports(), f"a copy has the reports {reports}, not {user.live_reports()}")
        copied = {(row["model_version"], row["product_id"]): Product.of(row) for row in files["embeddings"]}
        stored = {(model, key): state for model in MODELS for key, state in user.live(model).items()}
        require(copied == stored, f"a copy has the embeddings {copied}, not {stored}")


def _rows_of(body: bytes) -> dict[str, list[Any]]:
    """The rows of a copy by their kind."""
    found: dict[str, list[Any]] = {"reports": [], "embeddings": [], "profile": []}
    with zipfile.ZipFile(BytesIO(body)) as archive:
        require(archive.testzip() is None, "a copy is damaged")
        for name in archive.namelist():
            kind, is_rows = name.partition("-")[0], name.endswith(".ndjson")
            if is_rows:
                found[kind] += [json.loads(line) for line in archive.read(name).splitlines()]
    return found
