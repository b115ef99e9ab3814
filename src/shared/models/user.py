"""Users: the stored row, the request that changes it, and the answer."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from .avatar import absolute_avatar_url
from .fields import MAX_NAME, UNPRINTABLE, Name, PatchModel, ResponseModel, Timestamp, now, printable
from .json_value import JsonObject, storable_within

MAX_PREFERENCES_BYTES = 64 * 1024

Preferences = Annotated[JsonObject, AfterValidator(storable_within(MAX_PREFERENCES_BYTES))]


def _one_at_sign(text: str) -> str:
    local, _, domain = text.rpartition("@")
    if not local or not domain or "@@" in text or " " in text:
        raise ValueError("must be an e-mail address, such as ada@example.com")
    return printable(text)


_HTTPS = r"^https://[^\s/?#]+[^\s]*$"
_LAPTOPS_AVATAR = re.compile(r"http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?/avatars/[0-9a-f]{32}/[0-9a-f]{46}")
"""What a profile holds that was read from a laptop's gateway, and may be sent back."""


def _https(text: str) -> str:
    if not re.fullmatch(_HTTPS.removesuffix("$"), text) and not _LAPTOPS_AVATAR.fullmatch(text):
        raise ValueError("must be an address such as https://example.com/me.png, without spaces")
    return text


EmailAddress = Annotated[
    str,
    StringConstraints(min_length=3, max_length=320),
    AfterValidator(_one_at_sign),
    Field(json_schema_extra={"pattern": rf"^([^@ {UNPRINTABLE}]+@)+[^@ {UNPRINTABLE}]+$"}),
]
HttpsUrl = Annotated[
    str,
    StringConstraints(max_length=2048),
    AfterValidator(_https),
    Field(json_schema_extra={"pattern": _HTTPS}),
]


class DBUser(BaseModel):
    """A row of the users table. `user_id` is the token's `sub`; `models` is kept by the embeddings."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    user_id: Annotated[str, Field(min_length=1, max_length=128)]
    name: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    email: str | None = None
    avatar_url: str | None = None
    preferences: Preferences = Field(default_factory=dict)
    models: JsonObject = Field(default_factory=dict)
    created_at: Timestamp = Field(default_factory=now)
    updated_at: Timestamp = Field(default_factory=lambda fields: fields["created_at"])
    version: int = 1
    avatar_as_of: Annotated[str | None, Field(exclude=True)] = None
    """When the avatar that is there was asked for, or its address was last changed. This one and the next are no part
    of what a user is stored with: `UserRepository` alone writes them."""

    avatar_error: Annotated[str | None, Field(exclude=True)] = None
    """Why an upload that is newer than the avatar was refused."""


class UpdateProfile(PatchModel):
    """What a PATCH changes (RFC 7396): the members that are present; null clears one; `preferences` is merged."""

    name: Name | None = None
    email: EmailAddress | None = None
    avatar_url: HttpsUrl | None = None
    preferences: Preferences | None = None


class Profile(ResponseModel):
    """A user's profile as the user sees it."""

    user_id: str
    name: str | None
    email: str | None
    avatar_url: str | None
    avatar_error: str | None
    preferences: JsonObject
    created_at: str
    updated_at: str
    version: int

    @classmethod
    def of(cls, row: DBUser, base_url: str) -> Self:
        """An uploaded avatar is stored as a path of this API, and gets the address at which the API was called."""
        return cls.model_construct(
            user_id=row.user_id,
            name=row.name,
            email=row.email,
            avatar_url=absolute_avatar_url(row.avatar_url, base_url),
            avatar_error=row.avatar_error,
            preferences=row.preferences,
            created_at=row.created_at,
            updated_at=row.updated_at,
            version=row.version,
        )
