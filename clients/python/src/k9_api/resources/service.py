"""What is open to anyone: the service itself, and pictures."""

from typing import Any

from ..api import Call
from ..effects import Plan
from ..json_text import loads
from ..models.health import Health
from ..operations import GET_AVATAR, GET_DOCS, GET_DOCS_FILE, GET_HEALTH, GET_OPENAPI
from ..surface import AsyncGroup, Group, SyncGroup, operation


class ServiceMethods(Group):
    @operation
    def health(self) -> Plan[Health]:
        """The version, if every table answers. Raises Unavailable where one does not."""
        return self._api.fetch(Health, Call(GET_HEALTH))

    @operation
    def openapi(self) -> Plan[dict[str, Any]]:
        """The OpenAPI document of the API that answers."""
        response = yield from self._api.send(Call(GET_OPENAPI))
        document: dict[str, Any] = loads(response.content)
        return document

    @operation
    def docs(self, file: str | None = None) -> Plan[bytes]:
        """The documentation page, or one of its files."""
        call = Call(GET_DOCS) if file is None else Call(GET_DOCS_FILE, path={"file": file})
        return (yield from self._api.send(call)).content

    @operation
    def avatar(self, owner: str, avatar_id: str) -> Plan[bytes]:
        """A picture, by the two last parts of its `avatar_url`. Raises NotFound."""
        call = Call(GET_AVATAR, path={"owner": owner, "avatar_id": avatar_id})
        return (yield from self._api.send(call)).content


class Service(ServiceMethods, SyncGroup):
    """The service, for code that blocks."""


class AsyncService(ServiceMethods, AsyncGroup):
    """The service, for asyncio."""
