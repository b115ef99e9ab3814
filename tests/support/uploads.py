"""An upload's way into the bucket, and its check, as S3 and its notification would have it."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus

from handlers import avatar_uploads
from shared.avatars.names import UPLOADS
from shared.database import DatabaseManager
from shared.similarity.objects import default_objects
from tests.support.api import Answer, Api


def ask(api: Api, media_type: str = "image/png") -> Answer:
    answer = api.post("/user/avatar", {"content_type": media_type})
    assert answer.status == 201, answer.text
    return answer


def policy(form: Answer) -> dict[str, Any]:
    """What the form's signature covers."""
    document: dict[str, Any] = json.loads(b64decode(form.json()["fields"]["policy"]))
    return document


def send(form: Answer, body: bytes) -> str:
    """What S3 does with the form; gives the key."""
    fields = form.json()["fields"]
    default_objects().put(fields["key"], body, media_type=fields["Content-Type"])
    return str(fields["key"])


def event(*keys: str) -> dict[str, Any]:
    """S3's notification, as far as a function may look at it."""
    records = [
        {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Post",
            "s3": {"bucket": {"name": "b"}, "object": {"key": quote_plus(key, safe="/"), "size": 1}},
        }
        for key in keys
    ]
    return {"Records": records}


def check(key: str) -> None:
    avatar_uploads.handler(event(key))


def upload(api: Api, body: bytes, media_type: str = "image/png") -> str:
    """An image on its whole way; gives the key that it had."""
    key = send(ask(api, media_type), body)
    check(key)
    return key


def shown(api: Api) -> Answer | None:
    """What an `<img>` with the profile's avatar gets; None where there is none."""
    url = api.get("/user/profile").json()["avatar_url"]
    if url is None:
        return None
    assert url.startswith("http://localhost/avatars/")
    return Api().get(url.removeprefix("http://localhost"))


def keys(prefix: str = "") -> list[str]:
    return [info.key for info in default_objects().list(prefix) if not info.key.startswith("similarity/")]


def uploads() -> list[str]:
    return keys(UPLOADS)


class Ended(Exception):
    """The function is gone, between two AWS calls."""


@contextmanager
def at_call(manager: DatabaseManager, number: int, moment: str, act: Callable[[], object]) -> Iterator[list[str]]:
    """Does `act` once: before the AWS call of this number is made, or "after" it has been; gives the calls."""
    calls: list[str] = []

    def before(model: Any, **_: object) -> None:
        calls.append(model.name)
        if moment == "before" and len(calls) == number:
            act()

    def after(model: Any, **_: object) -> None:
        if moment == "after" and len(calls) == number:
            act()

    clients = [manager.client, default_objects().client]
    for client in clients:
        events: Any = client.meta.events
        events.register("before-call", before)
        events.register("after-call", after)
    try:
        yield calls
    finally:
        for client in clients:
            events = client.meta.events
            events.unregister("before-call", before)
            events.unregister("after-call", after)
