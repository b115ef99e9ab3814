"""The stored matrix of one model version: one build at a time, and single rows read by one ranged request each.

    {prefix}matrix/status.json              `MatrixStatus`; every change is a put on the condition of what was read
    {prefix}matrix/{build}/{attempt}/ids    see `matrix_rows`; never written again once the status names them
    {prefix}matrix/{build}/{attempt}/rows-00000

A worker that was taken for dead may yet write. Each attempt has a folder of its own, so it harms nobody.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from ..errors import ApiError, Conflict, NotFound, OutcomeUnknown, TooManyRequests, Unavailable
from ..models import fields
from ..telemetry import log_warning
from .matrix_rows import CorruptMatrix, IdTable, open_row
from .matrix_status import CorruptStatus, MatrixStatus, StoredMatrix
from .objects import ObjectChanged, ObjectStore, object_prefix

HEARTBEAT_SECONDS = 10.0
MAX_TABLE_BYTES = 64 * 1024 * 1024
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One product of a row, and its cosine with the row's product."""

    product_id: str
    score: float


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A product's nearest neighbours, the nearest first, and the matrix that they are from."""

    matrix: StoredMatrix
    neighbours: list[Neighbour]


class ClaimLost(ObjectChanged):
    """Another worker has the build now, or another build was begun: this one must stop."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A status and the ETag to change it with; None where nothing is stored."""

    status: MatrixStatus
    etag: str | None


class IdTables:
    """Id tables by the key of their object, the least recently used dropped beyond `max_bytes`; they never change."""

    def __init__(self, max_bytes: int = MAX_TABLE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._tables: OrderedDict[str, IdTable] = OrderedDict()
        self._lock = Lock()

    @property
    def nbytes(self) -> int:
        return sum(len(table.data) for table in self._tables.values())

    def get(self, key: str) -> IdTable | None:
        with self._lock:
            if key in self._tables:
                self._tables.move_to_end(key)
            return self._tables.get(key)

    def keep(self, key: str, table: IdTable) -> None:
        with self._lock:
            self._tables[key] = table
            self._tables.move_to_end(key)
            while self._tables and self.nbytes > self._max_bytes:
                self._tables.popitem(last=False)


_process_tables = IdTables()


class MatrixStore:
    """The matrix of one model version of one owner. Every method raises what `ObjectStore` raises.

    `clock` gives the time as `models.fields.timestamp` writes it.
    """

    def __init__(
        self,
        objects: ObjectStore,
        owner: str,
        model_version: str,
        *,
        clock: Callable[[], str] = fields.now,
        tables: IdTables = _process_tables,
    ) -> None:
        self.objects = objects
        self.clock = clock
        self._tables = tables
        self._folder = f"{object_prefix(owner, model_version)}matrix/"

    def status(self) -> MatrixStatus:
        """How things stand; `absent` where no build was ever asked for, or the status cannot be read."""
        return self._read().status

    def request_build(self, k: int) -> tuple[MatrixStatus, bool]:
        """Ask for a build of the k nearest neighbours, 1 <= k <= 100.

        Returns the status, and whether a worker is to be started: not where such a build is under way already.
        Raises Conflict where one of another k is.
        """
        for _ in range(_TRIES):
            read, now = self._read(), self.clock()
            if read.status.is_under_way(now):
                if read.status.k != k:
                    raise Conflict(f"A matrix with k = {read.status.k} is being built. Try again when it is done.")
                return read.status, False
            wanted = read.status.queued(fields.new_id(), k, now)
            if self._put(wanted, read.etag) is not None:
                return wanted, True
        raise Unavailable("The matrix is being changed by many at once. Try again.")

    def claim(self, build_id: str) -> "Claim | None":
        """Begin this build; None where another worker has it, it is over, or another build has taken its place."""
        for _ in range(_TRIES):
            read, now = self._read(), self.clock()
            status = read.status
            is_free = status.state == "queued" or (status.state == "running" and not status.is_under_way(now))
            if status.build_id != build_id or status.k is None or not is_free:
                return None
            claimed = status.claimed(fields.new_id(), now)
            etag = self._put(claimed, read.etag)
            if etag is not None:
                return Claim(self, status.k, claimed, etag)
        return None

    def withdraw(self, status: MatrixStatus, error: str) -> None:
        """Give up a build for which no worker could be had, unless one has it all the same; `error` says why."""
        read = self._read()
        if read.status == status:
            self._put(status.failed(error, self.clock()), read.etag)

    def read_row(self, product_id: str) -> MatrixRow | None:
        """The nearest neighbours of a product in the newest finished matrix; None where the product is not in it.

        Raises NotFound where no matrix was ever finished, Unavailable where an object of it is damaged.
        """
        matrix = self.status().current
        while matrix:
            try:
                return self._row(matrix, product_id)
            except CorruptMatrix as error:
                newer = self.status().current  # two builds may have been done since: the matrix is deleted then
                if newer is None or newer.folder == matrix.folder:
                    log_warning("matrix_corrupt", reason=str(error), build_id=matrix.build_id)
                    raise Unavailable("The similarity matrix is damaged. Have it built again.") from error
                matrix = newer
        raise NotFound("No similarity matrix has been built yet. Ask for one with POST /embeddings/similarity.")

    def _row(self, matrix: StoredMatrix, product_id: str) -> MatrixRow | None:
        table = self._id_table(matrix)
        number = table.number(product_id)
        if number is None:
            return None
        place, row = divmod(number, matrix.rows_per_object)
        first = row * matrix.row_bytes
        body = self._get(self.rows_key(matrix.folder, place), (first, first + matrix.row_bytes))
        found = open_row(body, number, matrix.row_bytes)
        return MatrixRow(matrix, [Neighbour(table.id(other), score) for other, score in found])

    def _id_table(self, matrix: StoredMatrix) -> IdTable:
        key = self.ids_key(matrix.folder)
        table = self._tables.get(key)
        if table is None:
            data = self._get(key, None)
            if hashlib.sha256(data).hexdigest() != matrix.ids_digest:
                raise CorruptMatrix("the id table is not what was written")
            table = IdTable.read(data)
            self._tables.keep(key, table)
        return table

    def _get(self, key: str, byte_range: tuple[int, int] | None) -> bytes:
        try:
            stored = self.objects.get(key, byte_range)
        except ObjectChanged as error:
            raise CorruptMatrix("an object ends too early") from error
        if stored is None:
            raise CorruptMatrix("an object is missing")
        return stored.body

    def ids_key(self, folder: str) -> str:
        return f"{self._folder}{folder}/ids"

    def rows_key(self, folder: str, place: int) -> str:
        return f"{self._folder}{folder}/rows-{place:05d}"

    @property
    def _status_key(self) -> str:
        return f"{self._folder}status.json"

    def _read(self) -> _Read:
        stored = self.objects.get(self._status_key)
        if stored is None:
            return _Read(MatrixStatus(), None)
        try:
            return _Read(MatrixStatus.from_bytes(stored.body), stored.etag)
        except CorruptStatus as error:
            log_warning("matrix_status_corrupt", reason=str(error))
            return _Read(MatrixStatus(), stored.etag)

    def _put(self, status: MatrixStatus, etag: str | None) -> str | None:
        """The new ETag; None where the status is no longer the one that `etag` is of."""
        try:
            return self.objects.put(self._status_key, status.to_bytes(), if_match=etag, if_absent=etag is None)
        except ObjectChanged:
            return None

    def advance(self, status: MatrixStatus, etag: str) -> str:
        """Put the status of a build that a worker has; returns the new ETag. Raises ClaimLost.

        The status may have changed by a put of this very attempt whose answer got lost: then it is put over that.
        """
        for _ in range(_TRIES):
            try:
                return self.objects.put(self._status_key, status.to_bytes(), if_match=etag)
            except (ObjectChanged, OutcomeUnknown):
                read = self._read()
            if read.etag is None or read.status.attempt != status.attempt:
                raise ClaimLost("another build or worker has taken over")
            if read.status == status:
                return read.etag
            if read.status.state != "running":
                raise ClaimLost("the build is over")
            etag = read.etag
        raise OutcomeUnknown

    def other_objects(self, folders: set[str]) -> list[str]:
        """Keys of everything stored for this matrix but the status and these folders."""
        spared = tuple(f"{self._folder}{folder}/" for folder in folders)
        found = (info.key for info in self.objects.list(self._folder))
        return [key for key in found if key != self._status_key and not key.startswith(spared)]


@dataclass(slots=True)
class Claim:
    """A build that this worker has, as long as nobody else changes the status. Not for several threads."""

    store: MatrixStore
    k: int
    status: MatrixStatus
    _etag: str
    _beat_at: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> str:
        """Where this attempt's objects go, within those of the matrix."""
        return f"{self.status.build_id}/{self.status.attempt}"

    def progress(self, rows_done: int, rows: int) -> None:
        """Give a sign of life, every ten seconds at the most often. Raises ClaimLost.

        One that cannot be given is left out: there will be others before the build is taken for dead.
        """
        if time.monotonic() - self._beat_at < HEARTBEAT_SECONDS:
            return
        self._beat_at = time.monotonic()
        try:
            self._advance(self.status.alive(rows_done, rows, self.store.clock()))
        except (TooManyRequests, Unavailable):
            return

    def beat(self) -> None:
        """Give a sign of life while no rows are being done, as `progress` does."""
        self.progress(self.status.rows_done, self.status.rows or 0)

    def finish(self, matrix: StoredMatrix) -> MatrixStatus:
        """Let this matrix be the current one and delete those that nobody reads any more. Raises ClaimLost.

        What there is to delete is listed while the build is still this worker's: a later build's objects, which may
        be written as soon as this one is done, are not on the list. The matrix just replaced may be being read.
        """
        done = self.status.done(matrix, self.store.clock())
        replaced = {self.status.current.folder} if self.status.current else set()
        outdated = self.store.other_objects({matrix.folder} | replaced)
        self._advance(done)
        try:
            self.store.objects.delete(outdated)
        except ApiError as error:
            log_warning("matrix_leftovers", reason=type(error).__name__)  # the next build deletes them
        return self.status

    def fail(self, error: str) -> MatrixStatus:
        """Tell that the build came to nothing, and why, in words that the caller may read. Raises ClaimLost."""
        self._advance(self.status.failed(error, self.store.clock()))
        return self.status

    def _advance(self, status: MatrixStatus) -> None:
        self._etag = self.store.advance(status, self._etag)
        self.status = status
