"""The caller: the profile, the picture, and what becomes of all that is theirs."""

from dataclasses import dataclass

from .json_documents import JsonObject


@dataclass(frozen=True, slots=True)
class Profile:
    """`avatar_url` is where the picture is; `avatar_error` why one that was uploaded after it was refused."""

    user_id: str
    name: str | None
    email: str | None
    avatar_url: str | None
    preferences: JsonObject
    created_at: str
    updated_at: str
    version: int
    avatar_error: str | None = None


@dataclass(frozen=True, slots=True)
class AvatarUpload:
    """Where a picture may be sent, as a form with these fields, until `expires_at`."""

    url: str
    fields: dict[str, str]
    expires_at: str
    max_bytes: int


@dataclass(frozen=True, slots=True)
class ErasureState:
    """How the erasure of all the caller's data stands: absent, queued, running, waiting or done."""

    state: str


@dataclass(frozen=True, slots=True)
class AccountExport:
    """How the export of the caller's data stands: absent, queued, running, done (with a `url`) or failed."""

    state: str
    url: str | None
    expires_at: str | None
    bytes: int | None
