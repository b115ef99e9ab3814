"""Whether one JSON Schema allows everything that another does.

What is sent has to be allowed by the new schema if the old one allowed it, what is read by the old one if the new one
does. The answer is cautious: a keyword whose meaning is not gone into counts as the same where it reads the same, and
as a difference where it does not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.description.references import reference_of, resolved

Schema = dict[str, Any]
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_INNER = ("items", "additionalProperties", "contains", "propertyNames")
_TEXTS = frozenset({"description", "title", "example", "examples", "default", "deprecated"})
_VALUES = ("type", "enum", "const")
_MEMBERS = ("properties", "patternProperties", "required")
_GONE_INTO = frozenset({*_LOWER_BOUNDS, *_UPPER_BOUNDS, *_INNER, *_VALUES, *_MEMBERS, "anyOf"})
"""Keywords whose meaning is known here; any other has to read the same."""

_NO_DEFAULT = object()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the narrower schema allows and the wider one does not; `pointer` leads to it in a value."""

    pointer: str
    text: str


class Widening:
    """Compares schemas of two documents: is what `narrow` allows allowed by `wide`?

    `keeps_members`: who reads a value also relies on the members that the wider schema tells of.
    """

    def __init__(self, narrow: Mapping[str, Any], wide: Mapping[str, Any], *, keeps_members: bool = False) -> None:
        self._narrow, self._wide, self._keeps_members = narrow, wide, keeps_members
        self._seen: set[tuple[str, str]] = set()

    def findings(self, narrow: Any, wide: Any, pointer: str = "") -> Iterator[Finding]:
        """What `wide` does not allow of `narrow`. A pair of references is gone into once: schemas nest endlessly."""
        if not self._keeps_members:
            yield from self._default_findings(narrow, wide, pointer)
        pair = reference_of(narrow), reference_of(wide)
        if pair[0] is not None and pair[1] is not None:
            if (pair[0], pair[1]) in self._seen:
                return
            self._seen.add((pair[0], pair[1]))
        choices, options = _choices(self._narrow, narrow), _choices(self._wide, wide)
        if len(choices) == len(options) == 1:
            yield from self._single(choices[0], options[0], pointer)
            return
        for choice in choices:
            if not any(self._is_allowed(choice, option) for option in options):
                yield Finding(pointer, f"{_short(choice)} is none of {_short(options)}")

    def _default_findings(self, narrow: Any, wide: Any, pointer: str) -> Iterator[Finding]:
        """A request that leaves the value out would come to mean another thing."""
        stated = resolved(self._narrow, narrow).get("default", _NO_DEFAULT)
        now = resolved(self._wide, wide).get("default", _NO_DEFAULT)
        if stated is not _NO_DEFAULT and stated != now:
            yield Finding(pointer, f"the default {stated} is {'gone' if now is _NO_DEFAULT else f'now {now}'}")

    def _is_allowed(self, narrow: Schema, wide: Schema) -> bool:
        other = Widening(self._narrow, self._wide, keeps_members=self._keeps_members)
        other._seen = set(self._seen)
        return next(other._single(narrow, wide, ""), None) is None

    def _single(self, narrow: Schema, wide: Schema, pointer: str) -> Iterator[Finding]:
        """Of two schemas without alternatives."""
        values = _values(narrow)
        yield from (Finding(pointer, text) for text in _value_findings(values, _values(wide)))
        yield from (Finding(pointer, text) for text in _type_findings(_types(narrow), _types(wide)))
        if values is None:
            yield from (Finding(pointer, text) for text in _bound_findings(narrow, wide))
            yield from (Finding(pointer, text) for text in _other_findings(narrow, wide))
        yield from self._members(narrow, wide, pointer)
        yield from self._inner(narrow, wide, pointer)

    def _members(self, narrow: Schema, wide: Schema, pointer: str) -> Iterator[Finding]:
        members, known = narrow.get("properties", {}), wide.get("properties", {})
        for name in wide.get("required", []):
            if name not in narrow.get("required", []):
                yield Finding(f"{pointer}/{name}", "may be missing on the one side and not on the other")
        for name, schema in members.items():
            yield from self._member(f"{pointer}/{name}", schema, known.get(name), wide)
        for pattern, schema in wide.get("patternProperties", {}).items():
            yield from self.findings(
                narrow.get("patternProperties", {}).get(pattern, {}), schema, f"{pointer}/{pattern}"
            )
        if self._keeps_members:
            yield from (Finding(f"{pointer}/{name}", "is gone") for name in known if name not in members)

    def _member(self, pointer: str, schema: Any, known: Any, wide: Schema) -> Iterator[Finding]:
        others = wide.get("additionalProperties", True)
        if known is not None:
            yield from self.findings(schema, known, pointer)
        elif others is False:
            yield Finding(pointer, "is gone")
        elif isinstance(others, dict):
            yield from self.findings(schema, others, pointer)

    def _inner(self, narrow: Schema, wide: Schema, pointer: str) -> Iterator[Finding]:
        for keyword in _INNER:
            stated, allowed = narrow.get(keyword, True), wide.get(keyword, True)
            if allowed is False and stated is not False:
                yield Finding(pointer, "members of other names are no longer taken")
            elif isinstance(allowed, dict) and stated is not False:
                yield from self.findings({} if stated is True else stated, allowed, f"{pointer}/*")


def _choices(document: Mapping[str, Any], schema: Any) -> list[Schema]:
    """The alternatives of a schema, each with what holds for all of them; alternatives of alternatives, too."""
    plain = flattened(document, schema)
    if "anyOf" not in plain:
        return [plain]
    rest = {name: value for name, value in plain.items() if name != "anyOf"}
    return [_both(rest, choice) for stated in plain["anyOf"] for choice in _choices(document, stated)]


def flattened(document: Mapping[str, Any], schema: Any) -> Schema:
    """A schema without words, and with the parts of its `allOf` in one, unless two parts speak of the same thing."""
    plain = {name: value for name, value in resolved(document, schema).items() if name not in _TEXTS}
    whole = {name: value for name, value in plain.items() if name != "allOf"}
    for part in (flattened(document, stated) for stated in plain.get("allOf", [])):
        shared = {name for name in part.keys() & whole.keys() if part[name] != whole[name]} - {"properties", "required"}
        if shared or "additionalProperties" in part:
            return plain
        members = {**part.get("properties", {}), **whole.get("properties", {})}
        for name in part.get("properties", {}).keys() & whole.get("properties", {}).keys():
            members[name] = {**resolved(document, part["properties"][name]), **whole["properties"][name]}
        required = sorted({*part.get("required", []), *whole.get("required", [])})
        whole = {**part, **whole, "properties": members, "required": required}
    return whole


def _both(rest: Schema, choice: Schema) -> Schema:
    members = {**rest.get("properties", {}), **choice.get("properties", {})}
    return {**rest, **choice, "properties": members} if members else {**rest, **choice}


def _type_findings(stated: set[str] | None, allowed: set[str] | None) -> Iterator[str]:
    if allowed is None:
        return
    if stated is None:
        yield f"any type beside {_listed(allowed)}"
    elif missing := {kind for kind in stated - allowed if (kind, "number" in allowed) != ("integer", True)}:
        yield f"the type {_listed(missing)} beside {_listed(allowed)}"


def _value_findings(stated: list[Any] | None, allowed: list[Any] | None) -> Iterator[str]:
    if allowed is None:
        return
    if stated is None:
        yield f"any value beside {_listed(allowed)}"
    elif missing := [value for value in stated if value not in allowed]:
        yield f"the value {_listed(missing)} beside {_listed(allowed)}"


def _bound_findings(narrow: Schema, wide: Schema) -> Iterator[str]:
    for keyword in (*_LOWER_BOUNDS, *_UPPER_BOUNDS):
        stated, allowed = narrow.get(keyword), wide.get(keyword)
        if allowed is None:
            continue
        if stated is None or (stated < allowed if keyword in _LOWER_BOUNDS else stated > allowed):
            yield f"{keyword} {stated} beside {allowed}"


def _other_findings(narrow: Schema, wide: Schema) -> Iterator[str]:
    for keyword in sorted(wide.keys() - _GONE_INTO):
        if narrow.get(keyword) != wide[keyword]:
            yield f"{keyword} {_short(narrow.get(keyword))} beside {_short(wide[keyword])}"


def _types(schema: Schema) -> set[str] | None:
    """The types that a schema names, or those of its values."""
    values = _values(schema)
    if values is not None:
        return {_type_of(value) for value in values}
    stated = schema.get("type")
    return None if stated is None else {stated} if isinstance(stated, str) else set(stated)


def _type_of(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", list: "array"}
    return kinds.get(type(value), "object")


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _listed(values: Any) -> str:
    return ", ".join(sorted(map(str, values)))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
