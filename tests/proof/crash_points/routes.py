"""A scenario for every route, made of the tests' own request for it, in each way in which docs/API.md lets a client
repeat it: under the same Idempotency-Key, or as it is.
"""

from collections.abc import Iterator

from shared.http import Endpoint
from tests.support.api import all_endpoints
from tests.support.cases import CASES, Case, prepare

from .scenario import Act, Scenario
from .world import KEY, USER, World

_AS_IT_IS = frozenset(
    {
        ("POST", "/user/avatar"),
        ("POST", "/reports/{report_id}/search"),
        ("POST", "/embeddings/search"),
        ("PUT", "/reports/{report_id}/favorites/{product_id}"),
    }
)
"""What may be repeated as it is, besides every GET and every DELETE ("Retrying" in docs/API.md)."""

_GONE = frozenset({404})
"""A DELETE that is repeated finds nothing any more."""

_IN_REQUESTS = frozenset(
    {
        ("DELETE", "/user"),
        ("POST", "/user/export"),
        ("POST", "/embeddings/delete"),
        ("POST", "/embeddings/similarity"),
        ("POST", "/embeddings/batch"),
    }
)
"""Of these there are richer scenarios alone (`requests`)."""


def scenarios_of_cases() -> Iterator[Scenario]:
    """One for each route and way; a route that could not be repeated in any has none."""
    for key, endpoint in all_endpoints().items():
        case = CASES.get(key)
        if case is not None and key not in _IN_REQUESTS:
            yield from _scenarios(case, endpoint)


def _scenarios(case: Case, endpoint: Endpoint) -> Iterator[Scenario]:
    if "Idempotency-Key" in endpoint.honours:
        yield _scenario(case, "with a key", lambda world: send(world, case, KEY))
    if case.method in ("GET", "DELETE") or case.key in _AS_IT_IS:
        yield _scenario(case, "as it is", lambda world: send(world, case, {}))


def _scenario(case: Case, way: str, act: Act) -> Scenario:
    return Scenario(
        f"{endpoint_name(case)}, {way}",
        endpoint_name(case),
        act,
        _preparation(case),
        World.settle,
        may_answer=_GONE if case.method == "DELETE" else frozenset(),
    )


def _preparation(case: Case) -> Act:
    """What the case needs: the very same for all that need the same."""
    needs = (case.names_a_report, case.is_about_embeddings, case.is_about_accounts, case.is_of_an_avatar)
    if (*needs, case.needs_a_matrix) not in _preparations:
        _preparations[*needs, case.needs_a_matrix] = lambda world: prepare(USER, case)
    return _preparations[*needs, case.needs_a_matrix]


_preparations: dict[tuple[bool, ...], Act] = {}


def endpoint_name(case: Case) -> str:
    return f"{case.method} {case.path}"


def send(world: World, case: Case, headers: dict[str, str]) -> None:
    world.request(lambda api: case.send(api, headers=headers))
