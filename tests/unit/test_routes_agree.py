"""The template, the registered endpoints and the README name the same routes."""

import importlib
import re
from pathlib import Path

import handlers
from scripts.local.template import Route, Template
from shared.http import ENDPOINTS, Endpoint

ROOT = Path(__file__).parents[2]
README_ROW = re.compile(r"^\|\s*`(GET|POST|PUT|PATCH|DELETE) (/[^`?\s]*)`\s*\|(.*)", re.MULTILINE)


def registered() -> dict[tuple[str, str], Endpoint]:
    handlers.load_all()
    return {
        key: endpoint for key, endpoint in ENDPOINTS.items() if endpoint.function.__module__.startswith("handlers.")
    }


def in_template() -> dict[tuple[str, str], Route]:
    return {(route.method, route.path): route for route in Template.load().routes()}


def in_readme() -> dict[tuple[str, str], str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return {(method, path): does for method, path, does in README_ROW.findall(text)}


def test_there_are_routes() -> None:
    assert len(registered()) >= 12


def test_the_template_has_the_registered_routes() -> None:
    assert in_template().keys() == registered().keys()


def test_the_readme_has_the_registered_routes() -> None:
    assert in_readme().keys() == registered().keys()


def test_no_route_is_in_the_template_twice() -> None:
    keys = [route.key for route in Template.load().routes()]
    assert len(keys) == len(set(keys))


def test_a_functions_handler_is_the_endpoint_of_its_route() -> None:
    """The string that Lambda resolves: `handlers.reports.get_report.handler`, below src."""
    for key, route in in_template().items():
        module, _, name = route.handler.rpartition(".")
        assert getattr(importlib.import_module(module), name) is registered()[key], route.handler


def test_the_same_routes_are_open() -> None:
    open_in_code = {key for key, endpoint in registered().items() if endpoint.is_open}
    assert {key for key, route in in_template().items() if route.open} == open_in_code
    assert {key for key, does in in_readme().items() if does.strip().startswith("open")} == open_in_code
    paths = ("/health", "/openapi.json", "/docs", "/docs/{file}", "/avatars/{owner}/{avatar_id}")
    assert open_in_code == {("GET", path) for path in paths}


def test_every_handler_file_says_its_route_first() -> None:
    for key, endpoint in registered().items():
        module = importlib.import_module(endpoint.function.__module__)
        assert module.__doc__ == " ".join(key)
