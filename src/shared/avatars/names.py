"""The names of uploads and avatars.

An upload's id and an avatar's both begin with the time at which the upload was asked for, in microseconds, as
hexadecimal digits: of two avatars of one user, that tells which is newer.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import quote, unquote

from ..models.avatar import AVATARS
from ..models.fields import parse_timestamp, timestamp

UPLOADS = "uploads/"
"""What the keys of all uploads begin with. Nothing is ever shown from there."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME_DIGITS = 14
_SECRET_DIGITS = 32
_UPLOAD_KEY = re.compile(rf"{UPLOADS}([^/]+)/([0-9a-f]{{{_TIME_DIGITS + _SECRET_DIGITS}}})")

_AVATAR_URL = re.compile(rf"https?://[^/?#\s]+(?:/[^/?#\s]+)*(/{AVATARS}[0-9a-f]{{32}}/[0-9a-f]{{46}})")


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload that a user has asked for."""

    user_id: str
    upload_id: str

    @classmethod
    def new(cls, user_id: str, requested_at: str) -> Self:
        """Nobody but who gets its form knows its id."""
        digits = (parse_timestamp(requested_at) - _EPOCH) // _MICROSECOND
        return cls(user_id, f"{digits:0{_TIME_DIGITS}x}{secrets.token_hex(_SECRET_DIGITS // 2)}")

    @classmethod
    def of_key(cls, key: str) -> Self | None:
        """The upload that is kept under this key; None for a key that no upload has."""
        match = _UPLOAD_KEY.fullmatch(key)
        upload = cls(unquote(match[1]), match[2]) if match else None
        return upload if upload is not None and upload.key == key else None

    @property
    def key(self) -> str:
        return upload_prefix(self.user_id) + self.upload_id

    @property
    def requested_at(self) -> str:
        return requested_at(self.upload_id)

    def avatar_path(self, image: bytes) -> str:
        """The path of the avatar that this checked image becomes: the same for the same image, so that a check that is
        repeated leaves one, and another for another, so that what is shown under an address never changes."""
        digest = hashlib.sha256(self.upload_id.encode() + image).hexdigest()[:_SECRET_DIGITS]
        return f"/{avatar_prefix(self.user_id)}{self.upload_id[:_TIME_DIGITS]}{digest}"


def upload_prefix(user_id: str) -> str:
    """What the keys of all uploads of this user begin with, and no other's."""
    return f"{UPLOADS}{quote(user_id, safe='')}/"


def avatar_owner(user_id: str) -> str:
    """The user in an avatar's public address: 128 bits of a digest that nothing else uses, the log least of all."""
    return hashlib.sha256(b"avatar\0" + user_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def avatar_prefix(user_id: str) -> str:
    """What the keys of all avatars of this user begin with, and no other's."""
    return f"{AVATARS}{avatar_owner(user_id)}/"


def key_of(path: str) -> str:
    """The key of the avatar that has this path below the API's address, which is what a user's row holds."""
    return path.removeprefix("/")


def requested_at(some_id: str) -> str:
    """When the upload with this id, or that became the avatar with this id, was asked for. Raises ValueError."""
    return timestamp(_EPOCH + int(some_id[:_TIME_DIGITS], 16) * _MICROSECOND)


def own_avatar_path(url: str | None, user_id: str) -> str | None:
    """The path of the avatar of the user's own that this is an address of, so that a profile which is sent back as it
    was read keeps its picture; None for any other address. The host does not matter: an API has several, and the
    digest in the path is nobody else's."""
    match = _AVATAR_URL.fullmatch(url or "")
    return match[1] if match and match[1].startswith(f"/{avatar_prefix(user_id)}") else None
