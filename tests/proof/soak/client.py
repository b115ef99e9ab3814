"""One client of the soak: it asks, compares with what it was told, and never repeats by itself."""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import unquote

from .kept import Kept, State
from .operations import MIX, MODEL_VERSION, PRODUCTS, store_embedding

_TIMEOUT_SECONDS = 60
_MOST_VIOLATIONS = 20
_DIMENSION = 32

Reading = Callable[[dict[str, Any]], State]


class Client:
    """Sends one request after another on one connection until it is stopped, or nobody answers."""

    def __init__(self, port: int, token: str, name: str, number: int, randomness: random.Random) -> None:
        self.name, self.number, self.random = name, number, randomness
        self.kept = Kept()
        self.violations: list[str] = []
        self.answered = self.broken_off = 0
        self.is_waiting = False
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        self._hurries, self._stopped = threading.Event(), threading.Event()

    def run(self, thinking_seconds: float, rush_seconds: float) -> None:
        """Ask until the end; at first, for `rush_seconds`, without a pause."""
        operations, weights = zip(*MIX, strict=True)
        began = time.monotonic()
        store_embedding(self)  # the other operations know the model version
        while not self._stopped.is_set():
            self.random.choices(operations, weights)[0](self)
            if time.monotonic() - began > rush_seconds:
                self._hurries.wait(self.random.expovariate(1 / thinking_seconds))

    def hurry(self) -> None:
        self._hurries.set()

    def stop(self) -> None:
        self._stopped.set()

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None, *expected: int, key: str | None = None
    ) -> dict[str, Any] | None:
        """The answer's document, {} where it has none; None where none came, or another status than `expected`."""
        found = self._exchange(method, path, body, key)
        if found is None:
            return None
        status, content = found
        if status not in expected:
            self.violated(f"{method} {path}", f"answered {status} {content[:300]!r}")
            return None
        document: dict[str, Any] = json.loads(content) if content else {}
        return document

    def fetch(self, path: str) -> None:
        found = self._exchange("GET", path, None, None)
        if found is not None and (found[0] != 200 or not found[1]):
            self.violated(f"GET {path}", f"answered {found[0]} with {len(found[1])} bytes")

    def read(self, path: str, state_of: Reading) -> None:
        answer = self.call("GET", path, None, 200)
        if answer is not None and not self.kept.allows(path, state_of(answer)):
            self.violated(f"GET {path}", f"is {state_of(answer)}, and was told to be {self.kept.rows[path]}")

    def change(
        self,
        method: str,
        path: str,
        row: str,
        body: Mapping[str, Any] | None,
        state: State,
        state_of: Reading | None,
        *expected: int,
    ) -> None:
        """A write of one row, which then is in `state`; what its answer says has to be the same."""
        self.kept.not_told(row, state)
        answer = self.call(method, path, body, *(expected or (200,)))
        if answer is None:
            return
        if state_of is not None and state_of(answer) != state:
            self.violated(f"{method} {path}", f"is {state_of(answer)}, and not {state}")
        self.kept.told(row, state)

    def some(self, prefix: str) -> Collection[str]:
        """One of the rows that are there for certain, if there is any."""
        paths = [path for path in self.kept.known(prefix) if len(self.kept.rows[path]) == 1]
        return [self.random.choice(paths)] if paths else []

    def embedding(self) -> dict[str, Any]:
        return {
            "product_id": f"{self.name}/{self.number} {self.random.randrange(PRODUCTS)}",
            "model_version": MODEL_VERSION,
            "embedding_vector": [round(self.random.gauss(0, 1), 3) for _ in range(_DIMENSION)],
            "product": {"price": self.random.randrange(1000)},
        }

    @staticmethod
    def product_of(path: str) -> str:
        return unquote(path.removeprefix("/embeddings/").partition("?")[0])

    def violated(self, request: str, what: str) -> None:
        if len(self.violations) < _MOST_VIOLATIONS:
            self.violations.append(f"{self.name} {self.number}: {request}: {what}")

    def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None, key: str | None
    ) -> tuple[int, bytes] | None:
        content = None if body is None else json.dumps(body)
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        self.is_waiting = True
        try:
            self._connection.request(method, path, content, headers)
            response = self._connection.getresponse()
            answer = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self.broken_off += 1
            self.stop()  # what comes after is not heard; this request is the one whose outcome nobody was told
            if not self._hurries.is_set():
                self.violated(f"{method} {path}", f"had no answer: {type(error).__name__}: {error}")
            return None
        finally:
            self.is_waiting = False
        self.answered += 1
        return answer
