"""One endpoint as an operation of the document."""

import inspect
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from scripts.description.examples import EXAMPLES, Example
from scripts.description.headers import content_header, header, usual_headers
from scripts.description.links import links_of
from scripts.description.problems import errors_of, response_name
from scripts.description.schemas import Schemas, reference, schema_of_type, without_null
from scripts.description.wording import member_text
from shared.http import Answer, Content, Endpoint

Object = dict[str, Any]
JSON = "application/json"
_NO_SUMMARY_END = re.compile(r"(?<=[.])\s")


@dataclass(frozen=True)
class Results:
    """What a handler returns: models, and whether it gives them a status or place, or gives bytes.

    Raises TypeError for a handler that does not say.
    """

    models: tuple[type[BaseModel], ...]
    is_answer: bool
    is_content: bool

    @classmethod
    def of(cls, endpoint: Endpoint) -> "Results":
        kinds = [kind for kind in _choices(endpoint.result_type) if kind is not types.NoneType]
        if Answer in kinds or endpoint.result_type is None:
            raise TypeError(
                f"{endpoint.route}: the handler does not say of which model its answer is, as Answer[Model]"
            )
        answers = [kind for kind in kinds if get_origin(kind) is Answer]
        models = [*(get_args(kind)[0] for kind in answers), *(kind for kind in kinds if _is_model(kind))]
        return cls(tuple(models), bool(answers), Content in kinds)


def operation_id(endpoint: Endpoint) -> str:
    """The handler's module, such as `create_report`."""
    return endpoint.function.__module__.rpartition(".")[2]


def tag_of(endpoint: Endpoint) -> str:
    """The package of the handler's module; what stands in none is about the service itself."""
    package = endpoint.function.__module__.split(".")[-2]
    return "service" if package == "handlers" else package


def models_of(endpoint: Endpoint) -> list[type[BaseModel]]:
    """Every model that the endpoint takes or gives."""
    taken = [kind for name, kind in endpoint.types.items() if name in ("body", "query")]
    return [*taken, *Results.of(endpoint).models]


def operation(endpoint: Endpoint, schemas: Schemas) -> Object:
    """The operation object (OpenAPI 3.1, section 4.8.10)."""
    summary, description = _texts(endpoint)
    example = EXAMPLES.get(operation_id(endpoint), Example())
    stated: Object = {
        "operationId": operation_id(endpoint),
        "tags": [tag_of(endpoint)],
        "summary": summary,
        "description": description,
        "parameters": list(_parameters(endpoint, schemas, example)),
        "requestBody": _request_body(endpoint, example),
        "responses": dict(_responses(endpoint, example)),
        "security": [] if endpoint.is_open else None,
    }
    return {name: value for name, value in stated.items() if value is not None and (value or name == "security")}


def _texts(endpoint: Endpoint) -> tuple[str, str | None]:
    """The first sentence of the handler's docstring, and all of it where there is more."""
    text = " ".join(inspect.cleandoc(endpoint.function.__doc__ or "").split())
    summary = _NO_SUMMARY_END.split(text, maxsplit=1)[0]
    return summary.removesuffix("."), text if text != summary else None


def _parameters(endpoint: Endpoint, schemas: Schemas, example: Example) -> Iterator[Object]:
    for name in re.findall(r"{(\w+)}", endpoint.path):
        schema = schema_of_type(endpoint.types[name])
        yield _parameter(endpoint, "path", name, schema, example, is_required=True)
    if "query" in endpoint.types:
        members, required = schemas.members(endpoint.types["query"])
        for name, schema in members.items():
            yield _parameter(endpoint, "query", name, without_null(schema), example, is_required=name in required)
    for name in (*endpoint.honours, *(["If-None-Match"] if 304 in endpoint.other_statuses else [])):
        yield {"$ref": f"#/components/parameters/{name}"}


def _parameter(
    endpoint: Endpoint, place: str, name: str, schema: Object, example: Example, *, is_required: bool
) -> Object:
    text = member_text(operation_id(endpoint), name) or schema.get("description")
    plain = {keyword: value for keyword, value in schema.items() if keyword != "description"}
    stated = {"name": name, "in": place, "required": is_required, "description": text, "schema": plain}
    return {**stated, "example": example.parameters[name]} if name in example.parameters else stated


def _request_body(endpoint: Endpoint, example: Example) -> Object | None:
    if "body" not in endpoint.types:
        return None
    media: Object = {"schema": reference(endpoint.types["body"].__name__)}
    if example.body is not None:
        media["example"] = example.body
    return {"required": True, "content": {JSON: media}}


def _responses(endpoint: Endpoint, example: Example) -> Iterator[tuple[str, Object]]:
    results = Results.of(endpoint)
    is_empty = not results.models and not results.is_content
    statuses = [204] if is_empty else sorted({endpoint.status, *endpoint.other_statuses})
    for status in statuses:
        yield str(status), _success(endpoint, results, status, example)
    for error in errors_of(endpoint):
        yield str(error.status), {"$ref": f"#/components/responses/{response_name(error)}"}


def _success(endpoint: Endpoint, results: Results, status: int, example: Example) -> Object:
    stated: Object = {
        "description": HTTPStatus(status).phrase,
        "headers": _headers(endpoint, results, status),
        "content": {} if HTTPStatus(status) in (204, 304) else _content(endpoint, results, example),
        "links": links_of(operation_id(endpoint)) if status != 304 else {},
    }
    return {name: value for name, value in stated.items() if value}


def _headers(endpoint: Endpoint, results: Results, status: int) -> Object:
    headers = usual_headers(is_limited=endpoint.route_class is not None)
    headers |= {name: content_header(name) for name in endpoint.content_headers}
    if any(_has_version(model) for model in results.models):
        headers["ETag"] = header("ETag")
    if (endpoint.location and status == endpoint.status) or (results.is_answer and status in (201, 202)):
        headers["Location"] = header("Location")
    return headers


def _has_version(model: type[BaseModel]) -> bool:
    """Whether the model's version becomes an ETag."""
    field = model.model_fields.get("version")
    return field is not None and field.annotation is int


def _content(endpoint: Endpoint, results: Results, example: Example) -> Object:
    content: Object = {media_type: _bytes(media_type) for media_type in endpoint.media_types}
    if results.models:
        schemas = [reference(model.__name__) for model in results.models]
        media: Object = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
        if example.answer is not None:
            media["example"] = example.answer
        content[JSON] = media
    return content


def _bytes(media_type: str) -> Object:
    """The media type object of bytes; JSON and text that no model describes are what they are."""
    if media_type.endswith("json"):
        return {"schema": {"type": "object"}}
    if media_type.startswith("text/"):
        return {"schema": {"type": "string"}}
    return {"schema": {"type": "string", "format": "binary", "contentMediaType": media_type}}


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
