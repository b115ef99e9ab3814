"""Holds every answer that a test gets to the OpenAPI document: its status, media type, headers and body."""

import json
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from scripts.description.document import READABLE
from scripts.description.references import resolved
from shared.http import Endpoint, Response

_DOCUMENT_URI = "urn:k9:openapi"
_LONGEST_BODY = 20_000
"""Characters of a body that is validated; a longer one is more of the same, and takes long."""


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The document as it is in the repository; a test says whether the code still says the same."""
    found: dict[str, Any] = json.loads(READABLE.read_text(encoding="utf-8"))
    return found


def operation(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = document()["paths"][path][method.lower()]
    return found


@lru_cache(maxsize=256)
def validator(pointer: str) -> Validator:
    """Of the schema at a JSON Pointer (RFC 6901) into the document."""
    return Draft202012Validator({"$ref": f"{_DOCUMENT_URI}#{pointer}"}, registry=_registry())


def faults(pointer: str, value: Any) -> list[str]:
    """What is wrong with a value by the schema there."""
    return [f"{error.json_path}: {error.message}" for error in validator(pointer).iter_errors(value)]


def check_answer(endpoint: Endpoint, answer: Response) -> None:
    """Raises AssertionError for an answer that the document does not tell of."""
    status, headers = str(answer["statusCode"]), answer["headers"]
    responses = operation(endpoint.method, endpoint.path)["responses"]
    assert status in responses, f"{endpoint.route} answers {status}, which the document does not tell of"
    response = resolved(document(), responses[status])
    for name, stated in response.get("headers", {}).items():
        is_certain = resolved(document(), stated).get("required", False)
        assert name in headers or not is_certain, f"{endpoint.route} {status} has no {name}"
    for name in ("ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate"):
        assert name not in headers or name in response["headers"], f"{endpoint.route} {status} has a {name}"
    _check_body(endpoint, status, response, answer)


def _check_body(endpoint: Endpoint, status: str, response: dict[str, Any], answer: Response) -> None:
    content = response.get("content", {})
    if not answer["body"]:
        assert not content, f"{endpoint.route} {status} has no body"
        return
    media_type = answer["headers"]["Content-Type"]
    assert media_type in content, f"{endpoint.route} {status} is {media_type}, which the document does not tell of"
    if media_type.endswith("json") and not answer["isBase64Encoded"] and len(answer["body"]) < _LONGEST_BODY:
        found = faults(_pointer(endpoint, status, media_type), json.loads(answer["body"]))
        assert not found, f"{endpoint.route} {status}: {found}"


def _pointer(endpoint: Endpoint, status: str, media_type: str) -> str:
    stated = operation(endpoint.method, endpoint.path)["responses"][status]
    steps = ("paths", endpoint.path, endpoint.method.lower(), "responses", status)
    place = stated["$ref"].removeprefix("#") if "$ref" in stated else "/" + "/".join(map(_step, steps))
    return f"{place}/content/{_step(media_type)}/schema"


def _step(name: str) -> str:
    """A step of a JSON Pointer in a URI's fragment (RFC 6901, section 6)."""
    return name.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


@lru_cache(maxsize=1)
def _registry() -> Registry[Any]:
    resource = Resource.from_contents(document(), default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(_DOCUMENT_URI, resource)
    return registry
