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
    avatar_error: str | None


@dataclass(frozen=True, slots=True)
class AvatarUpload:
    """Where a picture may be sent, as a form with these fields, until `expires_at`."""

    url: str
    fields: dict[str, str]
    expires_at: str
    max_bytes: int


@dataclass(frozen=True, slots=True)
class ErasureState:
    """How the erasure of the caller's account stands: `state` is absent, queued, running, waiting or done.

    It waits for `final_pass_at`, when no token that was given before the request is good any more; the counts are at
    least what was erased.
    """

    state: str
    requested_at: str | None = None
    final_pass_at: str | None = None
    finished_at: str | None = None
    reports: int = 0
    embeddings: int = 0
    objects: int = 0


@dataclass(frozen=True, slots=True)
class AccountExport:
    """How the copy of the caller's account stands: `state` is absent, queued, running, done or failed.

    `url` is good until `expires_at`, and given anew by `export_state`; the file is kept until `kept_until`.
    """

    state: str
    requested_at: str | None = None
    finished_at: str | None = None
    kept_until: str | None = None
    reports: int = 0
    embeddings: int = 0
    bytes: int | None = None
    url: str | None = None
    expires_at: str | None = None
    error: str | None = None
