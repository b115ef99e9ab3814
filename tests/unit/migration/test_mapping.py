"""What a mapping may say, and how its faults are told."""

from pathlib import Path

import pytest

from scripts.migration.failure import MigrationError
from scripts.migration.mapping import SHIPPED, load_mapping, parse_mapping
from scripts.migration.owners import owner_finder
from tests.support.migrating import MAPPING, mapping

SHIPPED_NAMES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def refusal(text: str) -> str:
    with pytest.raises(MigrationError) as refused:
        mapping(text)
    return str(refused.value)


def notes(fields: str = "title: title\n      created_at: created", more: str = "") -> str:
    return f"""source: old
collections:
  notes:
    into: reports
    owner: {{field: sub}}
    key: id
    fields:
      {fields}
{more}"""


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_every_shipped_mapping_is_a_mapping(name: str) -> None:
    assert load_mapping(name).collections


def test_there_are_shipped_mappings() -> None:
    assert {"k9-export", "k9-json"} <= set(SHIPPED_NAMES)


def test_a_field_may_be_named_in_short() -> None:
    title = mapping(notes()).collections["notes"].fields["title"]
    assert title.sources == ("title",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            notes("tilte: title\n      title: title\n      created_at: created"),
            "line 3: collections.notes: reports have no field tilte",
        ),
        (notes("title: title"), "reports need created_at"),
        (
            notes("title: {from: a, value: b}\n      created_at: c"),
            "line 8: collections.notes.fields.title: needs exactly",
        ),
        (notes("title: {from: a, form: iso}\n      created_at: {from: c, form: isoo}"), "form isoo is not known"),
        (
            notes("title: {from: a, frm: b}\n      created_at: c"),
            "line 8: collections.notes.fields.title.frm: is not known",
        ),
        (notes("title: {from: a, type: number}\n      created_at: c"), "title is of type text"),
        (notes("title: {rest: true}\n      created_at: c"), "title cannot have members or rest"),
        (notes("title: {from: t, keep: true}\n      created_at: c"), "keep, which is for id alone"),
        (notes().replace("    key: id\n", ""), "needs key"),
        (notes().replace("{field: sub}", "{field: sub, fixed: a}"), "needs exactly one of field, lookup and fixed"),
        (notes().replace("{field: sub}", "{}"), "needs exactly one of field, lookup and fixed"),
        (notes().replace("source: old", "source: Old Thing"), "line 1: source: must be lower-case"),
        (notes().replace("{field: sub}", "{field: sub, allow_shared: true}"), "reports cannot be shared"),
        (notes().replace("{field: sub}", "{fixed: shared}"), "reports cannot be shared"),
        (MAPPING.replace("{field: sub, any_id: true}", "{fixed: shared}", 1), "users cannot all be the shared"),
        (
            notes("title: t\n      created_at: {from: c, default: yesterday}"),
            "line 9: collections.notes.fields.created_at.default: is not a time in the form iso.",
        ),
        (notes("title: t\n      created_at: {from: c, default: 2021-03-04}"), "created_at.default: is not a time"),
        (notes("title: t\n      created_at: {from: c, default: null}"), "created_at.default: is not a time"),
        (notes("title: {value: [a]}\n      created_at: c"), "title.value: is a list, and not a text"),
        (
            notes("title: t\n      favorites: {from: f, default: 3}\n      created_at: c"),
            "favorites.default: is a number",
        ),
        (
            notes(
                "title: t\n      reference: {members: {n: {from: n, type: number, default: x}}}\n      created_at: c"
            ),
            "line 9: collections.notes.fields.reference.members.n.default: is a text that is not a number",
        ),
        (notes(more="collections: {}"), "line 10: collections is there twice"),
        ("- a", "is not a mapping"),
        ("a: [", "is not YAML"),
        (
            notes("title: t\n      created_at: {from: c, form: [epoch-seconds, epoch-milliseconds]}"),
            "two that the same",
        ),
        (notes("title: t\n      created_at: {from: c, form: ['%d/%m/%Y', '%m/%d/%Y']}"), "two that the same value"),
        (
            notes("title: t\n      created_at: {from: c, form: [iso-utc, iso-local], zone: Europe/Berlin}"),
            "one or the other",
        ),
        (notes("title: t\n      created_at: {from: c, form: iso-local}"), "iso-local needs a zone"),
        (notes("title: t\n      created_at: {from: c, form: iso-local, zone: Mars/Base}"), "Mars/Base is no time zone"),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, told: str) -> None:
    assert told in refusal(text)


def test_every_fault_is_told_at_once() -> None:
    told = refusal(notes().replace("source: old", "source: O").replace("into: reports", "into: nowhere"))
    assert len(told.splitlines()) == 2


def test_a_mapping_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(MigrationError, match="k9-export"):
        load_mapping("k9-xml")


def test_what_becomes_of_each_collection_is_said_or_refused() -> None:
    text = notes().replace("  notes:", '  "note*":') + "ignore_collections: [audit_*]\n"
    made = mapping(text)
    assert made.collection("notes_2019") is made.collections["note*"]
    assert made.collection("audit_log") is None
    with pytest.raises(MigrationError, match="does not say what becomes of the collection cats"):
        made.collection("cats")


def test_a_collection_that_fits_two_patterns_is_refused() -> None:
    text = notes() + notes().split("collections:\n")[1].replace("  notes:", '  "n*":')
    text = text.replace("  notes:", '  "*s":')
    with pytest.raises(MigrationError, match=r"fits \*s and n\*"):
        mapping(text).collection("notes")


def test_a_collection_that_must_be_there_is_missed() -> None:
    assert mapping(notes()).unmet(["other"]) == ["notes"]
    assert mapping(MAPPING).unmet([]) == []


def test_the_digest_is_that_of_the_content_and_of_lookup_files(tmp_path: Path) -> None:
    text = notes().replace("{field: sub}", "{lookup: {field: sub, file: subs.csv}}")
    file = tmp_path / "subs.csv"
    file.write_text("old,sub\n1,a\n")
    first = parse_mapping(text, tmp_path / "m.yaml").digest
    assert parse_mapping(f"# a comment\n{text}", tmp_path / "m.yaml").digest == first
    file.write_text("old,sub\n1,b\n")
    assert parse_mapping(text, tmp_path / "m.yaml").digest != first


def test_the_digest_is_that_of_the_lookup_file_that_was_used(tmp_path: Path) -> None:
    text = notes().replace("{field: sub}", "{lookup: {field: sub, file: subs.csv}}")
    file = tmp_path / "subs.csv"
    file.write_text("old,sub\n1,a\n")
    first, used = parse_mapping(text, tmp_path / "m.yaml").digest, parse_mapping(text, tmp_path / "m.yaml")
    assert owner_finder(used.collections["notes"], used).find({"sub": 1}) == "a"
    file.write_text("old,sub\n1,b\n")
    assert used.digest == first


def test_the_digest_tells_a_null_default_from_none() -> None:
    without = notes("title: title\n      reference: {from: r}\n      created_at: created")
    with_null = without.replace("{from: r}", "{from: r, default: null}")
    assert mapping(without).digest != mapping(with_null).digest
