"""What a block can be checked for without being run: JSON, and the form that its mark says it has."""

import json

from pydantic import TypeAdapter

from scripts.migration.mapping import load_mapping
from shared.errors import ApiError
from shared.http import ENDPOINTS
from shared.models.filters import parse_filter
from tests.support.markdown import Block
from tests.support.reader import Scene


def check(block: Block, scene: Scene) -> None:
    """Raises ValueError or KeyError for what is wrong in itself."""
    if block.language == "json":
        json.loads(block.text)
    of_mark = _CHECKS.get(block.mark.kind) if block.mark else None
    if of_mark:
        of_mark(block, scene)


def _check_answer(block: Block, scene: Scene) -> None:
    assert block.mark
    method, path = block.mark.value.split(" ")
    model = ENDPOINTS[method, path].function.__annotations__["return"]
    TypeAdapter(model).validate_python(json.loads(block.text), strict=True)


def _check_problem(block: Block, scene: Scene) -> None:
    problem = json.loads(block.text)
    slug = problem["type"].removeprefix("urn:k9:problem:")
    kinds = {kind.slug: kind for kind in problem_types()}
    if (problem["title"], problem["status"]) != (kinds[slug].title, kinds[slug].status):
        raise ValueError(f"{slug} has another title or status")
    expected = {"type", "title", "status", "detail", "instance", "request_id"}
    if problem.keys() - {"errors"} != expected:
        raise ValueError(f"a problem has {sorted(expected)}, and errors where there are any")


def _check_filter(block: Block, scene: Scene) -> None:
    parse_filter(json.loads(block.text))


def _check_mapping(block: Block, scene: Scene) -> None:
    path = scene.folder / "mapping.yaml"
    path.write_text(block.text, encoding="utf-8")
    (scene.folder / "subs.csv").write_text("old,sub\n")
    load_mapping(str(path))


_CHECKS = {"answer": _check_answer, "problem": _check_problem, "filter": _check_filter, "mapping": _check_mapping}


def problem_types() -> list[type[ApiError]]:
    """Every error that an answer can have."""
    found: list[type[ApiError]] = []
    waiting = list(ApiError.__subclasses__())
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting.extend(kind.__subclasses__())
    return [kind for kind in found if kind.__module__ == ApiError.__module__]
