"""What a client of one document would not survive in another: the changes that break.

Requests may only come to be taken more widely, answers only to be told more narrowly. So a schema is compared with its
successor as what a client sends, or as what a client reads; a keyword that may be anything else is a break where it is
not alike.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.description.references import resolved
from scripts.description.widening import Finding, Widening, flattened
from shared.errors import PROBLEM_CONTENT_TYPE

Object = dict[str, Any]
_METHODS = ("get", "put", "post", "delete", "patch", "options", "head", "trace")
_SUCCESSES = ("1", "2", "3")
_HERE = {"url": "/"}
_SERIALIZATION = ("style", "explode", "allowReserved", "content")
_WORDS = ("description", "bearerFormat")


@dataclass(frozen=True, slots=True)
class Break:
    """One change that breaks: where, and what."""

    place: str
    change: str

    def __str__(self) -> str:
        return f"{self.place}: {self.change}"


def breaks(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Break]:
    """Everything in the new document that a client of the old one may fail at."""
    return list(_Comparison(old, new).run())


class _Comparison:
    def __init__(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        self._old, self._new = old, new

    def run(self) -> Iterator[Break]:
        yield from self._places()
        yield from self._schemes()
        for path, item in self._old["paths"].items():
            for method in filter(item.__contains__, _METHODS):
                successor = self._new["paths"].get(path, {}).get(method)
                place = f"{method.upper()} {path}"
                if successor is None:
                    yield Break(place, "the operation is gone")
                else:
                    yield from self._operation(place, item[method], successor)

    def _places(self) -> Iterator[Break]:
        """Paths are relative to servers (OpenAPI 3.1, section 4.8.5)."""
        stated = [server["url"] for server in self._new.get("servers", [_HERE])]
        for server in self._old.get("servers", [_HERE]):
            if server["url"] not in stated:
                yield Break("servers", f"{server['url']} is gone")

    def _schemes(self) -> Iterator[Break]:
        """What an operation asks for is compared by name; the name has to mean the same."""
        before, after = (self._security_schemes(document) for document in (self._old, self._new))
        for name in before.keys() & after.keys():
            if before[name] != after[name]:
                yield Break(f"security scheme {name}", "is another one")

    @staticmethod
    def _security_schemes(document: Mapping[str, Any]) -> dict[str, Object]:
        stated = document.get("components", {}).get("securitySchemes", {})
        return {name: {word: scheme[word] for word in scheme if word not in _WORDS} for name, scheme in stated.items()}

    def _operation(self, place: str, old: Object, new: Object) -> Iterator[Break]:
        if old.get("operationId") != new.get("operationId"):
            yield Break(place, f"the operationId {old.get('operationId')} is now {new.get('operationId')}")
        yield from self._security(place, old, new)
        yield from self._parameters(place, old, new)
        yield from self._request_body(place, old.get("requestBody"), new.get("requestBody"))
        yield from self._responses(place, old["responses"], new["responses"])

    def _security(self, place: str, old: Object, new: Object) -> Iterator[Break]:
        """A client may go by any of the alternatives; none at all is one that needs nothing."""
        before = old.get("security", self._old.get("security", [])) or [{}]
        after = new.get("security", self._new.get("security", [])) or [{}]
        for known in before:
            if not any(_is_met(known, required) for required in after):
                yield Break(place, "security is added or changed")

    def _parameters(self, place: str, old: Object, new: Object) -> Iterator[Break]:
        before, after = self._by_name(self._old, old), self._by_name(self._new, new)
        for key, parameter in before.items():
            where = f"{place} {key[0]} parameter {key[1]}"
            if key not in after:
                yield Break(where, "is gone")
                continue
            if after[key].get("required") and not parameter.get("required"):
                yield Break(where, "is now required")
            if any(parameter.get(keyword) != after[key].get(keyword) for keyword in _SERIALIZATION):
                yield Break(where, "is written in another way")
            yield from self._sent(where, parameter.get("schema", {}), after[key].get("schema", {}))
        for key, parameter in after.items():
            if key not in before and parameter.get("required"):
                yield Break(f"{place} {key[0]} parameter {key[1]}", "is new and required")

    @staticmethod
    def _by_name(document: Mapping[str, Any], operation: Object) -> dict[tuple[str, str], Object]:
        parameters = (resolved(document, stated) for stated in operation.get("parameters", []))
        return {(parameter["in"], parameter["name"]): parameter for parameter in parameters}

    def _request_body(self, place: str, old: Object | None, new: Object | None) -> Iterator[Break]:
        before, after = resolved(self._old, old or {}), resolved(self._new, new or {})
        where = f"{place} request body"
        if old is not None and new is None:
            yield Break(where, "is gone")
        if after.get("required") and not before.get("required"):
            yield Break(where, "is now required")
        for media_type, content in before.get("content", {}).items() if new is not None else ():
            if media_type not in after["content"]:
                yield Break(where, f"{media_type} is no longer taken")
            else:
                yield from self._sent(where, content.get("schema", {}), after["content"][media_type].get("schema", {}))

    def _responses(self, place: str, old: Object, new: Object) -> Iterator[Break]:
        """A success may not go. An error may, but not be told in another way."""
        for status, stated in old.items():
            if status in new:
                before, after = resolved(self._old, stated), resolved(self._new, new[status])
                yield from self._response(f"{place} {status}", before, after)
            elif status.startswith(_SUCCESSES):
                yield Break(place, f"status {status} is gone")
        for status in new:
            if status.startswith(_SUCCESSES) and status not in old:
                yield Break(place, f"status {status} is new among its successes")

    def _response(self, place: str, old: Object, new: Object) -> Iterator[Break]:
        for name, stated in old.get("headers", {}).items():
            if name not in new.get("headers", {}):
                yield Break(place, f"the header {name} is gone")
                continue
            before, after = resolved(self._old, stated), resolved(self._new, new["headers"][name])
            if before.get("required") and not after.get("required"):
                yield Break(place, f"the header {name} is no longer certain")
            yield from self._read(f"{place} header {name}", before.get("schema", {}), after.get("schema", {}))
        for media_type, content in old.get("content", {}).items():
            if media_type not in new.get("content", {}):
                yield Break(place, f"{media_type} is no longer answered")
            elif media_type == PROBLEM_CONTENT_TYPE:
                yield from self._problem(place, content.get("schema", {}), new["content"][media_type].get("schema", {}))
            else:
                yield from self._read(place, content.get("schema", {}), new["content"][media_type].get("schema", {}))

    def _problem(self, place: str, old: Object, new: Object) -> Iterator[Break]:
        """A status may come to have further types, which a client takes for what the status says, but one has to stay.

        Titles are for people (RFC 9457, section 3.1.3).
        """
        before, known = _without_kinds(self._old, old)
        after, kinds = _without_kinds(self._new, new)
        if known and kinds and known.isdisjoint(kinds):
            yield Break(place, f"the problem {', '.join(sorted(known))} is now {', '.join(sorted(kinds))}")
        yield from self._read(place, before, after)

    def _sent(self, place: str, old: Object, new: Object) -> Iterator[Break]:
        """Breaks where something that the old schema allows is not allowed by the new one."""
        yield from _as_breaks(place, Widening(self._old, self._new).findings(old, new))

    def _read(self, place: str, old: Object, new: Object) -> Iterator[Break]:
        """Breaks where the new schema allows something that the old one does not, or has lost a member."""
        yield from _as_breaks(place, Widening(self._new, self._old, keeps_members=True).findings(new, old))


def _without_kinds(document: Mapping[str, Any], schema: Object) -> tuple[Object, set[str]]:
    """The schema of a problem that may be of any type and title, and the types that it names."""
    plain = flattened(document, schema)
    members = {name: resolved(document, member) for name, member in plain.get("properties", {}).items()}
    kinds = set(members.get("type", {}).get("enum", []))
    for name in members.keys() & {"type", "title"}:
        members[name] = {keyword: value for keyword, value in members[name].items() if keyword != "enum"}
    return {**plain, "properties": members}, kinds


def _is_met(known: Mapping[str, Any], required: Mapping[str, Any]) -> bool:
    """Whether who brings what `known` asks for brings what is required now."""
    return all(name in known and set(scopes) <= set(known[name]) for name, scopes in required.items())


def _as_breaks(place: str, findings: Iterator[Finding]) -> Iterator[Break]:
    for finding in findings:
        yield Break(f"{place} {finding.pointer}".rstrip(), finding.text)
