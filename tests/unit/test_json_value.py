"""Which documents can be kept exactly, and the pointer that names what cannot."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from shared.models.json_text import dumps, loads
from shared.models.json_value import MAX_DEPTH, Fault, find_fault, storable_within, stored_size
from shared.models.report import MAX_REFERENCE_BYTES, Reference
from shared.models.user import MAX_PREFERENCES_BYTES, Preferences
from tests.support.documents import documents

Step = str | int
PATHS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.integers(0, 2), max_size=6)


def at(path: list[Step], value: object) -> dict[str, Any]:
    """A document with `value` at `path`, below a member called "root"; an index makes a list long enough for it."""
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [*([0] * step), value]
    return {"before": 1, "root": value}


def pointer_to(path: list[Step]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in ["root", *path])


def nested(depth: int, container: type[list[Any]] | type[dict[str, Any]] = dict) -> Any:
    """Exactly that many containers inside each other."""
    value: Any = container()
    for _ in range(depth - 1):
        value = [value] if container is list else {"a": value}
    return value


UNSTORABLE: list[tuple[object, str]] = [
    (int("1" * 39), "has 39 significant digits; at most 38 can be kept"),
    (Decimal("1." + "1" * 38), "has 39 significant digits; at most 38 can be kept"),
    (Decimal("1E126"), "is outside the range 1E-130 to 9.99E125"),
    (-Decimal("1E126"), "is outside the range 1E-130 to 9.99E125"),
    (10**126, "is outside the range 1E-130 to 9.99E125"),
    (Decimal("1E-131"), "is outside the range 1E-130 to 9.99E125"),
    (1e-131, "is outside the range 1E-130 to 9.99E125"),
    (Decimal("-Infinity"), "is outside the range 1E-130 to 9.99E125"),
    (Decimal("Infinity"), "is outside the range 1E-130 to 9.99E125"),
    (Decimal("NaN"), "is not a number"),
    (float("nan"), "is not a number"),
    (float("-inf"), "is outside the range 1E-130 to 9.99E125"),
    ("\ud800", "holds half of a surrogate pair, which is not valid Unicode"),
    ("a\udfffb", "holds half of a surrogate pair, which is not valid Unicode"),
    (b"x", "is a bytes, which JSON does not have"),
    ({1}, "is a set, which JSON does not have"),
    ((1,), "is a tuple, which JSON does not have"),
    (object(), "is a object, which JSON does not have"),
]


@given(document=documents())
def test_what_is_within_the_limits_has_no_fault(document: dict[str, Any]) -> None:
    assert find_fault(document) is None
    assert find_fault(loads(dumps(document))) is None


@pytest.mark.parametrize(("value", "reason"), UNSTORABLE, ids=lambda value: repr(value)[:20])
@given(path=PATHS)
def test_what_cannot_be_kept_is_named_wherever_it_is(value: object, reason: str, path: list[Step]) -> None:
    assert find_fault(at(path, value)) == Fault(pointer_to(path), reason)


@given(path=PATHS)
def test_a_bad_member_name_is_told_by_its_object(path: list[Step]) -> None:
    fault = find_fault(at(path, {"ok": 1, "\udc00": 2}))
    assert fault == Fault(pointer_to(path), "has a member name that is not valid Unicode text")


def test_a_member_name_that_is_no_text() -> None:
    assert find_fault({"a": {1: 2}}) == Fault("/a", "has a member name that is not valid Unicode text")


def test_the_first_of_several_is_told() -> None:
    assert find_fault({"a": [1, "\ud800"], "b": "\ud800"}) == Fault(
        "/a/1", "holds half of a surrogate pair, which is not valid Unicode"
    )


@pytest.mark.parametrize("container", [list, dict])
def test_depth(container: Any) -> None:
    assert find_fault(nested(MAX_DEPTH, container)) is None
    fault = find_fault(nested(MAX_DEPTH + 1, container))
    assert fault is not None
    assert fault.reason == "is nested deeper than 31 levels"
    assert fault.pointer.count("/") == MAX_DEPTH


def test_depth_far_beyond_does_not_exhaust_the_stack() -> None:
    fault = find_fault(nested(100_000, list))
    assert fault is not None
    assert fault.pointer == "/0" * MAX_DEPTH


@pytest.mark.parametrize(
    "number",
    [0, -0.0, Decimal("0E-999"), Decimal("0E+999"), 10**38 - 1, 10**38, 10**125, -(10**125), 1e-130,
     Decimal("9.9999999999999999999999999999999999999E125"), Decimal("1." + "0" * 60), int("12" + "0" * 100)],
    ids=lambda number: repr(number)[:20],
)  # fmt: skip
def test_numbers_at_the_limits(number: Any) -> None:
    assert find_fault({"n": number}) is None


class TestSize:
    @pytest.mark.parametrize(
        ("value", "size"),
        [
            ("", 0),
            ("abc", 3),
            ("é", 2),
            ("\U0001f436", 4),
            (None, 1),
            (True, 1),
            (0, 2),
            (7, 2),
            (12, 2),
            (123, 3),
            (-7, 3),
            (1200, 2),
            (Decimal("1.2345"), 4),
            (0.5, 2),
            ([], 3),
            ({}, 3),
            ([1, "ab"], 3 + (1 + 2) + (1 + 2)),
            ({"n": 1, "é": "x"}, 3 + (1 + 1 + 2) + (1 + 2 + 1)),
            ((1,), 6),
            ({"a"}, 5),
            (frozenset(), 3),
        ],
        ids=lambda value: repr(value)[:20],
    )
    def test_of(self, value: object, size: int) -> None:
        assert stored_size(value) == size

    def test_of_what_json_does_not_have(self) -> None:
        with pytest.raises(TypeError, match="bytes is not a JSON value"):
            stored_size(b"")

    @given(document=documents(), name=st.text(st.characters(exclude_categories=["Cs"]), max_size=9))
    def test_a_further_member_takes_room(self, document: dict[str, Any], name: str) -> None:
        larger = {**document, name + "!": document}
        assert stored_size(larger) > stored_size(document)

    @given(document=documents())
    def test_it_is_no_more_than_its_text_and_a_constant_per_value(self, document: dict[str, Any]) -> None:
        text = json.dumps(document, ensure_ascii=False, default=str).encode()
        assert stored_size(document) <= 2 * len(text) + 4


class TestValidator:
    def test_a_document_within_the_limit_passes_as_it_is(self) -> None:
        document = {"text": "x" * 5}
        assert storable_within(stored_size(document))(document) is document

    def test_one_byte_too_many(self) -> None:
        document = {"text": "x" * 5}
        limit = stored_size(document) - 1
        with pytest.raises(PydanticCustomError) as refused:
            storable_within(limit)(document)
        assert refused.value.context == {
            "pointer": "",
            "reason": f"takes {limit + 1} bytes stored; at most {limit} are allowed",
        }

    def test_a_fault_is_told_before_the_size(self) -> None:
        with pytest.raises(PydanticCustomError) as refused:
            storable_within(1)({"a": float("inf")})
        assert refused.value.context is not None
        assert refused.value.context["pointer"] == "/a"

    @pytest.mark.parametrize(
        ("kind", "limit"), [(Reference, MAX_REFERENCE_BYTES), (Preferences, MAX_PREFERENCES_BYTES)]
    )
    def test_the_documents_of_the_api(self, kind: Any, limit: int) -> None:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        largest = {"t": "x" * (limit - stored_size({"t": ""}))}
        assert adapter.validate_python(largest) == largest
        with pytest.raises(ValidationError, match=f"at most {limit} are allowed"):
            adapter.validate_python({"t": largest["t"] + "x"})
