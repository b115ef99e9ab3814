"""The named conditions: what each says, how they compose, and that none is judged by Python."""

import re

import pytest

from shared.database import conditions
from shared.database.conditions import REGISTER, Condition

A = Condition("#a = :a", {"#a": "a"}, {":a": {"S": "1"}})
B = Condition("#b = :b", {"#b": "b"}, {":b": {"S": "2"}})

EVERY = [
    conditions.absent("id"),
    conditions.owned_by("alice"),
    conditions.at_version([3, 1]),
    conditions.older_than("2026-01-01T00:00:00.000000Z"),
    conditions.not_written_by("write-1"),
    conditions.before("created_at", "2026-01-01T00:00:00.000000Z") & conditions.before("avatar_as_of", "2026"),
    conditions.shows("/avatars/a/b"),
    conditions.room_for("p", 500),
    conditions.favorite("p"),
    conditions.live(),
    conditions.partition("owner_model", "alice#m") & conditions.not_before("2026-01-01T00:00:00.000000Z"),
    conditions.room_for_model("m-1.0:x", 100),
    ~conditions.favorite("p"),
    A & B | ~A,
]


@pytest.mark.parametrize("condition", EVERY, ids=lambda condition: condition.expression[:30])
def test_every_placeholder_is_defined_and_every_definition_used(condition: Condition) -> None:
    """DynamoDB refuses a request where either is not so."""
    assert set(re.findall(r"#\w+", condition.expression)) == condition.names.keys()
    assert set(re.findall(r":\w+", condition.expression)) == condition.values.keys()


@pytest.mark.parametrize("condition", EVERY, ids=lambda condition: condition.expression[:30])
def test_every_attribute_is_a_placeholder(condition: Condition) -> None:
    """Hence no reserved word can break an expression."""
    words = re.findall(r"(?<![#:\w])[A-Za-z_]\w*", condition.expression)
    assert set(words) <= {"attribute_not_exists", "contains", "size", "IN", "AND", "OR", "NOT"}


def test_each_condition() -> None:
    assert conditions.absent("id") == Condition("attribute_not_exists(#id)", {"#id": "id"})
    assert conditions.owned_by("alice") == Condition(
        "#user_id = :caller", {"#user_id": "user_id"}, {":caller": {"S": "alice"}}
    )
    versions = {":version_0": {"N": "1"}, ":version_1": {"N": "3"}}
    either = "(#version IN (:version_0, :version_1) OR attribute_not_exists(#version))"
    assert conditions.at_version({3, 1}) == Condition(either, {"#version": "version"}, versions)
    assert conditions.at_version({3}).expression == "#version IN (:version_0)"
    assert conditions.older_than("now").expression == "(attribute_not_exists(#updated_at) OR #updated_at < :now)"
    assert conditions.favorite("p").values == {":product_id": {"S": "p"}}
    assert conditions.live() == conditions.absent("deleted_at")
    assert conditions.partition("owner_model", "a#m") == Condition(
        "#owner_model = :owner_model", {"#owner_model": "owner_model"}, {":owner_model": {"S": "a#m"}}
    )
    assert conditions.not_before("then") == Condition(
        "#updated_at >= :since", {"#updated_at": "updated_at"}, {":since": {"S": "then"}}
    )
    assert conditions.room_for("p", 5).values == {":limit": {"N": "5"}, ":product_id": {"S": "p"}}


def test_no_version_is_a_version_that_no_row_has() -> None:
    """Versions count from 1; an If-Match that names none of ours must not become no condition."""
    assert conditions.at_version([]).values == {":version_0": {"N": "0"}}


def test_a_model_version_is_a_member_of_a_map_whatever_its_name() -> None:
    """Dots and brackets in it are no path, since it is a placeholder."""
    condition = conditions.room_for_model("v1.0[2]", 100)
    assert condition.expression == "(attribute_not_exists(#models.#model) AND size(#models) < :limit)"
    assert condition.names == {"#models": "models", "#model": "v1.0[2]"}
    assert condition.values == {":limit": {"N": "100"}}


def test_a_write_is_looked_for_in_the_whole_register() -> None:
    condition = conditions.not_written_by("w")
    assert condition.expression.startswith("(NOT (")
    assert [name for name in REGISTER if f"contains(#{name}, :write_id)" in condition.expression] == list(REGISTER)


def test_composition_is_in_brackets() -> None:
    assert (A & B).expression == "(#a = :a AND #b = :b)"
    assert (A | B).expression == "(#a = :a OR #b = :b)"
    assert (~A).expression == "(NOT #a = :a)"
    assert (A & (B | ~A)).expression == "(#a = :a AND (#b = :b OR (NOT #a = :a)))"


def test_composition_joins_names_and_values() -> None:
    both = A & B
    assert both.names == {"#a": "a", "#b": "b"}
    assert both.values == {":a": {"S": "1"}, ":b": {"S": "2"}}
    assert (A.names, A.values) == ({"#a": "a"}, {":a": {"S": "1"}})


def test_a_condition_has_no_truth() -> None:
    """`owned and fresh` would silently be `fresh` alone."""
    with pytest.raises(TypeError, match=r"compose it with & \| ~"):
        bool(A)
    with pytest.raises(TypeError):
        all([A, B])
