"""The sign-in of the documentation page on a laptop: a click there gives the token of a demo user.

It is the gateway's, not a route of the API: nothing of it is deployed. Whoever can reach the loopback ports could sign
in at the store all the same; what is kept out here are web pages of other origins that a browser of this machine shows.
"""

import json
import re
from collections.abc import Callable

from scripts.local.events import HttpRequest
from scripts.local.identity import PEOPLE, TOKEN_HOURS
from shared.errors import Forbidden, NotFound

_PREFIX = "/docs/sign-in/"
_HOSTS = ("localhost", "127.0.0.1", "[::1]")

NAMES = tuple(person.username for person in PEOPLE)


class SignIn:
    """`token_of` gives a fresh token of a demo user. Calls may come from many threads at once."""

    def __init__(self, token_of: Callable[[str], str]) -> None:
        self._token_of = token_of

    @staticmethod
    def is_meant(request: HttpRequest) -> bool:
        return request.method == "POST" and request.raw_path.startswith(_PREFIX)

    def answer(self, request: HttpRequest) -> bytes:
        """The token, and for how many seconds it is one. Raises Forbidden for strangers, NotFound for no one's name."""
        _ensure_own_page(request)
        name = request.raw_path.removeprefix(_PREFIX)
        if name not in NAMES:
            raise NotFound(f"There is no such demo user. There are: {', '.join(NAMES)}.")
        return json.dumps({"token": self._token_of(name), "expires_in": TOKEN_HOURS * 3600}).encode()


def _ensure_own_page(request: HttpRequest) -> None:
    """A name that was led to this machine (DNS rebinding) is in Host, another site's page (CSRF) in Origin.

    Browsers set both, the latter with every POST (Fetch standard, section 3.2), and no page can change them.
    """
    host = request.header("host") or ""
    if re.sub(r":[0-9]+$", "", host) not in _HOSTS or request.header("origin") != f"http://{host}":
        raise Forbidden(
            "Only the documentation page of this gateway, at localhost, signs demo users in here. "
            "For a token at the terminal: ./scripts/dev.sh --token alice"
        )
