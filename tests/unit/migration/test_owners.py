"""Owners come from what the mapping says, and from nowhere else."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scripts.migration.failure import Code, MigrationError, Rejection
from scripts.migration.mapping import parse_mapping
from scripts.migration.owners import OwnerFinder, lookup_table, owner_finder
from scripts.migration.rules import Owner
from tests.support.migrating import MAPPING

SUB = "0b1f6c1e-7d0e-4f0b-9b0e-3c5a4d9e8b17"


def finder(table: dict[str, str] | None = None, **stated: Any) -> OwnerFinder:
    return OwnerFinder(Owner.model_validate(stated), table or {})


def code_of(finder: OwnerFinder, values: dict[str, Any]) -> Code:
    with pytest.raises(Rejection) as refused:
        finder.find(values)
    return refused.value.code


def test_a_field_holds_the_sub() -> None:
    assert finder(field="sub").find({"sub": SUB}) == SUB


def test_a_fixed_owner_has_every_row() -> None:
    assert finder(fixed=SUB).find({"sub": "user-2"}) == SUB


@pytest.mark.parametrize("other", ["user-1", "17", "ann@example.com", SUB.upper(), f"{SUB}0"])
def test_what_is_no_cognito_sub_is_an_owner_only_where_the_mapping_says_so(other: str) -> None:
    assert code_of(finder(field="sub"), {"sub": other}) is Code.BAD_OWNER
    assert finder(field="sub", any_id=True).find({"sub": other}) == other


def test_an_owner_may_be_within_another_field_and_a_whole_decimal() -> None:
    found = finder({"17": "user-1"}, lookup={"field": "user.id", "file": "f"})
    assert found.find({"user": {"id": Decimal("17.0")}}) == "user-1"
    assert code_of(found, {"user": None}) is Code.UNMAPPED_OWNER
    assert code_of(found, {"user": {"id": Decimal("17.5")}}) is Code.BAD_OWNER


def test_a_lookup_leads_from_the_old_id_to_the_sub() -> None:
    found = finder({"17": "user-1"}, lookup={"field": "uid", "file": "subs.csv"})
    assert found.find({"uid": 17}) == found.find({"uid": "17"}) == "user-1"


@pytest.mark.parametrize("values", [{"uid": "18"}, {"uid": None}, {"uid": ""}, {}])
def test_an_owner_that_is_not_in_the_lookup_is_a_reject_and_never_a_guess(values: dict[str, Any]) -> None:
    assert code_of(finder({"17": "user-1"}, lookup={"field": "uid", "file": "f"}), values) is Code.UNMAPPED_OWNER


@pytest.mark.parametrize("sub", ["a#b", "#migration", "a b", "ä", "x" * 129, " a", True, 1.5, {"a": 1}])
def test_a_sub_that_no_user_can_have_is_a_reject(sub: Any) -> None:
    assert code_of(finder(field="sub"), {"sub": sub}) is Code.BAD_OWNER


def test_a_row_reaches_the_shared_catalogue_only_where_the_mapping_says_so() -> None:
    assert code_of(finder(field="sub"), {"sub": "shared"}) is Code.BAD_OWNER
    assert finder(field="sub", allow_shared=True).find({"sub": "shared"}) == "shared"
    assert finder(fixed="shared").find({}) == "shared"


def test_a_lookup_file_is_csv_or_json(tmp_path: Path) -> None:
    (tmp_path / "subs.csv").write_text('old,sub\n17,user-1\n"a,b",user-2\n')
    (tmp_path / "subs.json").write_text('{"17": "user-1", "a,b": "user-2"}')
    expected = {"17": "user-1", "a,b": "user-2"}
    tables = [lookup_table(path.read_bytes(), path) for path in sorted(tmp_path.iterdir())]
    assert tables == [expected, expected]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("old,sub\n17\n", "line 2: needs two columns"),
        ("old,sub\n17,a\n17,b\n", "line 3: 17 has two subs"),
        ('{"17": 3}', "must have a text"),
        ('{"17": "a", "17": "b"}', "is not JSON"),
    ],
)
def test_a_lookup_file_that_is_none_is_refused(content: str, told: str) -> None:
    with pytest.raises(MigrationError, match=told):
        lookup_table(content.encode(), Path("subs"))


def test_a_lookup_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="cannot be read"):
        parse_mapping(MAPPING, tmp_path / "mapping.yaml").lookup_file("subs.csv")


def test_the_lookup_file_lies_beside_the_mapping(tmp_path: Path) -> None:
    (tmp_path / "subs.csv").write_text("old,sub\n17,user-1\n")
    text = MAPPING.replace("{field: sub, any_id: true}", "{lookup: {field: uid, file: subs.csv}}", 1)
    made = parse_mapping(text, tmp_path / "mapping.yaml")
    assert owner_finder(made.collections["people"], made).find({"uid": 17}) == "user-1"


@pytest.mark.parametrize("fixed", ['{fixed: "a#b", any_id: true}', "{fixed: user-1}"])
def test_a_fixed_owner_that_is_no_user_id_stops_before_the_first_row(fixed: str) -> None:
    made = parse_mapping(MAPPING.replace("{field: sub, any_id: true}", fixed, 1), Path("m.yaml"))
    with pytest.raises(MigrationError, match="which is no user id"):
        owner_finder(made.collections["people"], made)
