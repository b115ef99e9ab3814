"""Models as components of the document: pydantic's JSON Schema, said as a reader of the API would say it."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from scripts.description.components import SCHEMAS
from scripts.description.wording import member_text
from shared.models.embedding import Catalogue, EmbeddedProductId, Metric, ModelVersion
from shared.models.fields import CalendarDate, Name, PatchModel, ProductId, ResponseModel
from shared.models.report import ReportId
from shared.models.user import EmailAddress, HttpsUrl

Schema = dict[str, Any]
_PREFIX = "#/components/schemas/"
_FREE_OBJECT = {"type": "object", "additionalProperties": True}
_NULL = {"type": "null"}
_BESIDE_A_REFERENCE = ("description", "default", "example")
_TYPES: dict[str, Any] = {
    "CalendarDate": CalendarDate,
    "Catalogue": Catalogue,
    "EmailAddress": EmailAddress,
    "EmbeddedProductId": EmbeddedProductId,
    "HttpsUrl": HttpsUrl,
    "Metric": Metric,
    "ModelVersion": ModelVersion,
    "Name": Name,
    "ProductId": ProductId,
    "ReportId": ReportId,
}
"""Types of single values that are components of their own, since many members have them."""


def reference(name: str) -> Schema:
    return {"$ref": f"{_PREFIX}{name}"}


class Schemas:
    """The schemas that the document refers to: those of models by their names, and the written ones of `components`."""

    def __init__(self, models: Iterable[type[BaseModel]]) -> None:
        stated = list(models)
        self._models = {model.__name__: model for model in (*_nested(stated), *stated)}
        inputs = [(model, _mode(model)) for model in stated]
        _, document = models_json_schema(inputs, ref_template=_PREFIX + "{model}")
        found = document.get("$defs", {})
        self._all = SCHEMAS | _type_schemas() | {name: self._of_model(name, schema) for name, schema in found.items()}

    def components(self, document: object) -> dict[str, Schema]:
        """What `document` refers to, and what that does, by name."""
        used: dict[str, Schema] = {}
        waiting = list(_names(document))
        while waiting:
            name = waiting.pop()
            if name not in used:
                used[name] = self._all[name]
                waiting += _names(used[name])
        return dict(sorted(used.items()))

    def members(self, model: type[BaseModel]) -> tuple[Mapping[str, Schema], frozenset[str]]:
        """The members of a model, and which of them are required."""
        schema = self._all[model.__name__]
        return schema.get("properties", {}), frozenset(schema.get("required", []))

    def _of_model(self, name: str, schema: Schema) -> Schema:
        model = self._models.get(name)
        cleaned = _cleaned(schema)
        properties = {
            member: _described(name, member, self._of_member(model, member, stated))
            for member, stated in cleaned.get("properties", {}).items()
        }
        return {**cleaned, "properties": properties} if properties else cleaned

    @staticmethod
    def _of_member(model: type[BaseModel] | None, name: str, schema: Schema) -> Schema:
        """A member that is left out where it is null is never null; the default of a patch is what there is."""
        field = model.model_fields.get(name) if model else None
        is_left_out = field is not None and field.exclude_if is not None
        if is_left_out or schema.get("default", ...) is None or (model and issubclass(model, PatchModel)):
            schema = {keyword: value for keyword, value in schema.items() if keyword != "default"}
        return without_null(schema) if is_left_out else schema


def _nested(models: Iterable[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """The models that members of these are of, and so on."""
    waiting: list[Any] = [field.annotation for model in models for field in model.model_fields.values()]
    while waiting:
        kind = waiting.pop()
        waiting += get_args(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
            waiting += (field.annotation for field in kind.model_fields.values())


def schema_of_type(kind: Any) -> Schema:
    """The schema of one value that is not a model, such as a path parameter."""
    return dict(_cleaned(TypeAdapter(kind).json_schema()))


@lru_cache(maxsize=1)
def _type_schemas() -> dict[str, Schema]:
    stated = {name: TypeAdapter(kind).json_schema() for name, kind in _TYPES.items()}
    return {name: {"type": schema["type"], **schema} for name, schema in stated.items()}


def without_null(schema: Schema) -> Schema:
    """A schema of the same values but null."""
    kept = [choice for choice in schema.get("anyOf", []) if choice != _NULL]
    if len(kept) == len(schema.get("anyOf", [])):
        return schema
    rest = {keyword: value for keyword, value in schema.items() if keyword != "anyOf"}
    return {**kept[0], **rest} if len(kept) == 1 else {**rest, "anyOf": kept}


def _mode(model: type[BaseModel]) -> JsonSchemaMode:
    return "serialization" if issubclass(model, ResponseModel) else "validation"


def _cleaned(schema: Any) -> Any:
    """Without the titles that pydantic makes of names, with references to the components that models name."""
    if isinstance(schema, list):
        return [_cleaned(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {keyword: value for keyword, value in schema.items() if keyword != "title"}
    beside = {keyword: value for keyword, value in schema.items() if keyword in _BESIDE_A_REFERENCE}
    rest = {keyword: value for keyword, value in schema.items() if keyword not in beside}
    name = _component_of(rest)
    if name is not None:
        return {**reference(name), **beside}
    cleaned = {keyword: _cleaned_keyword(keyword, value) for keyword, value in schema.items()}
    return {"type": cleaned["type"], **cleaned} if "type" in cleaned else cleaned


def _component_of(schema: Schema) -> str | None:
    """The component that a schema is, in other words."""
    if schema == _FREE_OBJECT:
        return "JsonObject"
    same = (name for name, stated in _type_schemas().items() if stated == schema)
    return schema.get("x-component") or next(same, None)


def _cleaned_keyword(keyword: str, value: Any) -> Any:
    if keyword in ("default", "const", "enum", "examples"):
        return value
    if keyword == "properties":
        return {name: _cleaned(schema) for name, schema in value.items()}
    return _cleaned(value)


def _described(model: str, member: str, schema: Schema) -> Schema:
    return {**schema, "description": member_text(model, member)}


def _names(document: object) -> set[str]:
    if isinstance(document, Mapping):
        named = {str(document["$ref"])[len(_PREFIX) :]} if str(document.get("$ref", "")).startswith(_PREFIX) else set()
        return named.union(*map(_names, document.values()))
    return set().union(*map(_names, document)) if isinstance(document, list | tuple) else set()
