"""After a new start: every row is as its client was told, or as one of its requests without an answer would have it."""

import http.client
import json
from collections.abc import Iterable
from typing import Any

from tests.support.dev import Dev

from .client import Client
from .kept import State
from .operations import embedding_state, report_state

_SHOWN = 20


def verify(clients: Iterable[Client], dev: Dev) -> list[str]:
    """What is not as it was told, at most so many of it."""
    connection = http.client.HTTPConnection("127.0.0.1", dev.port, timeout=30)
    try:
        found = [lost for client in clients for lost in _lost(client, connection, dev.token(client.name))]
    finally:
        connection.close()
    return found[:_SHOWN]


def remove_one(clients: Iterable[Client], dev: Dev) -> bool:
    """Deletes a report without telling its client, for `verify` to notice. False where there is none, or it fails."""
    for client in clients:
        for path in client.kept.known("/reports/"):
            status, _ = dev.call("DELETE", path, token=dev.token(client.name))
            return status == 204
    return False


def _lost(client: Client, connection: http.client.HTTPConnection, token: str) -> Iterable[str]:
    for path, states in client.kept.rows.items():
        state = _read(connection, path, token)
        if state not in states:
            yield f"after the restart {path} of {client.name} {client.number} is {state}, and was told to be {states}"


def _read(connection: http.client.HTTPConnection, path: str, token: str) -> State:
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    content = response.read()
    if response.status == 404:
        return None
    document: dict[str, Any] = json.loads(content)
    if response.status != 200:
        return f"{response.status} {document}"
    return (report_state if path.startswith("/reports/") else embedding_state)(document)
