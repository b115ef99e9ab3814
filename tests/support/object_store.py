"""An object store in memory, with the conditions of S3, for tests that look at every call or break it off."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from shared.similarity.objects import ObjectChanged, ObjectInfo, ObjectStore, StoredObject


class MemoryObjects(ObjectStore):
    """`before` is called before each call, `after` after it, with the operation and the key (or prefix)."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__()
        self.bodies: dict[str, bytes] = {}
        self.modified: dict[str, datetime] = {}
        self.clock = clock
        self.before: Callable[[str, str], None] = _nothing
        self.after: Callable[[str, str], None] = _nothing

    def get(self, key: str, byte_range: tuple[int, int] | None = None, etag: str | None = None) -> StoredObject | None:
        self.before("get", key)
        body = self.bodies.get(key)
        self.after("get", key)
        if body is None:
            return None
        start, stop = byte_range or (0, len(body))
        if (etag is not None and etag != etag_of(body)) or (byte_range and start >= len(body)):
            raise ObjectChanged
        return StoredObject(body[start:stop], etag_of(body))

    def put(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        media_type: str | None = None,
    ) -> str:
        self.before("put", key)
        there = self.bodies.get(key)
        if (if_absent and there is not None) or (if_match and (there is None or etag_of(there) != if_match)):
            raise ObjectChanged
        self.bodies[key], self.modified[key] = body, self.clock()
        self.after("put", key)
        return etag_of(body)

    def delete(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self.before("delete", key)
            self.bodies.pop(key, None)
            self.after("delete", key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.before("list", prefix)
        for key in sorted(self.bodies):
            if key.startswith(prefix):
                yield ObjectInfo(key, self.modified[key], len(self.bodies[key]))


def etag_of(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _nothing(operation: str, key: str) -> None:
    pass
