"""What docs/DESIGN_DECISIONS.md says of each route is what the template allows and docs/COST.md counts."""

import re
from typing import Any

import pytest

from scripts.local.template import Template
from tests.support.markdown import Page, code

ROUTE, DOES, _, _, WRITES, READS = range(6)
DYNAMODB = frozenset(
    {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "BatchGetItem", "BatchWriteItem", "Scan"}
)
PATTERNS = {row[ROUTE]: row for row in Page.read("docs/DESIGN_DECISIONS.md").tables("route")}
COUNTED = {row[0]: row[1:3] for row in Page.read("docs/COST.md").tables("route")}
"""Write and read units of each case, by what the table calls it."""


def route_of(cell: str) -> str:
    """`GET /health`, whatever case of it the cell is about."""
    return code(cell.partition(": ")[0])


def allowed() -> dict[str, set[str]]:
    """DynamoDB's operations that the role of each route's function has."""
    template = Template.load()
    roles = template.resources("AWS::IAM::Role")
    return {route.key: _actions(roles[route.function.removesuffix("Function") + "Role"]) for route in template.routes()}


def _actions(role: dict[str, Any]) -> set[str]:
    policies = [policy["PolicyDocument"]["Statement"] for policy in role["Properties"].get("Policies", [])]
    named = {action for statements in policies for statement in statements for action in statement["Action"]}
    return {action.removeprefix("dynamodb:") for action in named if action.startswith("dynamodb:")}


ALLOWED = allowed()


def test_every_route_is_there_once() -> None:
    assert sorted(map(route_of, PATTERNS)) == sorted(ALLOWED)


@pytest.mark.parametrize("cell", PATTERNS)
def test_a_route_does_what_its_role_may(cell: str) -> None:
    row = PATTERNS[cell]
    assert DYNAMODB & set(re.findall(r"`(\w+)`", row[DOES])) == ALLOWED[route_of(cell)]


@pytest.mark.parametrize("cell", PATTERNS)
def test_its_units_are_those_that_were_counted(cell: str) -> None:
    row = PATTERNS[cell]
    assert [row[WRITES], row[READS]] == COUNTED[cell]


def test_every_route_was_counted() -> None:
    assert not PATTERNS.keys() - COUNTED.keys()
