"""The values that a mapping takes out of a row, and the fields that it says nothing of."""

from collections.abc import Iterator, Mapping
from typing import Any

from scripts.migration.conversions import code_of, constant, converter
from scripts.migration.failure import Code, Rejection
from scripts.migration.rules import TARGETS, Collection, FieldRule, Type

ABSENT: Any = object()
_AS_JSON = converter("json", FieldRule.model_construct())


class Extractor:
    """Fills the target fields of a collection from rows, by its rules."""

    def __init__(self, collection: Collection) -> None:
        self._empty_is_missing = collection.empty == "missing"
        natural = TARGETS[collection.into]
        self._fields = {
            name: _Field(rule, rule.type or natural[name], self._empty_is_missing)
            for name, rule in collection.fields.items()
        }
        named = {source for rule in collection.fields.values() for source in _sources(rule)}
        named |= {*collection.ignore, *collection.key, collection.owner.source_field or ""}
        self._known = _Known(named)
        self._rest = next((name for name, rule in collection.fields.items() if rule.rest), None)

    def extract(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The target's fields; one that the row does not have and that has no default is left out. Raises Rejection."""
        fields = {name: field.read(values) for name, field in self._fields.items()}
        found = {name: value for name, value in fields.items() if value is not ABSENT}
        unknown = dict(self._known.unknown(values))
        if not unknown:
            return found
        if self._rest is None:
            field = min(unknown)
            raise Rejection(Code.UNKNOWN_FIELD, "is not in the mapping", field, unknown[field])
        return {**found, self._rest: _AS_JSON({**unknown, **found.get(self._rest, {})})}


class _Field:
    """One field, or one member of an object that is put together from several."""

    def __init__(self, rule: FieldRule, type_: Type, empty_is_missing: bool, *, is_member: bool = False) -> None:
        self._rule = rule
        self._type = type_
        self._convert = converter(type_, rule)
        self._empty_is_missing = empty_is_missing
        self._members = {
            name: _Field(inner, inner.type or "json", empty_is_missing, is_member=True)
            for name, inner in (rule.members or {}).items()
        }
        self._is_member = is_member
        self._is_object = rule.members is not None or rule.rest
        stated = rule.default if rule.sources else rule.value
        self._is_stated = rule.has_default or not (rule.sources or self._is_object)
        self._stated = constant(stated, type_, rule, is_member=is_member) if self._is_stated else ABSENT

    def read(self, values: Mapping[str, Any]) -> Any:
        """The value, or ABSENT. Raises Rejection."""
        if self._is_object:
            members = {name: member.read(values) for name, member in self._members.items()}
            return {name: value for name, value in members.items() if value is not ABSENT}
        source, value = self._found(values)
        if value is ABSENT:
            return self._stated if self._is_stated else self._missing(values)
        try:
            return self._convert(value)
        except ValueError as error:
            raise Rejection(code_of(self._type), str(error), source, value) from error

    def _found(self, values: Mapping[str, Any]) -> tuple[str, Any]:
        """The first source field that the row has a value for; null is none, but in an object's member."""
        if not self._rule.sources:
            return "value", ABSENT
        found = [(source, value_at(values, source)) for source in self._rule.sources]
        present = [(source, value) for source, value in found if self._is_value(value)]
        if not present:
            return self._rule.sources[0], ABSENT
        first, value = present[0]
        for source, other in present[1:]:
            if not (self._rule.may_differ or _is_same(value, other)):
                raise Rejection(Code.CONFLICTING_FIELDS, f"has another value than {first}", source, other)
        return first, value

    def _is_value(self, value: Any) -> bool:
        return not (value is ABSENT or value is None or (value == "" and self._empty_is_missing))

    def _missing(self, values: Mapping[str, Any]) -> Any:
        is_null = any(value_at(values, source) is None for source in self._rule.sources)
        return None if self._is_member and is_null else ABSENT


class _Known:
    """The fields that a mapping names, whole or in part (`meta.title`)."""

    def __init__(self, named: set[str]) -> None:
        self._whole = named
        self._partly = {name[:place] for name in named for place, letter in enumerate(name) if letter == "."}

    def unknown(self, values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for name, value in values.items():
            path = prefix + name
            if path in self._whole:
                continue
            if path in self._partly and value is None:
                continue  # it is named in part, and has none
            if path in self._partly and isinstance(value, Mapping):
                yield from self.unknown(value, f"{path}.")
            else:
                yield path, value


def _is_same(one: Any, other: Any) -> bool:
    """Python takes true for 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _sources(rule: FieldRule) -> Iterator[str]:
    yield from rule.sources
    for inner in (rule.members or {}).values():
        yield from _sources(inner)


def value_at(values: Mapping[str, Any], source: str) -> Any:
    """The value under a name, or under a path of names with dots; ABSENT where there is none."""
    if source in values:
        return values[source]
    value: Any = values
    for part in source.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return ABSENT
        value = value[part]
    return value
