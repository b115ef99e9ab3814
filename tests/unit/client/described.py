"""The API's OpenAPI document, as far as the client's tests ask: operations, schemas, and answers that fit them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scripts.description import references
from tests.support.description import document

_METHODS = ("get", "put", "post", "patch", "delete")
_SAMPLES: Mapping[str, object] = {"string": "text", "integer": 1, "number": 0.5, "boolean": True, "null": None}

Key = tuple[str, str]
Schema = Mapping[str, Any]


def resolved(part: Schema) -> Schema:
    """What a reference leads to; anything else as it is."""
    found: Schema = references.resolved(document(), part)
    return found


@dataclass(frozen=True)
class Described:
    """One operation of the document."""

    method: str
    path: str
    described: Schema

    @property
    def is_open(self) -> bool:
        return self.described.get("security") == []

    def parameters(self, place: str) -> set[str]:
        listed = map(resolved, self.described.get("parameters", ()))
        return {parameter["name"] for parameter in listed if parameter["in"] == place}

    @property
    def body_members(self) -> set[str] | None:
        """The members of the body; None where there is none."""
        if "requestBody" not in self.described:
            return None
        schema = resolved(resolved(self.described["requestBody"])["content"]["application/json"]["schema"])
        return set(schema["properties"])

    @property
    def success(self) -> tuple[int, Schema]:
        """The first answer that is one."""
        status = min(code for code in self.described["responses"] if code.startswith("2"))
        return int(status), resolved(self.described["responses"][status])

    @property
    def answer_schema(self) -> Schema | None:
        """That of the JSON answer, where it has members of its own; not where a file may come in its place."""
        content = self.success[1].get("content", {})
        if content.keys() != {"application/json"}:
            return None
        schema = content.get("application/json", {}).get("schema")
        return schema if schema and "properties" in resolved(schema) else None


@lru_cache(maxsize=1)
def operations() -> dict[Key, Described]:
    return {
        (method.upper(), path): Described(method.upper(), path, operation)
        for path, item in document()["paths"].items()
        for method, operation in item.items()
        if method in _METHODS
    }


def sample(schema: Schema) -> Any:
    """A value that fits the schema, with every member that it may have."""
    schema = resolved(schema)
    if "anyOf" in schema:
        return sample(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        return {name: sample(member) for name, member in schema["properties"].items()}
    if schema.get("type") == "object":
        return {"text": "text"}
    return [sample(schema["items"])] if schema.get("type") == "array" else _SAMPLES[schema["type"]]


def problem_slugs() -> set[str]:
    """What the types of all problems end in."""
    named = {type_ for response in document()["components"]["responses"].values() for type_ in _types(response)}
    return {name.removeprefix("urn:k9:problem:") for name in named}


def _types(response: Schema) -> Iterator[str]:
    schema = response["content"]["application/problem+json"]["schema"]
    for part in schema.get("allOf", [schema]):
        yield from part.get("properties", {}).get("type", {}).get("enum", [])
