"""The schemas that no model gives: JSON documents, filters, vectors, problems. Their numbers are those of the code."""

from typing import Any

from shared.config import ROUTE_CLASSES
from shared.errors import ApiError, InvalidRequest, render_problem
from shared.models.filters import MAX_CONDITIONS, MAX_NESTING, MAX_PATH, MAX_VALUES
from shared.models.json_value import MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT, MIN_EXPONENT
from shared.models.vector import MAX_DIMENSION

Schema = dict[str, Any]

_SMALLEST, _TOO_LARGE = float(f"1e{MIN_EXPONENT}"), float(f"1e{MAX_EXPONENT + 1}")
_MAX_FLOAT32 = (2 - 2**-24) * 2.0**127
"""What is nearer to the largest float32 than to the next power of two (IEEE 754-2019, section 4.3.1)."""

_ROUNDS_TO_ZERO = 2.0**-150
"""Half of the smallest float32: a tie goes to zero, which is even."""

_PATH = r"^[^$.][^.]*(\.[^$.][^.]*)*$"


def _component(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_NUMBER: Schema = {
    "type": "number",
    "description": f"A number of at most {MAX_DIGITS} significant digits; it is kept exactly.",
    "anyOf": [
        {"const": 0},
        {"minimum": _SMALLEST, "exclusiveMaximum": _TOO_LARGE},
        {"exclusiveMinimum": -_TOO_LARGE, "maximum": -_SMALLEST},
    ],
}
_VALUE: Schema = {
    "description": f"Any JSON value; objects and arrays nest at most {MAX_DEPTH} deep.",
    "anyOf": [
        {"type": ["null", "boolean", "string"]},
        _component("JsonNumber"),
        {"type": "array", "items": _component("JsonValue")},
        _component("JsonObject"),
    ],
}
_OBJECT: Schema = {
    "description": f"A JSON object of the caller's own: at most {MAX_DEPTH} levels deep; it comes back as it was sent.",
    "type": "object",
    "additionalProperties": _component("JsonValue"),
}
_VECTOR: Schema = {
    "description": f"1 to {MAX_DIMENSION} numbers that float32 can hold, not all zero.",
    "type": "array",
    "items": {"type": "number", "exclusiveMinimum": -_MAX_FLOAT32, "exclusiveMaximum": _MAX_FLOAT32},
    "minItems": 1,
    "maxItems": MAX_DIMENSION,
    "contains": {"anyOf": [{"exclusiveMinimum": _ROUNDS_TO_ZERO}, {"exclusiveMaximum": -_ROUNDS_TO_ZERO}]},
}
_FILTERS: Schema = {"type": "array", "items": _component("Filter"), "minItems": 1}
_FILTER: Schema = {
    "description": (
        "A subset of MongoDB's query documents over the product's metadata. Its members must all hold: each names a"
        " path, whose parts are joined by dots, and a value or operators; `$and`, `$or` and `$not` take filters. At"
        f" most {MAX_CONDITIONS} conditions, {MAX_NESTING} levels."
    ),
    "type": "object",
    "properties": {"$and": _FILTERS, "$or": _FILTERS, "$not": _component("Filter")},
    "patternProperties": {_PATH: {"anyOf": [_component("FilterOperand"), _component("FilterOperators")]}},
    "propertyNames": {"maxLength": MAX_PATH},
    "additionalProperties": False,
}
_OPERAND: Schema = {
    "description": "A value to compare with; null equals what is missing, too.",
    "anyOf": [{"type": ["null", "boolean", "string"]}, _component("JsonNumber")],
}
_ORDERED: Schema = {"anyOf": [{"type": "string"}, _component("JsonNumber")]}
_OPERANDS: Schema = {"type": "array", "items": _component("FilterOperand"), "maxItems": MAX_VALUES}
_OPERATORS: Schema = {
    "description": "Operators on one value, which must all hold. Values compare within their type only.",
    "type": "object",
    "properties": {
        **dict.fromkeys(("$eq", "$ne"), _component("FilterOperand")),
        **dict.fromkeys(("$in", "$nin"), _OPERANDS),
        **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), _ORDERED),
        "$exists": {"type": "boolean"},
        "$not": _component("FilterOperators"),
    },
    "minProperties": 1,
    "additionalProperties": False,
}
_FIELD_ERROR: Schema = {
    "description": "One fault of the request.",
    "type": "object",
    "properties": {
        "pointer": {
            "type": "string",
            "format": "json-pointer",
            "description": "A JSON Pointer (RFC 6901) into the request: /body/..., /query/..., /path/..., /header/...",
        },
        "message": {"type": "string", "description": "What is wrong there, in words."},
    },
    "required": ["pointer", "message"],
}
_PROBLEM: Schema = {
    "description": "Why a request was refused, or failed (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "What kind of problem it is, for programs."},
        "title": {"type": "string", "description": "The kind in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What was wrong this time, and what to do."},
        "instance": {"type": "string", "format": "uri-reference", "description": "The path of the request."},
        "request_id": {"type": "string", "description": "Quote it when you report a problem; X-Request-Id has it too."},
        "errors": {
            "type": "array",
            "items": _component("FieldError"),
            "minItems": 1,
            "description": "The single faults, where they can be told.",
        },
        "violated-policies": {
            "type": "array",
            "items": {"enum": [*ROUTE_CLASSES, "rows", "bytes"]},
            "minItems": 1,
            "description": "The caller's own limits that are reached, by the names that RateLimit-Policy gives them.",
        },
    },
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
}
_GATEWAY: Schema = {
    "description": "What API Gateway answers by itself, before a function is reached.",
    "type": "object",
    "properties": {"message": {"type": ["string", "null"], "description": "Such as `Unauthorized`."}},
    "required": ["message"],
}

SCHEMAS: dict[str, Schema] = {
    "FieldError": _FIELD_ERROR,
    "Filter": _FILTER,
    "FilterOperand": _OPERAND,
    "FilterOperators": _OPERATORS,
    "GatewayMessage": _GATEWAY,
    "JsonNumber": _NUMBER,
    "JsonObject": _OBJECT,
    "JsonValue": _VALUE,
    "Problem": _PROBLEM,
    "Vector": _VECTOR,
}
"""Components by name; models refer to them with `x-component`."""


def problem_type(error: type[ApiError]) -> str:
    """The `type` of the problem that an error is rendered as."""
    probe = InvalidRequest("")
    prefix = str(render_problem(probe, instance="", request_id="")["type"]).removesuffix(probe.slug)
    return prefix + error.slug
