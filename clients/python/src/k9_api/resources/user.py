"""The caller: the profile and its picture, and the export and the erasure of all that is theirs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ..api import UNSET, Call, IfMatch, Unset
from ..effects import Form, Plan
from ..errors import NotSendable, TaskFailed
from ..files import fetch, replacing
from ..models.users import AccountExport, AvatarUpload, ErasureState, Profile
from ..operations import (
    ERASE_USER,
    GET_ERASURE,
    GET_EXPORT,
    GET_PROFILE,
    PRESIGN_AVATAR,
    REQUEST_EXPORT,
    UPDATE_PROFILE,
)
from ..surface import AsyncGroup, Group, SyncGroup, operation
from ..waiting import until

ImageType = Literal["image/png", "image/jpeg", "image/webp"]
_UNDER_WAY = ("queued", "running")
_AVATAR_SECONDS = 60.0
_EXPORT_SECONDS = 900.0


class UserMethods(Group):
    @operation
    def profile(self) -> Plan[Profile]:
        """The caller's profile; made from the token's claims on first sight."""
        return self._profile()

    @operation
    def update(
        self,
        *,
        name: str | Unset | None = UNSET,
        email: str | Unset | None = UNSET,
        avatar_url: str | Unset | None = UNSET,
        preferences: Mapping[str, Any] | Unset | None = UNSET,
        if_match: IfMatch = None,
        idempotency_key: str | None = None,
    ) -> Plan[Profile]:
        """A merge patch (RFC 7396): None clears a member, and preferences are merged member by member."""
        body = {"name": name, "email": email, "avatar_url": avatar_url, "preferences": preferences}
        return self._api.fetch(
            Profile, Call(UPDATE_PROFILE, body=body, if_match=if_match, idempotency_key=idempotency_key)
        )

    @operation
    def request_avatar_upload(self, content_type: ImageType) -> Plan[AvatarUpload]:
        """Where a picture of this type may be sent; `upload_avatar` does all of it."""
        return self._upload(content_type)

    @operation
    def upload_avatar(
        self, image: bytes, content_type: ImageType, *, timeout: float = _AVATAR_SECONDS
    ) -> Plan[Profile]:
        """Makes an image the caller's picture: asks where to, sends it, and waits until the profile has it.

        Raises NotSendable for an image that is too large, TaskFailed where it is refused, and WaitTimeout.
        """
        before = yield from self._profile()
        upload = yield from self._upload(content_type)
        if len(image) > upload.max_bytes:
            raise NotSendable(f"the image has {len(image)} bytes; at most {upload.max_bytes} are taken")
        yield from self._api.upload(upload.url, Form(upload.fields, "avatar", image, content_type))
        after = yield from until(
            self._profile,
            lambda profile: profile.avatar_url != before.avatar_url or _is_newly_refused(before, profile),
            timeout,
            self._api.runtime,
            "the picture is in the profile",
        )
        if after.avatar_url == before.avatar_url:
            raise TaskFailed(f"the image was refused: {after.avatar_error}")
        return after

    @operation
    def erase(self) -> Plan[ErasureState]:
        """Has all that is the caller's erased, for good, or joins what is under way; `erasure` tells how it stands."""
        return self._api.fetch(ErasureState, Call(ERASE_USER))

    @operation
    def erasure(self) -> Plan[ErasureState]:
        """How the erasure stands."""
        return self._api.fetch(ErasureState, Call(GET_ERASURE))

    @operation
    def export(self) -> Plan[AccountExport]:
        """Has a copy made of all that is the caller's, or joins the one under way; `save_export` waits for it."""
        return self._api.fetch(AccountExport, Call(REQUEST_EXPORT))

    @operation
    def export_state(self) -> Plan[AccountExport]:
        """How the export stands; its `url` is there once it is done."""
        return self._export_state()

    @operation
    def wait_for_export(self, *, timeout: float = _EXPORT_SECONDS) -> Plan[AccountExport]:
        """The export once it is done. Raises TaskFailed where it fails or none was asked for, and WaitTimeout."""
        return self._finished_export(timeout)

    @operation
    def save_export(self, path: str | os.PathLike[str], *, timeout: float = _EXPORT_SECONDS) -> Plan[Path]:
        """Waits for the export and streams it to `path`, which is there once it is whole. Raises OSError, too."""
        export = yield from self._finished_export(timeout)
        if export.url is None:
            raise TaskFailed("the export is done, and has no address")
        with replacing(Path(path)) as file:
            yield from fetch(self._api, export.url, export.bytes, file)
        return Path(path)

    def _profile(self) -> Plan[Profile]:
        return self._api.fetch(Profile, Call(GET_PROFILE))

    def _upload(self, content_type: ImageType) -> Plan[AvatarUpload]:
        return self._api.fetch(AvatarUpload, Call(PRESIGN_AVATAR, body={"content_type": content_type}))

    def _export_state(self) -> Plan[AccountExport]:
        return self._api.fetch(AccountExport, Call(GET_EXPORT))

    def _finished_export(self, timeout: float) -> Plan[AccountExport]:
        export = yield from until(
            self._export_state,
            lambda state: state.state not in _UNDER_WAY,
            timeout,
            self._api.runtime,
            "the export is done",
        )
        if export.state != "done":
            raise TaskFailed(f"the export is {export.state}: {export.error or 'ask for one with export'}")
        return export


class User(UserMethods, SyncGroup):
    """`client.user`"""


class AsyncUser(UserMethods, AsyncGroup):
    """`client.user`, for asyncio."""


def _is_newly_refused(before: Profile, after: Profile) -> bool:
    """An older refusal may stand in the profile yet; a new one comes with a change of it."""
    return after.avatar_error is not None and after.version != before.version
