"""A client of a stage that notes which routes of the template it calls."""

from urllib.parse import urlsplit

import httpx

from k9_api import Client
from scripts.deployment.stage import Stage
from scripts.local.routing import Router
from scripts.local.template import Template


class RoutedTransport(httpx.HTTPTransport):
    """Sends what it is given. A request to elsewhere, as to a bucket, is no route's."""

    def __init__(self, url: str, called: set[str]) -> None:
        super().__init__()
        self._base = urlsplit(url)
        self._router = Router(Template.load().routes())
        self._called = called

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().partition("?")[0]
        match = self._router.match(request.method, path.removeprefix(self._base.path))
        if request.url.host == self._base.hostname and match is not None:
            self._called.add(match.route.key)
        return super().handle_request(request)


def routed_client(stage: Stage, called: set[str]) -> Client:
    """A client of the stage and its user; the routes that it calls are added to `called`."""
    return Client(stage.url, token=stage.token, transport=RoutedTransport(stage.url, called))
