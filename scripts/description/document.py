"""The document as a whole, and its two files: one to read, one to serve."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import handlers
from scripts.description.headers import HEADERS, PARAMETERS
from scripts.description.operations import models_of, operation, tag_of
from scripts.description.problems import errors_of, response, response_name
from scripts.description.schemas import Schemas
from scripts.description.wording import DESCRIPTION, TAGS
from shared import __version__
from shared.http import ENDPOINTS, Endpoint
from shared.models.embedding import NewEmbedding

Object = dict[str, Any]

PROJECT = Path(__file__).resolve().parents[2]
READABLE = PROJECT / "docs" / "openapi.json"
SERVED = PROJECT / "src" / "handlers" / "documentation" / "openapi.json"
_NAMED_BY_COMPONENTS = (NewEmbedding,)
"""Models that others name with `x-component`."""


def all_endpoints() -> list[Endpoint]:
    """Every route of the project."""
    handlers.load_all()
    return [endpoint for endpoint in ENDPOINTS.values() if endpoint.function.__module__.startswith("handlers.")]


def build(endpoints: Iterable[Endpoint] | None = None) -> Object:
    """The OpenAPI document of these endpoints, of all where none are given."""
    given = all_endpoints() if endpoints is None else endpoints
    chosen = sorted(given, key=lambda endpoint: (endpoint.path, endpoint.method))
    models = {model for endpoint in chosen for model in models_of(endpoint)} | set(_NAMED_BY_COMPONENTS)
    schemas = Schemas(sorted(models, key=lambda model: model.__name__))
    paths: dict[str, Object] = {}
    for endpoint in chosen:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation(endpoint, schemas)
    responses = {response_name(error): response(error) for endpoint in chosen for error in errors_of(endpoint)}
    components = {"responses": dict(sorted(responses.items())), "parameters": PARAMETERS, "headers": HEADERS}
    return {
        "openapi": "3.1.0",
        "info": _info(),
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": tag, "description": text} for tag, text in TAGS.items() if tag in map(tag_of, chosen)],
        "paths": paths,
        "components": {
            "schemas": schemas.components([paths, components]),
            **{name: _used(name, found, [paths, components]) for name, found in components.items()},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An id token of the Cognito user pool (an access token where it is set up so).",
                }
            },
        },
    }


def readable(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def served(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n"


def files(document: Mapping[str, Any]) -> dict[Path, str]:
    """What is to be in the two files."""
    return {READABLE: readable(document), SERVED: served(document)}


def _info() -> Object:
    licence = {"name": "MIT", "identifier": "MIT"}
    return {"title": "K9 API", "version": __version__, "description": DESCRIPTION, "license": licence}


def _used(kind: str, components: Mapping[str, Object], places: object) -> Object:
    text = json.dumps(places)
    return {name: stated for name, stated in components.items() if f'"#/components/{kind}/{name}"' in text}
