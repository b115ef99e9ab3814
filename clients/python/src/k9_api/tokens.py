"""Where the bearer token comes from: a text, a callable, or an object that renews it."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from .errors import TokenError


@runtime_checkable
class TokenSource(Protocol):
    """Gives the token to send. `rejected` is one that the API has just refused: a source that can, gives another."""

    def token(self, rejected: str | None = None) -> str: ...


@runtime_checkable
class AsyncTokenSource(Protocol):
    """A TokenSource that asyncio waits for."""

    async def token_async(self, rejected: str | None = None) -> str: ...


Token = str | Callable[[], str] | TokenSource
AsyncToken = Token | Callable[[], Awaitable[str]] | AsyncTokenSource


def current_token(token: Token | None, rejected: str | None) -> str:
    """Raises TokenError where there is none, and what the source raises."""
    if isinstance(token, TokenSource):
        return _stated(token.token(rejected))
    return _stated(token if token is None or isinstance(token, str) else token())


async def current_token_async(token: AsyncToken | None, rejected: str | None) -> str:
    """As `current_token`. A source that only blocks does so in a thread; a plain callable is called as it is."""
    if isinstance(token, AsyncTokenSource):
        return _stated(await token.token_async(rejected))
    if isinstance(token, TokenSource):
        return _stated(await asyncio.to_thread(token.token, rejected))
    if token is None or isinstance(token, str):
        return _stated(token)
    given = token()
    return _stated(await given if inspect.isawaitable(given) else given)


def _stated(token: str | None) -> str:
    """A token pasted with its scheme, or with the line's end, is still one."""
    words = (token or "").split()
    bare = " ".join(words[1:] if words and words[0].lower() == "bearer" else words)
    if not bare:
        raise TokenError("No token was given, and this route needs one: Client(base_url, token=...).")
    if not (bare.isascii() and bare.isprintable()):
        raise TokenError("The token has characters that no header can hold. (It is not shown.)")
    return bare
