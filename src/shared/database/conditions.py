"""The conditions that guard rows, each under a name, composed with `&`, `|` and `~`; no method writes its own string.

Every attribute is written as a `#placeholder`, so that DynamoDB's reserved words never matter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from .attributes import AttributeValue, to_attribute

REGISTER = ("write_1", "write_2", "write_3", "write_4")
"""The row's last four writes, newest first (see `writes`)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A DynamoDB condition expression with the names and values that it refers to."""

    expression: str
    names: Mapping[str, str]
    values: Mapping[str, AttributeValue] = field(default_factory=dict)

    def __and__(self, other: Condition) -> Condition:
        return self._joined("AND", other)

    def __or__(self, other: Condition) -> Condition:
        return self._joined("OR", other)

    def __invert__(self) -> Condition:
        return Condition(f"(NOT {self.expression})", self.names, self.values)

    def __bool__(self) -> NoReturn:
        raise TypeError("a Condition is judged by DynamoDB: compose it with & | ~, not with and, or, not")

    def _joined(self, operator: str, other: Condition) -> Condition:
        return Condition(
            f"({self.expression} {operator} {other.expression})",
            {**self.names, **other.names},
            {**self.values, **other.values},
        )


def absent(attribute: str) -> Condition:
    return Condition(f"attribute_not_exists(#{attribute})", {f"#{attribute}": attribute})


def owned_by(user_id: str) -> Condition:
    """The row exists and is the caller's: the ownership rule of every update and delete."""
    return Condition("#user_id = :caller", {"#user_id": "user_id"}, {":caller": {"S": user_id}})


def partition(attribute: str, value: str) -> Condition:
    """The rows of one partition of an index: a key condition."""
    return Condition(f"#{attribute} = :{attribute}", {f"#{attribute}": attribute}, {f":{attribute}": {"S": value}})


def not_before(updated_at: str) -> Condition:
    """The rows last written at `updated_at` or later: a key condition."""
    return Condition("#updated_at >= :since", {"#updated_at": "updated_at"}, {":since": {"S": updated_at}})


def live() -> Condition:
    """The row is no tombstone of a deleted one."""
    return absent("deleted_at")


def at_version(versions: Collection[int]) -> Condition:
    """The row's version is one of `versions`; a row without one, from before they were kept, is at the first.

    Versions count from 1, so no row satisfies an empty collection.
    """
    values = {f":version_{index}": to_attribute(version) for index, version in enumerate(sorted(versions) or [0])}
    condition = Condition(f"#version IN ({', '.join(values)})", {"#version": "version"}, values)
    return condition | absent("version") if 1 in versions else condition


def older_than(updated_at: str) -> Condition:
    """The row was last written before `updated_at`; a row from before the clock was kept has no time at all."""
    earlier = Condition("#updated_at < :now", {"#updated_at": "updated_at"}, {":now": {"S": updated_at}})
    return absent("updated_at") | earlier


def before(attribute: str, moment: str) -> Condition:
    """The time in the attribute is earlier than `moment`, or there is none."""
    reached = Condition(
        f"#{attribute} >= :{attribute}_moment", {f"#{attribute}": attribute}, {f":{attribute}_moment": {"S": moment}}
    )
    return ~reached


def shows(avatar_path: str) -> Condition:
    """The user's avatar is the uploaded one of this path."""
    return Condition("#avatar_url = :shown", {"#avatar_url": "avatar_url"}, {":shown": {"S": avatar_path}})


def not_written_by(write_id: str) -> Condition:
    """None of the row's last four writes is this one."""
    names = {f"#{entry}": entry for entry in REGISTER}
    checks = " OR ".join(f"contains({name}, :write_id)" for name in names)
    return ~Condition(f"({checks})", names, {":write_id": {"S": f" {write_id} "}})


def room_for(product_id: str, limit: int) -> Condition:
    """The favourites hold fewer than `limit` products, or hold this one already."""
    fewer = Condition("size(#favorites) < :limit", {"#favorites": "favorites"}, {":limit": to_attribute(limit)})
    return absent("favorites") | fewer | favorite(product_id)


def room_for_model(model_version: str, limit: int) -> Condition:
    """The owner has fewer than `limit` model versions, and not this one."""
    names = {"#models": "models", "#model": model_version}
    missing = Condition("attribute_not_exists(#models.#model)", names)
    return missing & Condition("size(#models) < :limit", {"#models": "models"}, {":limit": to_attribute(limit)})


def favorite(product_id: str) -> Condition:
    return Condition(
        "contains(#favorites, :product_id)", {"#favorites": "favorites"}, {":product_id": {"S": product_id}}
    )


def made_at(created_at: str) -> Condition:
    """The row is there, and is the one that was made then."""
    return Condition("#created_at = :made", {"#created_at": "created_at"}, {":made": {"S": created_at}})


def as_many_models(count: int) -> Condition:
    """The owner has so many model versions."""
    return Condition("size(#models) = :count", {"#models": "models"}, {":count": to_attribute(count)})


def fenced(attribute: str, until: str) -> Condition:
    """The row has this fence and no other (see `account_rows`)."""
    return Condition(f"#{attribute} = :until", {f"#{attribute}": attribute}, {":until": {"S": until}})
