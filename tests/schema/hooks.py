"""What schemathesis is told of this API: which values exist, which refusals are to be expected, what must not be seen.

It runs in the environment of schemathesis, which has none of the project's packages. Variables say what there is:
K9_KNOWN, a JSON object of ids that exist, those of other tenants among them, and K9_CANARIES, a JSON list of what is in
the rows of other tenants and nowhere else.
"""

import json
import os
import re
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.generation.meta import TestPhase

KNOWN: dict[str, list[str]] = json.loads(os.environ["K9_KNOWN"])
CANARIES: list[str] = json.loads(os.environ["K9_CANARIES"])
DIMENSION = 3
_SCHEMATHESIS_OWN_TAG = "0"
"""It takes this for a valid If-Match, whatever the pattern says; without quotes it is no entity tag."""

_MODEL_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,127}")
_RESERVED = {".", "..", "batch", "delete", "map", "models", "search", "similarity"}
_EXPECTED = re.compile(
    # What depends on the rows that there are:
    r"is no model version that anything was stored under|is no product of this catalogue|the vectors of .* have"
    r"|the report's reference has no product_id|was already used for a request|has no vector of"
    r"|The cursor is not one that this route gave"
    # What JSON Schema has no words for:
    r"|must not be all zero|significant digits|bytes stored"
    r"|is nested deeper than|is nested in more than|has \d+ conditions"
)


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Without the rule that a vector is not all zero: making values for it takes schemathesis many minutes."""
    del raw_schema["components"]["schemas"]["Vector"]["contains"]


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Exchange values that are valid for values that exist, in a part of the cases: others end at a 404 or 422."""
    if case.path_parameters and not _is_step(case):
        for name in ("report_id", "product_id"):
            _exchange(case.path_parameters, name)
    if case.query:
        _exchange(case.query, "model_version")
    if isinstance(case.body, dict):
        for document in (case.body, *_items(case.body)):
            for name in ("model_version", "product_id"):
                _exchange(document, name)
            _fit_vector(document)


def _is_step(case: Case) -> bool:
    """Whether the case goes on with what an answer before gave."""
    return case.meta is not None and case.meta.phase.name == TestPhase.STATEFUL


def _items(body: dict[str, Any]) -> list[dict[str, Any]]:
    items = body.get("items")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _exchange(values: dict[str, Any], name: str) -> None:
    value = values.get(name)
    if not isinstance(value, str) or not _is_valid(name, value) or value in KNOWN[name]:
        return
    choice = sum(value.encode()) % (3 * len(KNOWN[name]))
    if name == "model_version" or choice < 2 * len(KNOWN[name]):
        values[name] = KNOWN[name][choice % len(KNOWN[name])]


def _is_valid(name: str, value: str) -> bool:
    if name == "model_version":
        return bool(_MODEL_VERSION.fullmatch(value))
    return value.isprintable() and 0 < len(value) <= 128 and value not in _RESERVED and "%" not in value


def _fit_vector(document: dict[str, Any]) -> None:
    vector = document.get("embedding_vector")
    if not isinstance(vector, list) or not 0 < len(vector) <= 4096 or len(vector) == DIMENSION:
        return
    if not all(type(number) in (int, float) and abs(number) < 1e38 for number in vector):
        return
    if any(abs(number) > 1e-40 for number in vector):  # or else it is not valid
        document["embedding_vector"] = [1.0, *vector, 0.5, 0.5][:DIMENSION]


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Valid data may be refused where the rows decide, or where JSON Schema cannot say what is valid."""
    if failure.__class__.__name__ != "RejectedPositiveData" or response.status_code not in (400, 422):
        return True
    if (case.headers or {}).get("If-Match") == _SCHEMATHESIS_OWN_TAG:
        return False
    problem = response.json()
    reasons = [problem["detail"], *(error["message"] for error in problem.get("errors", []))]
    return not any(_EXPECTED.search(reason) for reason in reasons)


@schemathesis.check
def nothing_of_another_tenant(context: CheckContext, response: Response, case: Case) -> bool | None:
    """No answer holds what only the rows of other tenants hold."""
    sent = f"{response.headers} {response.content.decode(errors='replace')}"
    seen = [canary for canary in CANARIES if canary in sent]
    assert not seen, f"{case.operation.label} answered with a row of another tenant"
    return None
