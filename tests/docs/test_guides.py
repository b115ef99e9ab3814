"""What the guides list is what there is: problem types, limits, quotas, reasons of a 401."""

import importlib
import pkgutil
import re
from datetime import timedelta
from functools import reduce
from operator import getitem
from types import ModuleType
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter

import handlers
import shared
from scripts.deployment.options import _parser
from scripts.local.template import Template
from shared.errors import ApiError
from tests.support.block_checks import problem_types
from tests.support.markdown import Page, code

ERRORS = Page.read("docs/guides/errors.md")
LIMITS = Page.read("docs/guides/limits.md")
AUTHENTICATION = Page.read("docs/guides/authentication.md")

_UNITS = {
    "": 1,
    "characters": 1,
    "levels": 1,
    "pixels": 1,
    "second": 1,
    "seconds": 1,
    "days": 86_400,
    "KB": 1024,
    "MB": 1024**2,
}
_INTERNAL = {"MAX_COMPONENT_TEXT"}
"""Limits that nobody can meet from outside."""


class TestErrors:
    def test_every_problem_has_a_section_and_no_other(self) -> None:
        slugs = re.findall(r"^## ([a-z-]+)$", ERRORS.prose, re.M)
        assert sorted(slugs) == sorted({kind.slug for kind in problem_types()})

    @pytest.mark.parametrize("kind", problem_types(), ids=lambda kind: kind.slug)
    def test_a_section_has_the_status_an_example_and_a_cure(self, kind: type[ApiError]) -> None:
        section = re.split(r"^## ", ERRORS.text.partition(f"\n## {kind.slug}\n")[2], maxsplit=1, flags=re.M)[0]
        assert section.strip().startswith(f"**{kind.status}.** ")
        assert f'"urn:k9:problem:{kind.slug}"' in section
        assert "**Cure.**" in section


class TestLimits:
    @pytest.mark.parametrize("row", LIMITS.tables("limit"), ids=lambda row: row[0])
    def test_a_limit_is_its_constants(self, row: list[str]) -> None:
        _, stated, constant = row
        number, _, unit = stated.partition(" ")
        assert int(number.replace(",", "")) * _UNITS[unit] == _value(constant)

    def test_no_limit_is_left_out(self) -> None:
        listed = {_dotted(constant).rpartition(".")[2] for _, _, constant in LIMITS.tables("limit")}
        assert _public_limits() - _INTERNAL <= listed

    def test_the_quotas_are_the_templates(self) -> None:
        stated = {route: (int(rate), int(burst)) for route, rate, burst in LIMITS.tables("route")}
        api = Template.load().document["Resources"]["HttpApi"]["Properties"]
        settings = {f"`{route}`": setting for route, setting in api["RouteSettings"].items()}
        settings["the API"] = api["DefaultRouteSettings"]
        limits = {name: (each["ThrottlingRateLimit"], each["ThrottlingBurstLimit"]) for name, each in settings.items()}
        assert stated == limits

    @pytest.mark.parametrize("row", LIMITS.tables("function"), ids=lambda row: row[0])
    def test_a_functions_limits_are_the_templates(self, row: list[str]) -> None:
        _, stated, path = row
        template: Any = Template.load().document
        assert int(stated.replace(",", "")) == int(reduce(getitem, code(path).split("."), template))


class TestAuthentication:
    def test_the_parameters_are_the_templates_and_the_options_those_of_deploying(self) -> None:
        rows = AUTHENTICATION.tables("parameter")
        assert len(rows) >= 3
        assert {code(parameter) for parameter, _, _ in rows} <= set(Template.load().document["Parameters"])
        named = {option for _, cell, _ in rows for option in re.findall(r"--[a-z-]+", cell)}
        assert named <= set(_parser()._option_string_actions)

    def test_every_reason_of_a_401_is_explained(self) -> None:
        listed = {code(cell) for row in AUTHENTICATION.tables("reason") for cell in row[0].split(", ")}
        documented = re.search(
            r"reason for the log:\n(.*)\.", str(importlib.import_module("shared.auth").__doc__), re.S
        )
        assert documented
        assert listed == set(documented[1].replace("\n", " ").split(", "))


def _dotted(cell: str) -> str:
    return code(cell.removesuffix(" (default)"))


def _value(cell: str) -> float:
    """What a cell's constant comes to: a number, a pattern's longest text, or a model field's bound or default."""
    owner, name = _resolve(_dotted(cell))
    if isinstance(owner, type) and issubclass(owner, BaseModel):
        field = owner.model_fields[name]
        if cell.endswith(" (default)"):
            return int(field.default)
        kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        return _bound(TypeAdapter(kind).json_schema())
    found = getattr(owner, name)
    if isinstance(found, str | re.Pattern):
        return max(length for length in range(1, 1000) if re.fullmatch(found, "a" * length))
    return found.total_seconds() if isinstance(found, timedelta) else float(found)


def _bound(schema: dict[str, Any]) -> int:
    """The one upper bound in a field's JSON schema."""
    (bound,) = {
        part[key] for part in [schema, *schema.get("anyOf", [])] for key in ("maxLength", "maximum") if key in part
    }
    return int(bound)


def _resolve(dotted: str) -> tuple[ModuleType | type, str]:
    """What holds the last name: a module, or a class in one."""
    owner, _, name = dotted.rpartition(".")
    try:
        return importlib.import_module(owner), name
    except ModuleNotFoundError:
        module, _, kind = owner.rpartition(".")
        return getattr(importlib.import_module(module), kind), name


def _public_limits() -> set[str]:
    """The constants called MAX_... of the models, of requests and of handlers."""
    found = set()
    for package in (shared, handlers):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if re.match(r"shared\.(models|events)|handlers\.", info.name):
                module = importlib.import_module(info.name)
                found |= {
                    name for name, value in vars(module).items() if name.startswith("MAX_") and type(value) is int
                }
    return found
