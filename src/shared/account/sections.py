"""An account as the files of its copy: NDJSON, one row a line, as the API itself shows the row; and the avatar's image,
which nothing else could be made anew from.

A row is as it is when it is read; what changes while the copy is made may be in it as before or as after. An embedding
that changes meanwhile moves to the end of its model version, and may be there twice: then the later line is the newer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from ..avatars.names import avatar_prefix, key_of
from ..database.embeddings import EmbeddingRepository
from ..database.manager import DatabaseManager
from ..database.reports import ReportRepository
from ..database.users import UserRepository
from ..errors import NotFound
from ..models import json_text
from ..models.embedding import Embedding
from ..models.json_value import JsonObject
from ..models.report import Report
from ..models.user import DBUser
from ..similarity.objects import ObjectStore
from .export_status import Place

FILE_BYTES = 8 * 1024 * 1024
"""A file ends once it is so long, so that one fits into memory several times."""

_PAGE_ROWS = 500
_AVATAR_TRIES = 3
"""One that is replaced is deleted as soon as the profile names the next."""

Page = tuple[list[JsonObject], str | None]
"""Some rows, and where the next begin (None: they are the last)."""


@dataclass(frozen=True, slots=True)
class AccountFile:
    """One file: the kind of its rows, its text, and what comes after it. An image has no lines."""

    kind: str
    body: bytes
    lines: int
    next: Place
    extension: str = "ndjson"


class Sections:
    """The sections of one account: the profile, the reports, each of these model versions, and the avatar."""

    def __init__(
        self, manager: DatabaseManager, objects: ObjectStore, user_id: str, model_versions: Sequence[str]
    ) -> None:
        self._manager = manager
        self._objects = objects
        self._user_id = user_id
        self._model_versions = model_versions

    def next_file(self, place: Place, check: Callable[[], None]) -> AccountFile | None:
        """The file that begins there, of as many rows as go into one; None at the end of the account."""
        if place.section > self._last:
            return None
        if place.section == self._last:
            return self._avatar()
        kind, read = self._section(place.section)
        text, count, cursor = bytearray(), 0, place.cursor
        while True:
            check()
            rows, cursor = read(cursor)
            for row in rows:
                text += json_text.dumps(row).encode() + b"\n"
            count += len(rows)
            if cursor is None:
                return AccountFile(kind, bytes(text), count, Place(place.section + 1))
            if len(text) >= FILE_BYTES:
                return AccountFile(kind, bytes(text), count, Place(place.section, cursor))

    @property
    def _last(self) -> int:
        return len(self._model_versions) + 2

    def _section(self, number: int) -> tuple[str, Callable[[str | None], Page]]:
        if number == 0:
            return "profile", self._read_profile
        if number == 1:
            return "reports", self._read_reports
        model_version = self._model_versions[number - 2]
        return "embeddings", lambda cursor: self._read_embeddings(model_version, cursor)

    def _read_profile(self, cursor: str | None) -> Page:
        user = self._user()
        return [] if user is None else [user.model_dump(warnings=False)], None

    def _read_reports(self, cursor: str | None) -> Page:
        page = ReportRepository(self._manager).list_reports(self._user_id, _PAGE_ROWS, cursor)
        return [_shown(Report.of(row)) for row in page.reports], page.next_cursor

    def _read_embeddings(self, model_version: str, cursor: str | None) -> Page:
        page = EmbeddingRepository(self._manager).list_embeddings(
            self._user_id, model_version, _PAGE_ROWS, cursor, newest_first=False
        )
        return [_shown(Embedding.of(row, include_vector=True)) for row in page.embeddings], page.next_cursor

    def _avatar(self) -> AccountFile:
        """The image that was uploaded; of no bytes where the profile shows none, or one at an address elsewhere."""
        for _ in range(_AVATAR_TRIES):
            user = self._user()
            shown = key_of(user.avatar_url or "") if user else ""
            if not shown.startswith(avatar_prefix(self._user_id)):
                break
            stored = self._objects.get(shown)
            if stored is not None:
                kind = (stored.media_type or "image/unknown").partition("/")[2]
                return AccountFile("avatar", stored.body, 0, Place(self._last + 1), kind)
        return AccountFile("avatar", b"", 0, Place(self._last + 1))

    def _user(self) -> DBUser | None:
        try:
            return UserRepository(self._manager).get_user(self._user_id)
        except NotFound:
            return None


def _shown(answer: BaseModel) -> JsonObject:
    # A warning about a row of another origin would print its values to the log.
    return answer.model_dump(warnings=False)
