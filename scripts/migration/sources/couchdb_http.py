"""Requests to a CouchDB server: JSON answers, tried again where that can help."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.util import Retry, Timeout, make_headers

from scripts.migration.sources.json_column import parsed
from scripts.migration.sources.source import SourceError
from shared.models.json_text import dumps

USER, PASSWORD, PASSWORD_FILE = "COUCHDB_USER", "COUCHDB_PASSWORD", "COUCHDB_PASSWORD_FILE"
_TIMEOUT = Timeout(connect=10, read=60)
_RETRIES = Retry(
    total=8,
    backoff_factor=0.25,
    backoff_max=20,
    backoff_jitter=0.25,
    retry_after_max=60,
    status_forcelist=(429, 500, 502, 503, 504),
    redirect=0,
    raise_on_status=False,
    raise_on_redirect=False,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """`size` is that of the JSON text, in bytes."""

    place: str
    value: Any
    size: int

    def member(self, name: str) -> Any:
        """Raises SourceError where a CouchDB would have it and this answer has not."""
        if not isinstance(self.value, dict) or name not in self.value:
            raise SourceError(f"{self.place} answers without {name}: is a CouchDB there?")
        return self.value[name]


@dataclass(frozen=True, slots=True)
class CouchServer:
    """`root` is the server's address, without a secret in it, and without a slash at its end."""

    root: str
    headers: Mapping[str, str] = field(repr=False)
    pool: urllib3.PoolManager = field(repr=False)

    def get(self, *path: str, **query: Any) -> Answer:
        """The answer to a GET, whose query values are JSON. Raises SourceError for any other than a success."""
        place = "/".join([self.root, *(quote(part, safe="") for part in path)])
        question = urlencode({name: dumps(value) for name, value in query.items()})
        try:
            response = self.pool.request("GET", f"{place}?{question}" if question else place, headers=self.headers)
        except HTTPError as error:
            raise SourceError(f"{place} does not answer ({_cause(error)}): is the address right?") from error
        if response.status != 200:
            raise SourceError(_refusal(place, response.status))
        return Answer(place, _value(place, response.data), len(response.data))

    def close(self) -> None:
        self.pool.clear()


def server_at(root: str) -> CouchServer:
    """The server, with the credentials of the environment. Raises SourceError where these are not whole."""
    user, password = os.environ.get(USER), _password()
    if (user is None) != (password is None):
        raise SourceError(f"Set both {USER} and {PASSWORD} (or {PASSWORD_FILE}), or none of them.")
    headers = make_headers(basic_auth=f"{user}:{password}".encode().decode("latin-1")) if user else {}
    return CouchServer(root, {"Accept": "application/json", **headers}, _pool())


def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=_TIMEOUT, retries=_RETRIES)


def _password() -> str | None:
    path = os.environ.get(PASSWORD_FILE)
    if path is None:
        return os.environ.get(PASSWORD)
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"The file that {PASSWORD_FILE} names cannot be read: {error}.") from error


def _value(place: str, data: bytes) -> Any:
    try:
        return parsed(data.decode())
    except ValueError as error:
        raise SourceError(f"{place} answers with what is not JSON ({error}): is a CouchDB there?") from error


def _refusal(place: str, status: int) -> str:
    if status in (401, 403):
        return f"{place} does not let us in ({status}): set {USER}, and {PASSWORD} or {PASSWORD_FILE}."
    if status == 404:
        return f"{place} is not there ({status}): is the database's name right?"
    if 300 <= status < 400:
        return f"{place} says that it is elsewhere ({status}): give the address where it is."
    return f"{place} answers {status}, also after {_RETRIES.total} more tries: look at the server, then start again."


def _cause(error: HTTPError) -> str:
    return str(error.reason if isinstance(error, MaxRetryError) and error.reason else error)
