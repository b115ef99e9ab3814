"""The client against the very handlers, in this process: answers get lost, and everything is done once all the same."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from k9_api import InvalidRequest, NewEmbedding, NotFound, PreconditionFailed, StoreReport
from tests.support.api import Api
from tests.unit.client.world import SURFACES, Surface, World

MODEL = "model:1/a"


@dataclass
class Handlers:
    """Hands requests to the handlers; the answers to those whose number is in `lost` never arrive."""

    api: Api
    lost: set[int] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.method)
        path, _, query = request.url.raw_path.decode().removeprefix("/dev").partition("?")
        headers = {name: value for name, value in request.headers.items() if name != "authorization"}
        body = request.content.decode() or None
        answer = self.api.request(request.method, path, body, query=query, headers=headers)
        if len(self.asked) in self.lost:
            raise httpx.ReadTimeout("the answer was lost")
        return httpx.Response(answer.status, headers=answer.headers, content=answer.text.encode())


@pytest.fixture
def handlers(alice: Api, world: World) -> Handlers:
    served = Handlers(alice)
    world.says(*[served.handle] * 50)
    return served


@pytest.fixture(params=sorted(SURFACES))
def run(request: pytest.FixtureRequest, world: World) -> Callable[..., Any]:
    surface: Surface = SURFACES[request.param](world)
    return surface.run


def test_a_report_is_made_once(run: Callable[..., Any], handlers: Handlers) -> None:
    handlers.lost = {1, 2}
    made = run(lambda client: client.reports.create("T", reference={"price": 249.99}))
    assert handlers.asked == ["POST"] * 3
    assert run(lambda client: client.reports.iterate()) == [made]
    assert (made.version, made.reference) == (1, {"price": 249.99})


def test_a_report_is_changed_once(run: Callable[..., Any], handlers: Handlers) -> None:
    made = run(lambda client: client.reports.create("T"))
    handlers.lost = {2}
    changed = run(lambda client: client.reports.update(made.id, title="U", if_match=made))
    assert (changed.title, changed.version) == ("U", 2)
    with pytest.raises(PreconditionFailed):
        run(lambda client: client.reports.update(made.id, title="V", if_match=made))
    favorites = run(lambda client: client.reports.add_favorite(made.id, "c %/?"))
    assert (favorites.favorites, favorites.version) == (("c %/?",), 3)


def test_what_is_deleted_is_gone_and_was_deleted(run: Callable[..., Any], handlers: Handlers) -> None:
    made = run(lambda client: client.reports.create("T"))
    handlers.lost = {2}
    run(lambda client: client.reports.delete(made.id, if_match=made))
    assert handlers.asked == ["POST", "DELETE", "DELETE"]
    with pytest.raises(NotFound):
        run(lambda client: client.reports.delete(made.id))


def test_embeddings_are_stored_once(run: Callable[..., Any], handlers: Handlers) -> None:
    handlers.lost = {1, 3}
    text = "x" * 100_000  # ten of these fill a body
    items = [NewEmbedding(f"p{number}", MODEL, [number + 1, 1 / 3], {"text": text}) for number in range(12)]
    items.insert(7, NewEmbedding("zero", MODEL, [0, 0]))
    report: StoreReport = run(lambda client: client.embeddings.store_many(items))
    assert (report.created, report.replaced) == (12, 0)
    (failed,) = report.failed
    assert (failed.index, type(failed.error)) == (7, InvalidRequest)
    stored = run(lambda client: client.embeddings.iterate(model_version=MODEL))
    assert {each.version for each in stored} == {1}
    assert len(stored) == 12
    assert handlers.asked == ["POST"] * 4 + ["GET"]


def test_a_deleted_embedding_stays_deleted(run: Callable[..., Any], handlers: Handlers) -> None:
    run(lambda client: client.embeddings.store("p", model_version=MODEL, embedding_vector=[1, 0.5]))
    handlers.lost = {2}
    run(lambda client: client.embeddings.delete("p", model_version=MODEL, if_match=1))
    with pytest.raises(NotFound):
        run(lambda client: client.embeddings.get("p", model_version=MODEL))


def test_what_matches_is_deleted_to_the_last(run: Callable[..., Any], handlers: Handlers) -> None:
    items = [NewEmbedding(f"p{number}", MODEL, [1, 1], {"odd": number % 2}) for number in range(10)]
    run(lambda client: client.embeddings.store_many(items))
    handlers.lost = {2}
    run(lambda client: client.embeddings.delete_matching({"odd": 1}, model_version=MODEL))
    left = run(lambda client: client.embeddings.iterate(model_version=MODEL))
    assert {each.product["odd"] for each in left} == {0}
    assert len(left) == 5
