"""POST /user/avatar"""

from shared.auth import Caller
from shared.avatars.requesting import request_upload
from shared.errors import Conflict, OutcomeUnknown
from shared.http import endpoint
from shared.models.avatar import AvatarUpload, RequestAvatar
from shared.similarity.objects import default_objects

from .own import own_user


@endpoint("POST", "/user/avatar", status=201, refusals=(Conflict, OutcomeUnknown))
def handler(caller: Caller, body: RequestAvatar) -> AvatarUpload:
    """A form that takes one image for five minutes. It becomes the avatar once it is there and has been checked."""
    return request_upload(default_objects(), own_user(caller), body.content_type)
