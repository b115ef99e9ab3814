"""Documents both ways: numbers to the last digit, and members that a newer API has."""

from array import array
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import httpx
import pytest

from k9_api import NotSendable
from k9_api.json_text import dumps, float32
from tests.unit.client.world import Surface, World, embedding, matrix, ok, profile, report

EXACT = "12345678901234567890.123456789012345678"


def test_decimals_are_sent_as_they_are(surface: Surface, world: World) -> None:
    world.says(ok(report()))
    reference = {"price": Decimal(EXACT), "whole": 10**37, "tiny": Decimal("1E-130"), "a": [Decimal("-0.10")]}
    surface.run(lambda client: client.reports.create("T", reference=reference))
    assert (
        f'"reference":{{"price":{EXACT},"whole":{10**37},"tiny":1E-130,"a":[-0.10]}}'.encode()
        in world.requests[0].content
    )


@pytest.mark.parametrize(
    ("parse", "expected"), [(Decimal, Decimal(EXACT)), (float, float(EXACT))], ids=["exact", "float"]
)
def test_and_read_by_who_asks_for_it(surface: Surface, world: World, parse: Any, expected: object) -> None:
    text = ok(report()).text.replace('"reference":null', f'"reference":{{"price":{EXACT},"n":1}}')
    world.says(httpx.Response(200, text=text))
    reference = surface.run(lambda client: client.reports.get("r1"), parse_float=parse).reference
    assert reference == {"price": expected, "n": 1}
    assert type(reference["price"]) is type(expected)


@pytest.mark.parametrize("parse", [float, Decimal])
def test_scores_and_vectors_are_floats_all_the_same(surface: Surface, world: World, parse: Any) -> None:
    hit = {"product_id": "p", "score": 1, "product": {"price": 0.5}, "embedding_vector": [1, 0.5, -2e-3]}
    found = {"model_version": "m", "metric": "dot", "higher_is_better": True, "hits": [hit]}
    world.says(ok(found))
    result = surface.run(lambda client: client.embeddings.search(model_version="m", product_id="q"), parse_float=parse)
    (best,) = result.hits
    assert (best.score, best.embedding_vector) == (1.0, (1.0, 0.5, -0.002))
    assert {type(number) for number in (best.score, *best.embedding_vector)} == {float}
    assert best.is_favorite is None


def test_members_that_a_newer_api_has_are_left_out(surface: Surface, world: World) -> None:
    world.says(ok(report(colour="red")), ok(profile(avatar_error=None, nickname="x")), ok(matrix("done", eta=3)))
    assert surface.run(lambda client: client.reports.get("r1")).id == "r1"
    assert surface.run(lambda client: client.user.profile()).user_id == "u"
    assert surface.run(lambda client: client.similarity.status(model_version="m")).progress == 0.0


def test_what_is_read_cannot_be_changed(surface: Surface, world: World) -> None:
    world.says(ok(report()))
    read = surface.run(lambda client: client.reports.get("r1"))
    with pytest.raises(AttributeError):
        read.title = "other"


class TestMergePatch:
    def test_what_is_not_given_is_not_sent_and_none_is_null(self, surface: Surface, world: World) -> None:
        world.says(ok(profile()), ok(report()), ok(profile()))
        surface.run(lambda client: client.user.update(name=None))
        surface.run(lambda client: client.reports.update("r1", reference=None))
        surface.run(lambda client: client.user.update(preferences={"a": None}))
        assert world.bodies() == [{"name": None}, {"reference": None}, {"preferences": {"a": None}}]


class TestPaths:
    def test_ids_are_encoded(self, surface: Surface, world: World) -> None:
        world.says(ok(embedding()))
        surface.run(lambda client: client.embeddings.get("a/b?c %ü", model_version="m+1", include_vectors=False))
        assert world.paths == ["GET /embeddings/a%2Fb%3Fc%20%25%C3%BC?model_version=m%2B1&include_vectors=false"]

    @pytest.mark.parametrize("product_id", ["", ".", ".."])
    def test_an_id_that_would_lead_elsewhere_is_not_sent(self, surface: Surface, world: World, product_id: str) -> None:
        """`/reports/r1/favorites/..` is the report itself, and this is a DELETE."""
        with pytest.raises(NotSendable, match="product_id cannot be"):
            surface.run(lambda client: client.reports.remove_favorite("r1", product_id))
        assert world.requests == []


class TestDumps:
    def test_a_text_that_looks_like_a_number_stays_one(self) -> None:
        assert dumps({"a": "1.5", "b": Decimal("1.5")}) == b'{"a":"1.5","b":1.5}'

    def test_any_mapping_is_an_object(self) -> None:
        assert dumps({"a": MappingProxyType({"b": "ü"})}) == '{"a":{"b":"ü"}}'.encode()

    @pytest.mark.parametrize(
        "value",
        [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), "\ud800", {1}, ..., b"x"],
        ids=repr,
    )
    def test_what_json_does_not_have(self, value: object) -> None:
        with pytest.raises(NotSendable):
            dumps({"a": [value]})

    def test_what_contains_itself(self) -> None:
        endless: list[object] = []
        endless.append(endless)
        with pytest.raises(NotSendable, match="Circular"):
            dumps(endless)


class TestFloat32:
    def test_few_digits_stay(self) -> None:
        assert float32([0.1, -2.5, 0.12345678, 0]) == [0.1, -2.5, 0.12345678, 0.0]

    def test_many_become_nine_that_are_the_same_float32(self) -> None:
        numbers = [1 / 3, 2 / 3 * 1e-20, 1.23456789012e30, -0.7071067811865476, 16777217.0123]
        short = float32(numbers)
        assert array("f", short) == array("f", numbers)
        assert max(len(f"{number!r}".replace(".", "").lstrip("-0").partition("e")[0]) for number in short) <= 9

    def test_what_float32_does_not_hold_stays(self) -> None:
        assert float32([1e39, float("inf")]) == [1e39, float("inf")]

    @pytest.mark.parametrize("wrong", [["x"], [None], 3], ids=repr)
    def test_what_is_no_vector(self, wrong: Any) -> None:
        with pytest.raises((TypeError, ValueError)):
            float32(wrong)


@pytest.mark.parametrize("value", [{("a", "b"): 1}, {"a": {1, 2}}], ids=["a name that is none", "a set"])
def test_what_json_does_not_have_is_not_sent(surface: Surface, world: World, value: Any) -> None:
    with pytest.raises(NotSendable):
        surface.run(lambda client: client.reports.create("T", reference=value))
    assert world.requests == []


def test_what_is_nested_too_deep_is_not_sent() -> None:
    value: dict[str, Any] = {}
    for _ in range(100_000):
        value = {"a": value}
    with pytest.raises(NotSendable, match="cannot be written as JSON"):
        dumps(value)


@pytest.mark.parametrize("vector", [None, ["a"], [None], [10**400], 5])
def test_what_is_no_vector_is_not_sent(vector: Any) -> None:
    with pytest.raises(NotSendable, match="the vector is no list of numbers"):
        float32(vector)
