"""Erasing an account: what a worker does. It may be ended at any time and begun again, and nothing is done by halves.

A token cannot be called back, and no request asks whether its caller is being erased. So an account is erased twice,
and what its tokens write meanwhile goes the second time:

bury     at once: reports, objects, and the row of users are deleted, embeddings replaced by tombstones, as every delete
         does, so that no index in memory shows them any more.
fence    once every token of before has ended: the row says that nothing can be declared, and the same again.
clear    SETTLE later: no process remembers a model version that is gone, no worker builds on one, no upload is under
         way. Everything of the account goes once more, tombstones too.
lift     the row with the fence goes, and the account may begin anew.

A worker that repeats a stage finds less to do. It never goes back behind `clear`, so that nothing is touched that was
stored after the fence had gone.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from urllib.parse import unquote

from ..database.account_rows import AccountRows
from ..database.embedding_erasure import EmbeddingEraser
from ..database.embeddings import require_owner
from ..database.limit_counters import LimitCounters
from ..database.manager import DatabaseManager, default_manager
from ..database.settled import SETTLED_SECONDS
from ..errors import ApiError, Forbidden, Unavailable
from ..models import fields
from ..models.fields import shifted
from ..similarity.objects import ObjectStore
from ..similarity.versions import erase_objects
from .erasure_status import ErasureStatus, Stage
from .erasures import ErasureClaim, ErasureStore
from .places import owned_prefixes, similarity_prefix
from .status_object import ClaimLost

WORKER = timedelta(minutes=15)
"""The longest that a snapshot, or a matrix, is worked at (the template's timeout of the worker)."""

SETTLE = timedelta(seconds=SETTLED_SECONDS) + WORKER + timedelta(minutes=5)
"""A process may go on with a declaration that it has read, and have a worker begin with it; a presigned upload is good
for five minutes, which are over by then as well."""

_ROUNDS = 10


def erase(
    objects: ObjectStore,
    *,
    account: str,
    erasure_id: str,
    check: Callable[[], None],
    manager: DatabaseManager | None = None,
    clock: Callable[[], str] = fields.now,
) -> None:
    """Go on with an erasure as far as it can go now; nothing where another worker has it. `check` may raise to end it.

    Raises what ends it. What is over is tidied up after.
    """
    store = ErasureStore(objects, account, clock=clock)
    claim = store.claim(erasure_id)
    if claim is not None:
        _go_on(claim, manager or default_manager(), check)
    if store.is_over(erasure_id):
        store.tidy(erasure_id)


def _go_on(claim: ErasureClaim, manager: DatabaseManager, check: Callable[[], None]) -> None:
    try:
        _Erasing(claim, manager, check).run()
    except ApiError:
        with suppress(ApiError, ClaimLost):  # else the next has to wait until the claim has run out
            claim.advance(claim.status.released(claim.store.clock()))
        raise


class _Erasing:
    """One worker at one erasure."""

    def __init__(self, claim: ErasureClaim, manager: DatabaseManager, check: Callable[[], None]) -> None:
        if claim.status.user_id is None:
            raise ClaimLost
        self._user_id = claim.status.user_id
        self._claim = claim
        self._manager = manager
        self._rows = AccountRows(manager, self._user_id)
        self._check = check

    def run(self) -> None:
        """Stage after stage, until there is one to wait for."""
        stages: dict[Stage, Callable[[], None]] = {
            "bury": self._bury,
            "fence": self._fence,
            "clear": self._clear,
            "lift": self._lift,
        }
        while self._status.state == "running":
            stages[self._status.stage]()

    @property
    def _status(self) -> ErasureStatus:
        return self._claim.status

    def _bury(self) -> None:
        """The first pass. A model version that is declared meanwhile keeps the row from being deleted, and is met in
        the next round."""
        for _ in range(_ROUNDS):
            seen = self._rows.see_profile()
            self._note_models(seen.model_versions | self._models_in_bucket())
            self._erase_all(tombstones=False)
            if self._rows.delete_profile(seen):
                self._claim.advance(self._status.waiting("fence", self._status.final_pass_at))
                return
        raise Unavailable("Others keep on adding to the account.")

    def _fence(self) -> None:
        """The beginning of the second pass. Whoever repeats this puts up another fence."""
        fenced = self._rows.fence(self._now())
        self._note_models(fenced.model_versions, fence=fenced.until)
        if not self._rows.strip(fenced):
            raise ClaimLost
        settled_at = shifted(self._now(), SETTLE)
        self._erase_all(tombstones=False)
        self._claim.advance(self._status.waiting("clear", settled_at))

    def _clear(self) -> None:
        self._erase_all(tombstones=True)
        self._claim.advance(replace(self._status, stage="lift"))

    def _lift(self) -> None:
        self._rows.lift(self._status.fence or "")
        self._claim.advance(self._status.done(self._now()))

    def _erase_all(self, *, tombstones: bool) -> None:
        for model_version in self._status.model_versions:
            self._erase_embeddings(model_version, tombstones=tombstones)
        self._erase_reports()
        self._erase_objects()
        LimitCounters(self._manager).forget(self._user_id)

    def _erase_embeddings(self, model_version: str, *, tombstones: bool) -> None:
        """Until the index shows none: it lags behind."""
        try:
            require_owner(self._user_id)
        except Forbidden:
            return  # one who could reach into another's partition was never let to store anything
        eraser = EmbeddingEraser(self._manager, self._user_id, model_version)
        for _ in range(_ROUNDS):
            found = 0
            for rows in eraser.pages(tombstones=tombstones):
                self._check()
                (eraser.remove if tombstones else eraser.bury)(rows, self._check)
                self._count(embeddings=sum(row.is_live for row in rows))
                found += len(rows)
            if not found:
                return

    def _erase_reports(self) -> None:
        for _ in range(_ROUNDS):
            found = 0
            for ids in self._rows.report_ids():
                self._count(reports=self._rows.delete_reports(ids, self._check))
                found += len(ids)
            if not found:
                return

    def _erase_objects(self) -> None:
        for prefix in owned_prefixes(self._user_id):
            self._count(objects=erase_objects(self._claim.store.objects, prefix, self._check))

    def _models_in_bucket(self) -> set[str]:
        """Model versions that there are snapshots of: a row that was deleted by hand may have named them."""
        prefix = similarity_prefix(self._user_id)
        if prefix not in owned_prefixes(self._user_id):
            return set()  # no key could be so long
        keys = (info.key.removeprefix(prefix) for info in self._claim.store.objects.list(prefix))
        return {unquote(key.partition("/")[0]) for key in keys if "/" in key}

    def _note_models(self, names: Iterable[str], fence: str | None = None) -> None:
        """Keep for good what the row is about to forget."""
        known = tuple(sorted({*self._status.model_versions, *names}))
        noted = replace(self._status, model_versions=known, fence=fence or self._status.fence)
        if noted != self._status:
            self._claim.advance(noted)

    def _count(self, *, reports: int = 0, embeddings: int = 0, objects: int = 0) -> None:
        if reports or embeddings or objects:
            status = self._status
            self._claim.advance(
                replace(
                    status,
                    reports=status.reports + reports,
                    embeddings=status.embeddings + embeddings,
                    objects=status.objects + objects,
                )
            )

    def _now(self) -> str:
        return self._claim.store.clock()
