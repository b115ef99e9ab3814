"""What surrounds the client in its tests: an API that says what the test wants, and a clock that does not wait."""

import asyncio
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from k9_api import AsyncClient, Client, Runtime

URL = "https://api.example.com/dev"
TOKEN = "head.claims.signature"

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


@dataclass
class World:
    """Answers one request after the other, and keeps what was asked. Sleeping moves the clock alone."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    time: float = 1000.0
    takes: float = 0.0
    """Seconds until each answer."""

    keys: Iterator[str] = field(default_factory=lambda: (f"key-{number}" for number in count(1)))

    def says(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.time += self.takes
        assert self.answers, f"nobody expected {request.method} {request.url}"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, httpx.Response):
            return answer(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.handle)

    @property
    def runtime(self) -> Runtime:
        """Pauses are drawn at their longest, and keys count up."""
        return Runtime(
            clock=lambda: self.time,
            now=lambda: self.time,
            sleep=self._sleep,
            sleep_async=self._sleep_async,
            jitter=lambda least, most: most,
            new_key=lambda: next(self.keys),
        )

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode().removeprefix('/dev')}" for request in self.requests]

    def header(self, name: str) -> list[str | None]:
        return [request.headers.get(name) for request in self.requests]

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    async def _sleep_async(self, seconds: float) -> None:
        self._sleep(seconds)


class Surface(ABC):
    """One of the two clients; a test's use of it is the same for both."""

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def run(self, use: Callable[[Any], Any], **options: Any) -> Any:
        """What `use` ends in, given the client; an iterator's items as a list."""

    def _options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"token": TOKEN, "transport": self.world.transport, "runtime": self.world.runtime, **options}


class Blocking(Surface):
    def run(self, use: Callable[[Any], Any], **options: Any) -> Any:
        with Client(URL, **self._options(options)) as client:
            result = use(client)
            return list(result) if isinstance(result, Iterator) else result


class Awaited(Surface):
    def run(self, use: Callable[[Any], Any], **options: Any) -> Any:
        return asyncio.run(self._run(use, options))

    async def _run(self, use: Callable[[Any], Any], options: Mapping[str, Any]) -> Any:
        async with AsyncClient(URL, **self._options(options)) as client:
            result = use(client)
            if isinstance(result, AsyncIterator):
                return [item async for item in result]
            return await result if inspect.isawaitable(result) else result


SURFACES: Mapping[str, Callable[[World], Surface]] = {"async": Awaited, "sync": Blocking}


def ok(document: object = None, status: int = 200, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=document, headers=named)


def problem(
    status: int, slug: str, detail: str = "", *, retry_after: str | None = None, **more: object
) -> httpx.Response:
    document = {
        "type": f"urn:k9:problem:{slug}",
        "title": slug.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": "/x",
        "request_id": "request-1",
        **more,
    }
    headers = {"Content-Type": "application/problem+json"}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return httpx.Response(status, content=json.dumps(document), headers=headers)


def report(**members: object) -> dict[str, object]:
    return {
        "id": "r1",
        "title": "T",
        "author": "A",
        "date": "2026-01-02",
        "reference": None,
        "favorites": [],
        "created_at": "2026-01-02T03:04:05.000006Z",
        "updated_at": "2026-01-02T03:04:05.000006Z",
        "version": 1,
        **members,
    }


def embedding(product_id: str = "p", **members: object) -> dict[str, object]:
    return {
        "product_id": product_id,
        "model_version": "m",
        "vector_dimension": 2,
        "product": {},
        "created_at": "2026-01-02T03:04:05.000006Z",
        "updated_at": "2026-01-02T03:04:05.000006Z",
        "version": 1,
        **members,
    }


def profile(**members: object) -> dict[str, object]:
    return {
        "user_id": "u",
        "name": "Ada",
        "email": None,
        "avatar_url": None,
        "avatar_error": None,
        "preferences": {},
        "created_at": "2026-01-02T03:04:05.000006Z",
        "updated_at": "2026-01-02T03:04:05.000006Z",
        "version": 1,
        **members,
    }


def matrix(state: str, **members: object) -> dict[str, object]:
    return {
        "model_version": "m",
        "state": state,
        "k": 2,
        "rows": None,
        "built_at": None,
        "is_stale": None,
        "progress": 0,
        "requested_at": None,
        "error": None,
        **members,
    }
