"""The two clients. All they do is put the parts together: groups of methods over one Api and one driver."""

from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, urlsplit

import httpx

from .api import Api
from .drivers import AsyncDriver, Driver
from .json_text import ParseFloat
from .resources.embeddings import AsyncEmbeddings, Embeddings
from .resources.reports import AsyncReports, Reports
from .resources.service import AsyncService, Service
from .resources.similarity import AsyncSimilarity, Similarity
from .resources.user import AsyncUser, User
from .retries import RetryPolicy
from .runtime import Runtime
from .tokens import AsyncToken, Token

TIMEOUT = httpx.Timeout(connect=5.0, read=35.0, write=30.0, pool=10.0)
"""The gateway gives up after 30 seconds, so an answer that takes longer to come will not."""

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class Client(Service):
    """The API for code that blocks; threads may share one. Use it as a context manager, or close it.

    with Client("https://abc123.execute-api.us-east-1.amazonaws.com", token=token) as client:
        for report in client.reports.iterate():
            print(report.title)
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: Token | None = None,
        retries: RetryPolicy | None = None,
        timeout: httpx.Timeout | float = TIMEOUT,
        parse_float: ParseFloat = float,
        transport: httpx.BaseTransport | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """`token` is a text, a callable that gives one, or a TokenSource such as CognitoTokens.

        `parse_float` makes the numbers of users' own documents that have a fraction: Decimal keeps every digit.
        Raises ValueError for what cannot be the API's address, or would send the token unencrypted.
        """
        api = Api(_checked(base_url), retries or RetryPolicy(), parse_float, runtime or Runtime())
        driver = Driver(httpx.Client(transport=transport, timeout=timeout), token, api.runtime)
        super().__init__(api, driver)
        self.user = User(api, driver)
        self.reports = Reports(api, driver)
        self.embeddings = Embeddings(api, driver)
        self.similarity = Similarity(api, driver)

    def close(self) -> None:
        """Closes the connections."""
        self._driver.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(AsyncService):
    """The API for asyncio; tasks of one loop may share one. Use it with `async with`, or close it.

    async with AsyncClient("https://abc123.execute-api.us-east-1.amazonaws.com", token=token) as client:
        async for report in client.reports.iterate():
            print(report.title)
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: AsyncToken | None = None,
        retries: RetryPolicy | None = None,
        timeout: httpx.Timeout | float = TIMEOUT,
        parse_float: ParseFloat = float,
        transport: httpx.AsyncBaseTransport | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """As the Client's; `token` may also be a callable to be awaited, or an AsyncTokenSource."""
        api = Api(_checked(base_url), retries or RetryPolicy(), parse_float, runtime or Runtime())
        driver = AsyncDriver(httpx.AsyncClient(transport=transport, timeout=timeout), token, api.runtime)
        super().__init__(api, driver)
        self.user = AsyncUser(api, driver)
        self.reports = AsyncReports(api, driver)
        self.embeddings = AsyncEmbeddings(api, driver)
        self.similarity = AsyncSimilarity(api, driver)

    async def close(self) -> None:
        """Closes the connections."""
        await self._driver.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def _checked(base_url: str) -> str:
    address = _split(base_url)
    if address is None or address.query or address.fragment:
        raise ValueError(f"{base_url!r} is not an address such as https://abc123.execute-api.us-east-1.amazonaws.com")
    if address.scheme == "http" and address.hostname not in _THIS_MACHINE:
        raise ValueError("the token would travel unencrypted: use https:// (http:// is for this machine)")
    return address.geturl().rstrip("/")


def _split(url: str) -> SplitResult | None:
    try:
        address = urlsplit(url.strip())
        is_whole = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:  # brackets that do not match, or a port that is no number
        return None
    return address if is_whole else None
