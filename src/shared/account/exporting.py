"""Making the copy of an account: what a worker does, in parts that are each uploaded, noted, and not done again.

A worker that is ended in between leaves the next where it was at the last part; memory holds one part at a time,
however large the account is. The file cannot be read before it is whole.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from ..database.manager import DatabaseManager, default_manager
from ..database.model_versions import ModelVersionRepository
from ..errors import ApiError
from ..models import fields, json_text
from ..similarity.objects import ObjectStore
from ..similarity.uploads import LEAST_PART_BYTES, UploadLost, complete_upload, upload_part
from .account_exports import ExportClaim, ExportStore
from .export_status import Archive, Place
from .sections import AccountFile, Sections
from .status_object import ClaimLost
from .zip_archive import Entry, make_directory, make_entry

FORMAT = "k9-account-1"
_GROW_AFTER = 1000
"""An upload has 10,000 parts at most: after so many each the next are larger, which makes it 270 GB."""

_LOST = "The file could not be put together. Ask for the export anew."


def export(
    objects: ObjectStore,
    *,
    owner: str,
    export_id: str,
    check: Callable[[], None],
    manager: DatabaseManager | None = None,
    clock: Callable[[], str] = fields.now,
    part_bytes: int = LEAST_PART_BYTES,
) -> None:
    """Go on with an export until it is done; nothing where another worker has it. `check` may raise to end it.

    Raises what ends it.
    """
    store = ExportStore(objects, owner, clock=clock)
    claim = store.claim(export_id)
    if claim is not None:
        _go_on(claim, manager or default_manager(), check, part_bytes)
    if store.is_over(export_id):
        store.tidy(export_id)


def _go_on(claim: ExportClaim, manager: DatabaseManager, check: Callable[[], None], part_bytes: int) -> None:
    try:
        _make(claim, manager, check, part_bytes)
    except UploadLost:
        claim.advance(claim.status.failed(_LOST, claim.store.clock()))
    except ApiError:
        with suppress(ApiError, ClaimLost):  # else the next has to wait until the claim has run out
            claim.advance(claim.status.released())
        raise


def _make(claim: ExportClaim, manager: DatabaseManager, check: Callable[[], None], part_bytes: int) -> None:
    user_id = claim.store.user_id
    if claim.status.archive is None:
        claim.begin(tuple(ModelVersionRepository(manager).list_model_versions(user_id)))
    archive = _archive(claim)
    sections = Sections(manager, claim.store.objects, user_id, archive.model_versions)
    while not archive.is_whole:
        part, least = _Part(archive), part_bytes * (1 + len(archive.etags) // _GROW_AFTER)
        while len(part.body) < least and (file := sections.next_file(part.next, check)) is not None:
            part.add(file)
        if len(part.body) < least:
            part.end(user_id, claim.status.requested_at, claim.store.clock())
        archive = _upload(claim, archive, part)
    complete_upload(claim.store.objects, claim.key, archive.upload_id, archive.etags)
    claim.advance(claim.status.done(claim.store.clock()))


def _upload(claim: ExportClaim, archive: Archive, part: "_Part") -> Archive:
    etag = upload_part(claim.store.objects, claim.key, archive.upload_id, len(archive.etags) + 1, bytes(part.body))
    claim.advance(
        claim.status.with_archive(
            replace(
                archive,
                etags=(*archive.etags, etag),
                entries=tuple(part.entries),
                size=archive.size + len(part.body),
                next=part.next,
                is_whole=part.is_last,
            )
        )
    )
    return _archive(claim)


def _archive(claim: ExportClaim) -> Archive:
    if claim.status.archive is None:
        raise ClaimLost
    return claim.status.archive


class _Part:
    """The next part of an archive while it is put together."""

    def __init__(self, archive: Archive) -> None:
        self.entries: list[Entry] = list(archive.entries)
        self.next: Place = archive.next
        self.body = bytearray()
        self.is_last = False
        self._begins = archive.size

    def add(self, file: AccountFile) -> None:
        """Add a file; an empty one is left out."""
        self.next = file.next
        if file.body:
            number = 1 + sum(entry.name.startswith(f"{file.kind}-") for entry in self.entries)
            self._add(f"{file.kind}-{number:05}.{file.extension}", file.body, file.lines)

    def end(self, user_id: str, requested_at: str, finished_at: str) -> None:
        """Add what tells of all the files, and the archive's directory."""
        manifest = {
            "format": FORMAT,
            "user_id": user_id,
            "requested_at": requested_at,
            "finished_at": finished_at,
            "files": [
                {"name": entry.name, "lines": entry.lines, "bytes": entry.size, "sha256": entry.sha256}
                for entry in self.entries
            ],
        }
        self._add("manifest.json", json_text.dumps(manifest).encode(), 1)
        self.body += make_directory(self.entries, self._begins + len(self.body))
        self.is_last = True

    def _add(self, name: str, body: bytes, lines: int) -> None:
        entry, packed = make_entry(name, body, self._begins + len(self.body), lines)
        self.entries.append(entry)
        self.body += packed
