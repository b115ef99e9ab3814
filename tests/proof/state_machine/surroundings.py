"""Rules of what goes on around requests: time, restarts, an index that lags, the worker; and the open routes."""

import random

from handlers import resume
from handlers.documentation.assets import assets

from .attacks import Attacks
from .base import step
from .erasures import Erasures
from .matrices import Matrices
from .model import MODELS, PRODUCTS
from .searching import Searching
from .violation import require
from .walks import Walks


class Machine(Walks, Searching, Matrices, Erasures, Attacks):
    """All rules. Everybody has something before the first."""

    def __init__(self) -> None:
        super().__init__()
        dice = random.Random(self.tally.examples)  # noqa: S311 - to be repeated, not to be secret
        try:
            with self.world.step("settle_in", dice):
                self.settle_in(dice)
        except BaseException:
            self.world.close()  # nobody tears down what was never made
            raise

    def settle_in(self, dice: random.Random) -> None:
        for user, owner in ((self.world.alice,) * 2, (self.world.bob,) * 2, (self.world.admin, self.world.shared)):
            self.make_report(user, self.report_body(user, dice), None, clean=True)
            for product_id in PRODUCTS[:4]:
                self.store(user, owner, MODELS[0], product_id, dice, clean=True)

    @step
    def open_routes(self, dice: random.Random) -> None:
        user = self.user(dice)
        for path in ("/health", "/docs", f"/docs/{assets()['page.css'].name}", "/openapi.json"):
            told = self.world.call(user, "GET", path)
            require(told.has_failed or told.status == 200, f"{path} is answered {told.status}")

    @step
    def restart(self, dice: random.Random) -> None:
        self.world.restart()

    @step
    def index_lags(self, dice: random.Random) -> None:
        """From here on, for some steps, the index shows nothing new."""
        if self.world.lags:
            self.world.end_lag()
        self.world.begin_lag()
        # Something that it does not show, and a look at it.
        user = self.user(dice)
        self.make_report(user, self.report_body(user, dice), None, clean=True)
        self.world.call(user, "GET", "/reports", clean=True)

    @step
    def time_passes(self, dice: random.Random) -> None:
        """A second, for indexes in memory; twenty minutes, for claims; hours, for snapshots."""
        self.world.end_lag()
        self.world.clock.pass_time(dice.choice((1.1, 1.1, 1200.0, 25_000.0)))

    @step
    def worker_works(self, dice: random.Random) -> None:
        """Whatever waits longest, or what was left."""
        if dice.random() < 0.2:
            self.world.clock.pass_time(17 * 60)
            self.world.end_lag()
            resume.handler({})
        waiting = [task for task in self.world.queue if task["task"] in ("snapshot", "matrix", "export")]
        if not waiting:
            return
        task = waiting[0]
        self.world.queue.remove(task)
        if task["task"] == "matrix":
            self.build_matrix(task, dice, dice)
        elif task["task"] == "export":
            self.make_copy(task, dice)
        else:
            self.world.work(task, dice)
