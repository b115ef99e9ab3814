"""The filter language: what each filter lets through, and why a document is no filter."""

import operator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.models import filters
from shared.models.fields import RequestModel
from shared.models.filters import FilterDocument, FilterError, matches, parse_filter, paths_of
from shared.models.json_text import dumps, loads
from shared.models.json_value import JsonObject
from tests.support.documents import documents as any_documents
from tests.support.documents import numbers

SCALARS: list[Any] = [
    None, True, False, 0, -0.0, 1, 1.0, Decimal("1.00"), Decimal("1." + "0" * 36 + "1"), -1,
    249.99, Decimal("249.99"), Decimal("249.990000000000000000001"), Decimal("249.98999999999999999"),
    0.1, Decimal("0.1000000000000000055511151231257827"), Decimal("0.3"), 0.1 + 0.2,
    2**53, 2**53 + 1, float(2**53), 2**53 + 2, 10**37 + 1, 1e37, 10**37, Decimal("1E-130"), 1e125, -(10**125),
    "", "1", "a", "a\0", "aa", "B", "é", "e\u0301", "\uffff", "😀", "true", "null",
]  # fmt: skip
"""Values that are easily taken for one another, or put in the wrong order."""

ORDERS = {"$lt": operator.lt, "$lte": operator.le, "$gt": operator.gt, "$gte": operator.ge}

NAMES = st.sampled_from(["a", "b", "é"])
LEAVES = st.sampled_from(SCALARS) | numbers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=2)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=3)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
ORDERED = LEAVES.filter(lambda value: value is not None and not isinstance(value, bool))
OPERATORS: Any = st.deferred(
    lambda: st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(["$eq", "$ne"], LEAVES),
            **dict.fromkeys(["$in", "$nin"], st.lists(LEAVES, max_size=4)),
            **dict.fromkeys(ORDERS, ORDERED),
            "$exists": st.booleans(),
        },
    ).filter(bool)
)
CONDITIONS = LEAVES | st.recursive(OPERATORS, lambda inner: st.fixed_dictionaries({"$not": inner}), max_leaves=2)
FILTERS = st.recursive(
    st.dictionaries(PATHS, CONDITIONS, max_size=2),
    lambda inner: st.builds(
        lambda fields, joined: fields | joined,
        st.dictionaries(PATHS, CONDITIONS, max_size=1),
        st.dictionaries(st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3))
        | st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=5,
)


def plainly(filter: JsonObject, document: JsonObject) -> bool:
    """Whether a filter matches, told in the plainest way from its own JSON: what everything else is held against."""
    return all(member_holds(name, operand, document) for name, operand in filter.items())


def member_holds(name: str, operand: Any, document: JsonObject) -> bool:
    if name == "$and":
        return all(plainly(each, document) for each in operand)
    if name == "$or":
        return any(plainly(each, document) for each in operand)
    if name == "$not":
        return not plainly(operand, document)
    operators = operand if isinstance(operand, dict) else {"$eq": operand}
    return all(condition_holds(sign, value, document, name.split(".")) for sign, value in operators.items())


def condition_holds(sign: str, operand: Any, document: JsonObject, path: list[str]) -> bool:
    if sign == "$not":
        return not all(condition_holds(inner, value, document, path) for inner, value in operand.items())
    if sign == "$ne":
        return not condition_holds("$eq", operand, document, path)
    if sign == "$nin":
        return not condition_holds("$in", operand, document, path)
    if sign == "$in":
        return any(condition_holds("$eq", each, document, path) for each in operand)
    found = reached(document, path)
    if sign == "$exists":
        return bool(found) is operand
    if sign == "$eq":
        return (operand is None and lacks(document, path)) or any(sort_of(each) == sort_of(operand) for each in found)
    return any(
        sort_of(each)[0] == sort_of(operand)[0] and ORDERS[sign](sort_of(each)[1], sort_of(operand)[1])
        for each in found
    )


def reached(value: Any, path: list[str]) -> list[Any]:
    """What there is at the path; an array at its end, and its elements."""
    if not path:
        return [value, *value] if isinstance(value, list) else [value]
    if isinstance(value, list):
        return [found for each in value if isinstance(each, dict) for found in reached(each, path)]
    return reached(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else []


def lacks(value: Any, path: list[str]) -> bool:
    """Whether something on the way should have had a member, and has not."""
    if not path:
        return False
    if isinstance(value, list):
        return any(lacks(each, path) for each in value if isinstance(each, dict))
    return not isinstance(value, dict) or path[0] not in value or lacks(value[path[0]], path[1:])


def sort_of(value: Any) -> tuple[str, Any]:
    """A value's type and what it is compared by: a rational for a number, code points for a string."""
    if isinstance(value, bool) or value is None:
        return str(value), 0
    if isinstance(value, str):
        return "text", [ord(character) for character in value]
    if isinstance(value, dict | list):
        return "container", id(value)
    return "number", Fraction(repr(value) if isinstance(value, float) else value)


EXAMPLES: list[tuple[JsonObject, JsonObject, bool]] = [
    ({}, {}, True),
    ({}, {"a": 1}, True),
    ({"a": 1}, {"a": 1}, True),
    ({"a": 1}, {"a": 2}, False),
    ({"a": 1, "b": 2}, {"a": 1, "b": 2}, True),
    ({"a": 1, "b": 2}, {"a": 1, "b": 3}, False),
    ({"a": 1, "b": 2}, {"a": 0, "b": 2}, False),
    # types
    ({"a": 1}, {"a": True}, False),
    ({"a": True}, {"a": 1}, False),
    ({"a": True}, {"a": True}, True),
    ({"a": False}, {"a": True}, False),
    ({"a": False}, {"a": 0}, False),
    ({"a": False}, {"a": None}, False),
    ({"a": False}, {}, False),
    ({"a": "1"}, {"a": 1}, False),
    ({"a": {"$lt": "b"}}, {"a": 1}, False),
    ({"a": {"$gte": 0}}, {"a": "1"}, False),
    ({"a": {"$gte": 0}}, {"a": True}, False),
    ({"a": {"$gte": 0}}, {"a": None}, False),
    ({"a": {"$gte": 0}}, {}, False),
    ({"a": {"$gte": ""}}, {}, False),
    # numbers
    ({"a": 249.99}, {"a": Decimal("249.99")}, True),
    ({"a": Decimal("249.99")}, {"a": 249.99}, True),
    ({"a": 1}, {"a": Decimal("1.000")}, True),
    ({"a": 0}, {"a": -0.0}, True),
    ({"a": 2**53}, {"a": 2**53 + 1}, False),
    ({"a": {"$gt": 2**53}}, {"a": 2**53 + 1}, True),
    ({"a": {"$gt": float(2**53)}}, {"a": 2**53 + 1}, True),
    ({"a": {"$lt": 249.99}}, {"a": Decimal("249.98999999999999999")}, True),
    ({"a": {"$lte": 249.99}}, {"a": Decimal("249.990000000000000000001")}, False),
    # orders
    ({"a": {"$lt": 2}}, {"a": 1}, True),
    ({"a": {"$lt": 2}}, {"a": 2}, False),
    ({"a": {"$lte": 2}}, {"a": 2}, True),
    ({"a": {"$lte": 2}}, {"a": 3}, False),
    ({"a": {"$gt": 2}}, {"a": 3}, True),
    ({"a": {"$gt": 2}}, {"a": 2}, False),
    ({"a": {"$gte": 2}}, {"a": 2}, True),
    ({"a": {"$gte": 2}}, {"a": 1}, False),
    ({"a": {"$gt": 1, "$lt": 3}}, {"a": 2}, True),
    ({"a": {"$gt": 1, "$lt": 3}}, {"a": 3}, False),
    ({"a": {"$gt": "\uffff"}}, {"a": "😀"}, True),
    ({"a": {"$lt": "a"}}, {"a": "B"}, True),
    # null and what is missing
    ({"a": None}, {"a": None}, True),
    ({"a": None}, {}, True),
    ({"a": None}, {"a": 0}, False),
    ({"a": None}, {"a": []}, False),
    ({"a": None}, {"a": {}}, False),
    ({"a": None}, {"a": [1, None]}, True),
    ({"a": {"$in": [1, None]}}, {}, True),
    ({"a.b": None}, {"a": 1}, True),
    ({"a.b": None}, {"a": "b"}, True),
    ({"a.b": None}, {"a": {}}, True),
    ({"a.b": None}, {"a": []}, False),
    ({"a.b": None}, {"a": [1]}, False),
    ({"a.b": None}, {"a": [{}]}, True),
    ({"a.b": None}, {"a": [{"b": 1}, {}]}, True),
    ({"a.b": None}, {"a": [{"b": 1}]}, False),
    ({"a": {"$exists": True}}, {"a": None}, True),
    ({"a": {"$exists": True}}, {"a": {}}, True),
    ({"a": {"$exists": True}}, {"a": []}, True),
    ({"a": {"$exists": True}}, {}, False),
    ({"a": {"$exists": False}}, {}, True),
    ({"a": {"$exists": False}}, {"a": None}, False),
    ({"a.b": {"$exists": True}}, {"a": [{}, {"b": 1}]}, True),
    ({"a.b": {"$exists": True}}, {"a": [{}]}, False),
    ({"a.b": {"$exists": False}}, {"a": []}, True),
    # negations
    ({"a": {"$ne": 1}}, {"a": 2}, True),
    ({"a": {"$ne": 1}}, {"a": 1}, False),
    ({"a": {"$ne": 1}}, {}, True),
    ({"a": {"$ne": 1}}, {"a": [1, 2]}, False),
    ({"a": {"$ne": None}}, {}, False),
    ({"a": {"$ne": None}}, {"a": 1}, True),
    ({"a": {"$in": [1, 2]}}, {"a": 2}, True),
    ({"a": {"$in": [1, 2]}}, {"a": 3}, False),
    ({"a": {"$in": []}}, {"a": 1}, False),
    ({"a": {"$in": []}}, {}, False),
    ({"a": {"$in": [True]}}, {"a": 1}, False),
    ({"a": {"$in": [1, "1"]}}, {"a": "1"}, True),
    ({"a": {"$nin": [1, 2]}}, {"a": 2}, False),
    ({"a": {"$nin": [1, 2]}}, {}, True),
    ({"a": {"$nin": []}}, {}, True),
    ({"a": {"$not": {"$gt": 1}}}, {}, True),
    ({"a": {"$not": {"$gt": 1}}}, {"a": "x"}, True),
    ({"a": {"$not": {"$gt": 1}}}, {"a": 2}, False),
    ({"a": {"$not": {"$gt": 1, "$lt": 3}}}, {"a": 3}, True),
    ({"a": {"$not": {"$not": {"$gt": 1}}}}, {"a": 2}, True),
    ({"$not": {"a": 1, "b": 1}}, {"a": 1}, True),
    ({"$not": {"a": 1}}, {"a": 1}, False),
    ({"$not": {}}, {}, False),
    # and, or
    ({"$and": [{"a": 1}, {"b": 1}]}, {"a": 1, "b": 1}, True),
    ({"$and": [{"a": 1}, {"b": 1}]}, {"a": 1}, False),
    ({"$or": [{"a": 1}, {"b": 1}]}, {"b": 1}, True),
    ({"$or": [{"a": 1}, {"b": 1}]}, {"a": 1}, True),
    ({"$or": [{"a": 1}, {"b": 1}]}, {"a": 2}, False),
    ({"$or": [{"a": 1}], "b": 1}, {"a": 1}, False),
    ({"$or": [{"a": 1}, {}]}, {}, True),
    ({"$or": [{"a": 1, "b": 1}]}, {"a": 1}, False),
    # objects and arrays
    ({"a.b": 1}, {"a": {"b": 1}}, True),
    ({"a.b": 1}, {"a.b": 1}, False),
    ({"a.b": 1}, {"a": 1}, False),
    ({"a.a": 1}, {"a": {"a": 1}}, True),
    ({"a": 1}, {"a": [2, 1]}, True),
    ({"a": 1}, {"a": [2, 3]}, False),
    ({"a": 1}, {"a": [[1]]}, False),
    ({"a": 1}, {"a": []}, False),
    ({"a": {"$gt": 1, "$lt": 3}}, {"a": [0, 4]}, True),
    ({"a": {"$not": {"$gt": 3}}}, {"a": [0, 4]}, False),
    ({"a.b": 1}, {"a": [{"b": 2}, {"b": 1}]}, True),
    ({"a.b": 1}, {"a": [{"b": [2, 1]}]}, True),
    ({"a.b": 1}, {"a": [[{"b": 1}]]}, False),
    ({"a.b.c": 1}, {"a": [{"b": [{"c": 1}]}]}, True),
    ({"a.a.b": 1}, {"a": {"a": [{"b": 1}]}}, True),
    ({"a.0": 1}, {"a": [1]}, False),
    ({"a.0": 1}, {"a": {"0": 1}}, True),
    ({"é.😀": "ß"}, {"é": {"😀": "ß"}}, True),
]


@pytest.mark.parametrize(("filter", "document", "expected"), EXAMPLES, ids=str)
def test_examples(filter: JsonObject, document: JsonObject, expected: bool) -> None:
    assert matches(parse_filter(filter), document) is expected
    assert plainly(filter, document) is expected


@given(filter=FILTERS, document=DOCUMENTS)
def test_a_filter_matches_what_it_matches_plainly(filter: JsonObject, document: JsonObject) -> None:
    expected = plainly(filter, document)
    assert matches(parse_filter(filter), document) is expected
    assert matches(parse_filter(loads(dumps(filter))), loads(dumps(document))) is expected


@given(filter=FILTERS, document=any_documents(NAMES))
def test_negations_are_exact(filter: JsonObject, document: JsonObject) -> None:
    assert matches(parse_filter({"$not": filter}), document) is not matches(parse_filter(filter), document)


def test_every_pair_of_values_compares_as_it_does_plainly() -> None:
    for operand in SCALARS:
        ordered = operand is not None and not isinstance(operand, bool)
        for sign in ["$eq", "$ne", *(ORDERS if ordered else ())]:
            filter = {"a": {sign: operand}}
            parsed = parse_filter(filter)
            for value in SCALARS:
                assert matches(parsed, {"a": value}) is plainly(filter, {"a": value}), (filter, value)


def test_filters_that_say_the_same_are_equal() -> None:
    one, other = parse_filter({"a": {"$in": [1, "x"]}}), parse_filter({"a": {"$in": ["x", Decimal("1.0"), 1.0]}})
    assert one == other
    assert len({one, other, parse_filter({"$and": [{"a": {"$in": ["x", 1]}}]})}) == 2


def test_a_filter_is_no_more_than_it_says() -> None:
    """One member needs no All around it; and nothing can be changed in a filter that was parsed."""
    field = filters.Field(("a",), filters.Compare(">", Decimal(1)))
    assert parse_filter({"a": {"$gt": 1}}) == field
    assert parse_filter({"$or": [{"a": {"$gt": 1}}]}) == filters.Any((field,))
    assert parse_filter({"$and": [{"a": {"$not": {"$gt": 1}}}]}) == filters.All((filters.Not(field),))
    assert parse_filter({}) == filters.All(())
    for node, member in [
        (field, "path"),
        (field.test, "order"),
        (filters.Not(field), "filter"),
        (filters.All(()), "filters"),
    ]:
        with pytest.raises(AttributeError):
            setattr(node, member, None)


def test_filters_of_true_and_of_one_differ() -> None:
    assert parse_filter({"a": True}) != parse_filter({"a": 1})
    assert parse_filter({"a": False}) != parse_filter({"a": 0})


def test_the_paths_of_a_filter() -> None:
    parsed = parse_filter({"a.b": 1, "$or": [{"c": {"$ne": 1, "$lt": 3}}, {"$not": {"d": None}}], "$and": [{}]})
    assert list(paths_of(parsed)) == [("a", "b"), ("c",), ("c",), ("d",)]


NO_SCALAR = "must be a string, a number, true, false or null"
NO_ORDER = "must be a string or a number"
NO_FILTERS = "must be a list of at least one filter"
NO_VALUES = "must be a list of at most 100 values"
NO_BOOLEAN = "must be true or false"
NO_OBJECT = "must be an object"
NO_OPERATOR = "is not an operator on a value; a path into an object is written with dots"
NO_CONNECTIVE = "is not an operator on filters; these are $and, $or and $not"
NO_PATH = "is a path with a part that is empty or begins with $"

FAULTS: list[tuple[Any, str, str]] = [
    ([], "", NO_OBJECT),
    ("a", "", NO_OBJECT),
    (None, "", NO_OBJECT),
    # operands
    ({"a": []}, "/a", NO_SCALAR),
    ({"a": {"$eq": {}}}, "/a/$eq", NO_SCALAR),
    ({"a": {"$ne": [1]}}, "/a/$ne", NO_SCALAR),
    ({"a": {"$in": 1}}, "/a/$in", NO_VALUES),
    ({"a": {"$in": {}}}, "/a/$in", NO_VALUES),
    ({"a": {"$nin": "x"}}, "/a/$nin", NO_VALUES),
    ({"a": {"$in": [0] * 101}}, "/a/$in", NO_VALUES),
    ({"a": {"$nin": list(range(101))}}, "/a/$nin", NO_VALUES),
    ({"a": {"$in": [1, []]}}, "/a/$in/1", NO_SCALAR),
    ({"a": {"$nin": [{}, 1]}}, "/a/$nin/0", NO_SCALAR),
    ({"a": {"$lt": None}}, "/a/$lt", NO_ORDER),
    ({"a": {"$lte": True}}, "/a/$lte", NO_ORDER),
    ({"a": {"$gt": []}}, "/a/$gt", NO_ORDER),
    ({"a": {"$gte": {}}}, "/a/$gte", NO_ORDER),
    ({"a": {"$exists": 1}}, "/a/$exists", NO_BOOLEAN),
    ({"a": {"$exists": None}}, "/a/$exists", NO_BOOLEAN),
    ({"a": {"$not": 1}}, "/a/$not", NO_OBJECT),
    ({"a": {"$not": []}}, "/a/$not", NO_OBJECT),
    ({"a": {"$not": {}}}, "/a/$not", "must name an operator"),
    ({"a": {}}, "/a", "must name an operator"),
    # operators
    ({"a": {"b": 1}}, "/a/b", NO_OPERATOR),
    ({"a": {"$gt": 1, "$regex": "x"}}, "/a/$regex", NO_OPERATOR),
    ({"a": {"$and": [{}]}}, "/a/$and", NO_OPERATOR),
    ({"a": {"$not": {"$x": 1}}}, "/a/$not/$x", NO_OPERATOR),
    ({"$gt": 1}, "/$gt", NO_CONNECTIVE),
    ({"$nor": [{}]}, "/$nor", NO_CONNECTIVE),
    ({"$": 1}, "/$", NO_CONNECTIVE),
    # filters in filters
    ({"$and": []}, "/$and", NO_FILTERS),
    ({"$or": []}, "/$or", NO_FILTERS),
    ({"$and": {}}, "/$and", NO_FILTERS),
    ({"$or": 1}, "/$or", NO_FILTERS),
    ({"$or": [{}, 1]}, "/$or/1", NO_OBJECT),
    ({"$and": [[]]}, "/$and/0", NO_OBJECT),
    ({"$not": []}, "/$not", NO_OBJECT),
    ({"$or": [{"a": 1}, {"$and": [{"b": {"$in": [{}]}}]}]}, "/$or/1/$and/0/b/$in/0", NO_SCALAR),
    # paths
    ({"": 1}, "/", NO_PATH),
    ({".": 1}, "/.", NO_PATH),
    ({"a.": 1}, "/a.", NO_PATH),
    ({".a": 1}, "/.a", NO_PATH),
    ({"a..b": 1}, "/a..b", NO_PATH),
    ({"a.$b": 1}, "/a.$b", NO_PATH),
    ({"a.$": 1}, "/a.$", NO_PATH),
    ({"x~y/z": []}, "/x~0y~1z", NO_SCALAR),
    ({"x": {"~/": 1}}, "/x/~0~1", NO_OPERATOR),
    ({"n" * 257: 1}, "/" + "n" * 257, "is a path of 257 characters; at most 256 are allowed"),
    # what no document can hold
    ({"a": {"$gt": float("inf")}}, "/a/$gt", "is outside the range 1E-130 to 9.99E125"),
    ({"a": Decimal("Infinity")}, "/a", "is outside the range 1E-130 to 9.99E125"),
    ({"a": {"$in": [int("1" * 39)]}}, "/a/$in/0", "has 39 significant digits; at most 38 can be kept"),
    ({"a": "\ud800"}, "/a", "holds half of a surrogate pair, which is not valid Unicode"),
    ({"a": {"\ud800": 1}}, "/a", "has a member name that is not valid Unicode text"),
]


@pytest.mark.parametrize(("document", "pointer", "message"), FAULTS, ids=lambda value: repr(value)[:40])
def test_what_is_no_filter_is_told_where_and_why(document: Any, pointer: str, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(document)
    assert (caught.value.pointer, caught.value.message) == (pointer, message)
    assert str(caught.value) == (f"{pointer}: {message}" if pointer else message)
    assert isinstance(caught.value, ValueError)


@given(document=any_documents(st.sampled_from(["a", "$and", "$or", "$not", "$in", "$eq", "$gt", "$exists", "a.b", ""])))
def test_any_object_is_a_filter_or_told_why_not(document: JsonObject) -> None:
    try:
        parsed = parse_filter(document)
    except FilterError:
        return
    assert matches(parsed, {"a": 1}) is plainly(document, {"a": 1})


NESTINGS: dict[str, Any] = {
    "$and": lambda inner: {"$and": [inner]},
    "$or": lambda inner: {"$or": [inner, {"a": 1}]},
    "$not": lambda inner: {"$not": inner},
}


@pytest.mark.parametrize("operator", NESTINGS)
@pytest.mark.parametrize("innermost", [{"a": 1}, {"a": {"$ne": 1}}, {}])
def test_nesting(operator: str, innermost: JsonObject) -> None:
    nested = innermost
    for _ in range(10):
        nested = NESTINGS[operator](nested)
    assert matches(parse_filter(nested), {"a": 2}) is plainly(nested, {"a": 2})
    with pytest.raises(FilterError, match="is nested in more than 10 operators") as caught:
        parse_filter(NESTINGS[operator](nested))
    step = "/$not" if operator == "$not" else f"/{operator}/0"
    assert caught.value.pointer == step * 11


@pytest.mark.parametrize("outer", [0, 3])
def test_nesting_of_operators_on_a_value(outer: int) -> None:
    def nested(depth: int) -> JsonObject:
        condition: JsonObject = {"$gt": 1}
        for _ in range(depth - outer):
            condition = {"$not": condition}
        filter: JsonObject = {"a": condition}
        for _ in range(outer):
            filter = {"$not": filter}
        return filter

    assert matches(parse_filter(nested(10)), {"a": 2})
    with pytest.raises(FilterError, match="is nested in more than 10 operators") as caught:
        parse_filter(nested(11))
    assert caught.value.pointer == "/$not" * outer + "/a" + "/$not" * (11 - outer)


@pytest.mark.parametrize(
    "conditions",
    [
        lambda count: {f"f{index}": index for index in range(count)},
        lambda count: {"$or": [{"a": {"$ne": index}} for index in range(count)]},
        lambda count: {"$and": [{"a": {"$gt": 1, "$lt": 3}}] * (count // 2) + [{"$not": {"b": 1}}] * (count % 2)},
        lambda count: {"$and": [{}] * count},
    ],
)
def test_the_number_of_conditions(conditions: Any) -> None:
    parse_filter(conditions(100))
    with pytest.raises(FilterError) as caught:
        parse_filter(conditions(101))
    assert (caught.value.pointer, caught.value.message) == ("", "has 101 conditions; at most 100 are allowed")


def test_other_limits_allow_what_they_say() -> None:
    name = "n" * 256
    assert matches(parse_filter({name: {"$in": list(range(100))}}), {name: 99})
    assert matches(parse_filter({".".join("a" * 128): 1}), {}) is False


class Search(RequestModel):
    filter: FilterDocument | None = None


class TestFilterDocument:
    def test_an_object_becomes_a_filter(self) -> None:
        assert Search.model_validate({"filter": {"a": 1}}).filter == parse_filter({"a": 1})
        assert Search.model_validate({}).filter is None
        assert Search.model_validate({"filter": None}).filter is None

    def test_a_fault_has_a_pointer_into_the_document(self) -> None:
        with pytest.raises(ValidationError) as caught:
            Search.model_validate({"filter": {"a": {"$in": [[]]}}})
        (fault,) = caught.value.errors(include_url=False)
        assert fault["loc"] == ("filter",)
        assert fault["type"] == "invalid_filter"
        assert fault["msg"] == NO_SCALAR
        assert fault["ctx"] == {"pointer": "/a/$in/0", "reason": NO_SCALAR}

    @pytest.mark.parametrize("document", [[], "a", 1, True])
    def test_what_is_no_object_is_refused_as_elsewhere(self, document: object) -> None:
        with pytest.raises(ValidationError) as caught:
            Search.model_validate({"filter": document})
        assert [(fault["loc"], fault["type"]) for fault in caught.value.errors()] == [(("filter",), "dict_type")]

    def test_in_a_lenient_model(self) -> None:
        class Lenient(BaseModel):
            filter: FilterDocument

        assert Lenient.model_validate({"filter": {}}).filter == parse_filter({})

    def test_its_schema_names_the_component_that_describes_filters(self) -> None:
        assert TypeAdapter(FilterDocument).json_schema() == {"x-component": "Filter"}
