"""docs/MIGRATION.md names everything that there is."""

import re
from pathlib import Path

import pytest

from scripts.local.folder import PROJECT
from scripts.migration.failure import Code
from scripts.migration.forms import TIME_FORMS, VECTOR_FORMS
from scripts.migration.mapping import Mapping, load_mapping
from scripts.migration.options import VERBS, _parser
from scripts.migration.rules import TARGETS, Collection, FieldRule, Owner

DOCUMENT = (PROJECT / "docs" / "MIGRATION.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", list(Code))
def test_every_code_is_described(code: Code) -> None:
    assert f"| `{code}` |" in DOCUMENT


def test_no_other_code_is_described() -> None:
    described = re.findall(r"^\| `([a-z-]+)` \|", DOCUMENT.partition("## Rejects")[2].partition("\n## ")[0], re.M)
    assert set(described) == set(Code)


def test_every_option_is_described() -> None:
    options = {text for action in _parser()._actions for text in action.option_strings if text.startswith("--")}
    assert not [option for option in options - {"--help"} if option not in DOCUMENT]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_shown(verb: str) -> None:
    assert f"migrate.py {verb}" in DOCUMENT


@pytest.mark.parametrize("form", sorted(TIME_FORMS | VECTOR_FORMS))
def test_every_form_is_described(form: str) -> None:
    assert f"`{form}`" in DOCUMENT


@pytest.mark.parametrize("model", [FieldRule, Owner, Collection, Mapping])
def test_every_word_of_a_mapping_is_described(model: type[FieldRule | Owner | Collection | Mapping]) -> None:
    names = {field.alias or name for name, field in model.model_fields.items()}
    assert not [name for name in names if not re.search(rf"\b{name}\b", DOCUMENT)]


@pytest.mark.parametrize("table", TARGETS)
def test_every_field_of_a_table_is_listed(table: str) -> None:
    (line,) = re.findall(rf"^\| {table} \| (.*) \|$", DOCUMENT, re.M)
    assert line.replace("*", "").split(", ") == list(TARGETS[table])  # type: ignore[index]


def test_the_example_is_a_mapping(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.S)
    path = tmp_path / "example.yaml"
    path.write_text(example)
    (tmp_path / "subs.csv").write_text("old,sub\n")
    assert load_mapping(str(path)).digest
