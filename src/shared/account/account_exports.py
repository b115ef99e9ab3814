"""The copies of accounts: asked for, claimed by a worker, found again while they are pending, read by their owner."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote

from ..downloads import Download, download_of
from ..errors import Unavailable
from ..models import fields
from ..models.fields import timestamp
from ..similarity.objects import ObjectStore, export_prefix
from ..similarity.uploads import create_upload
from ..similarity.versions import abort_upload, erase_objects
from .export_status import MOST_TRIES, Archive, ExportStatus
from .places import PENDING_EXPORTS
from .status_object import ClaimLost, StatusObject

MEDIA_TYPE = "application/zip"
_TRIES = 5
_BROKEN_OFF = "The export was broken off again and again. Ask for it anew."


class ExportStore:
    """The export of one account. Every method raises what ObjectStore raises.

    `clock` gives the time as `models.fields.timestamp` writes it. Making one raises ValueError for a user whose id
    cannot be part of a key.
    """

    def __init__(self, objects: ObjectStore, user_id: str, *, clock: Callable[[], str] = fields.now) -> None:
        self.objects = objects
        self.user_id = user_id
        self.clock = clock
        self._folder = f"{export_prefix(user_id)}account/"
        self._object: StatusObject[ExportStatus] = StatusObject(
            objects, f"{self._folder}status.json", ExportStatus.from_bytes
        )

    def status(self) -> ExportStatus | None:
        """The newest export; None where there is none whose file is still kept."""
        status = self._object.read().status
        is_gone = status is not None and status.kept_until is not None and status.kept_until < self.clock()
        return None if is_gone else status

    def request(self) -> ExportStatus:
        """Ask for an export, and return it; the one that is under way, where one is.

        Its marker is put first, so that none can be forgotten: a marker alone does no harm.
        """
        for _ in range(_TRIES):
            read = self._object.read()
            if read.status is not None and read.status.is_pending:
                return read.status
            wanted = ExportStatus(fields.new_id(), "queued", self.clock())
            self.objects.put(self._marker(wanted.id), b"")
            if self._object.replace(wanted, read.etag) is not None:
                return wanted
        raise Unavailable("The export is being asked for by many at once. Try again.")

    def claim(self, export_id: str) -> "ExportClaim | None":
        """Go on with this export; None where another worker has it, it is over, or there is another by now.

        One that gets nowhere, however often it is begun, has failed.
        """
        for _ in range(_TRIES):
            read, now = self._object.read(), self.clock()
            if read.status is None or read.status.id != export_id or not read.status.is_due(now):
                return None
            is_hopeless = read.status.tries >= MOST_TRIES
            claimed = read.status.failed(_BROKEN_OFF, now) if is_hopeless else read.status.claimed(fields.new_id(), now)
            etag = self._object.replace(claimed, read.etag)
            if etag is not None:
                return None if is_hopeless else ExportClaim(self, claimed, etag)
        return None

    def advance(self, status: ExportStatus, etag: str, attempt: str | None) -> str:
        """The next status of an export that a worker has; the new ETag. Raises ClaimLost."""
        return self._object.advance(status, etag, attempt)

    def is_over(self, export_id: str) -> bool:
        """Whether nothing is left to do for this export."""
        status = self._object.read().status
        return status is None or status.id != export_id or not status.is_pending

    def tidy(self, export_id: str) -> None:
        """Remove the marker of an export that is over."""
        erase_objects(self.objects, self._marker(export_id), lambda: None)

    def download(self, status: ExportStatus) -> Download:
        """The address of a finished export's file."""
        return download_of(
            self.objects,
            self.file_key(status.id),
            media_type=MEDIA_TYPE,
            disposition='attachment; filename="account.zip"',
            clock=self.clock,
        )

    def file_key(self, export_id: str) -> str:
        return f"{self._folder}{export_id}.zip"

    def _marker(self, export_id: str) -> str:
        return f"{PENDING_EXPORTS}{quote(self.user_id, safe='')}/{export_id}"


@dataclass(slots=True)
class ExportClaim:
    """An export that this worker has. Not for several threads."""

    store: ExportStore
    status: ExportStatus
    _etag: str

    @property
    def key(self) -> str:
        return self.store.file_key(self.status.id)

    def begin(self, model_versions: tuple[str, ...]) -> None:
        """Begin the archive. Raises ClaimLost, with no upload left behind."""
        upload_id = create_upload(self.store.objects, self.key, MEDIA_TYPE)
        try:
            self.advance(self.status.with_archive(Archive(upload_id, model_versions)))
        except ClaimLost:
            abort_upload(self.store.objects, self.key, upload_id)
            raise

    def advance(self, status: ExportStatus) -> None:
        """Keep this status. Raises ClaimLost."""
        self._etag = self.store.advance(status, self._etag, self.status.attempt)
        self.status = status


@dataclass(frozen=True, slots=True)
class PendingExport:
    """A marker: of an export that is not done, or has just been, or was never begun."""

    user_id: str
    export_id: str
    since: str


def pending_exports(objects: ObjectStore) -> Iterator[PendingExport]:
    """The markers that there are."""
    for info in objects.list(PENDING_EXPORTS):
        owner, _, export_id = info.key.removeprefix(PENDING_EXPORTS).partition("/")
        yield PendingExport(unquote(owner), export_id, timestamp(info.modified))
