"""The two that perform what plans ask for, over httpx: one for threads, one for asyncio. They decide nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpx

from .effects import Authorize, Download, Effect, Exchange, Flow, HttpRequest, HttpResponse, Item, Plan, Sleep, T
from .errors import K9Error, TransportError
from .runtime import Runtime
from .tokens import AsyncToken, Token, current_token, current_token_async

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""What ends before the first byte of a request is sent."""

_Outcome = HttpResponse | str | None | K9Error


class Driver:
    """Runs plans in the calling thread; any number of threads may at the same time."""

    def __init__(self, http: httpx.Client, token: Token | None, runtime: Runtime) -> None:
        self.http = http
        self._token = token
        self._runtime = runtime

    def run(self, plan: Plan[T]) -> T:
        try:
            effect = next(plan)
            while True:
                effect = _advance(plan, self._outcome(effect))
        except StopIteration as end:
            return cast(T, end.value)
        finally:
            plan.close()

    def iterate(self, flow: Flow[T]) -> Iterator[T]:
        try:
            effect = next(flow)
            while True:
                if isinstance(effect, Item):
                    yield effect.value
                    effect = next(flow)
                else:
                    effect = _advance(flow, self._outcome(effect))
        except StopIteration:
            return
        finally:
            flow.close()

    def _outcome(self, effect: Effect) -> _Outcome:
        try:
            return self._perform(effect)
        except K9Error as error:
            return error

    def _perform(self, effect: Effect) -> HttpResponse | str | None:
        match effect:
            case Exchange():
                return self._exchange(effect)
            case Download():
                return self._download(effect)
            case Authorize(rejected):
                return current_token(self._token, rejected)
            case Sleep(seconds):
                self._runtime.sleep(seconds)
                return None

    def _exchange(self, effect: Exchange) -> HttpResponse:
        with _failures_told(effect.request):
            response = self.http.send(_to_httpx(self.http, effect))
        return HttpResponse(response.status_code, response.headers, response.content)

    def _download(self, effect: Download) -> HttpResponse:
        with _failures_told(effect.request):
            response = self.http.send(_to_httpx(self.http, effect), stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    return HttpResponse(response.status_code, response.headers, response.read())
                for chunk in response.iter_bytes():
                    effect.file.write(chunk)
            finally:
                response.close()
        return HttpResponse(response.status_code, response.headers)


class AsyncDriver:
    """Runs plans in asyncio's loop; any number of tasks may at the same time."""

    def __init__(self, http: httpx.AsyncClient, token: AsyncToken | None, runtime: Runtime) -> None:
        self.http = http
        self._token = token
        self._runtime = runtime

    async def run(self, plan: Plan[T]) -> T:
        try:
            effect = next(plan)
            while True:
                effect = _advance(plan, await self._outcome(effect))
        except StopIteration as end:
            return cast(T, end.value)
        finally:
            plan.close()

    async def iterate(self, flow: Flow[T]) -> AsyncIterator[T]:
        try:
            effect = next(flow)
            while True:
                if isinstance(effect, Item):
                    yield effect.value
                    effect = next(flow)
                else:
                    effect = _advance(flow, await self._outcome(effect))
        except StopIteration:
            return
        finally:
            flow.close()

    async def _outcome(self, effect: Effect) -> _Outcome:
        try:
            return await self._perform(effect)
        except K9Error as error:
            return error

    async def _perform(self, effect: Effect) -> HttpResponse | str | None:
        match effect:
            case Exchange():
                return await self._exchange(effect)
            case Download():
                return await self._download(effect)
            case Authorize(rejected):
                return await current_token_async(self._token, rejected)
            case Sleep(seconds):
                await self._runtime.sleep_async(seconds)
                return None

    async def _exchange(self, effect: Exchange) -> HttpResponse:
        with _failures_told(effect.request):
            response = await self.http.send(_to_httpx(self.http, effect))
        return HttpResponse(response.status_code, response.headers, response.content)

    async def _download(self, effect: Download) -> HttpResponse:
        with _failures_told(effect.request):
            response = await self.http.send(_to_httpx(self.http, effect), stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    return HttpResponse(response.status_code, response.headers, await response.aread())
                async for chunk in response.aiter_bytes():
                    await asyncio.to_thread(effect.file.write, chunk)
            finally:
                await response.aclose()
        return HttpResponse(response.status_code, response.headers)


def _advance(plan: Any, outcome: _Outcome) -> Any:
    """The plan's next effect (or a flow's item), after what came of the last. Raises StopIteration at its end."""
    return plan.throw(outcome) if isinstance(outcome, K9Error) else plan.send(outcome)


def _to_httpx(http: httpx.Client | httpx.AsyncClient, effect: Exchange | Download) -> httpx.Request:
    request, form = effect.request, effect.request.form
    return http.build_request(
        request.method,
        request.url,
        headers=request.headers,
        content=request.content,
        data=None if form is None else form.fields,
        files=None if form is None else {"file": (form.file_name, form.content, form.media_type)},
        timeout=_bounded(http.timeout, effect.within),
    )


def _bounded(timeout: httpx.Timeout, within: float) -> httpx.Timeout:
    bounds = {step: min(within, seconds or within) for step, seconds in timeout.as_dict().items()}
    return httpx.Timeout(**bounds)


@contextmanager
def _failures_told(request: HttpRequest) -> Iterator[None]:
    """Raises TransportError where no answer comes. The query may be a presigned address's, which is a secret."""
    try:
        yield
    except httpx.RequestError as error:
        place = request.url.partition("?")[0]
        what = f"{request.method} {place} was not answered: {type(error).__name__}: {error}"
        raise TransportError(what, isinstance(error, _UNSENT)) from error
