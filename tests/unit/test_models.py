"""The models: what a client may send, what a row is, what an answer shows."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from shared.models import DBReport, DBUser
from shared.models.fields import UNPRINTABLE, new_id, now, parse_timestamp, printable, timestamp, today
from shared.models.report import (
    MAX_FAVORITES,
    CreateReport,
    Favorites,
    ListReports,
    ReplaceFavorites,
    Report,
    ReportList,
    UpdateReport,
)
from shared.models.user import Profile, UpdateProfile

REQUESTS: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (CreateReport, {"title": "T"}),
    (UpdateReport, {"title": "T"}),
    (ReplaceFavorites, {"favorites": []}),
    (UpdateProfile, {"name": "N"}),
    (ListReports, {"limit": 1}),
]
NOT_A_CLIENTS = ("user_id", "id", "created_at", "updated_at", "version", "groups", "write_1", "create_write")

Table = list[tuple[tuple[type[BaseModel], ...], str, list[object]]]
EITHER = (CreateReport, UpdateReport)

LAPTOPS = f"http://localhost:3001/avatars/{'0' * 32}/{'0' * 46}"
NOT_LAPTOPS = [LAPTOPS.replace("localhost", "x"), f"{LAPTOPS}/", "http://localhost:3001/x"]

ACCEPTED: Table = [
    (EITHER, "title", ["x", "é" * 200, " x ", "\U0001f468\u200d\U0001f469\u200d\U0001f467"]),
    (EITHER, "author", ["x", "x" * 200]),
    (EITHER, "date", ["2024-02-29", "0001-01-01", "9999-12-31"]),
    (EITHER, "reference", [None, {}, {"": [None]}]),
    ((CreateReport,), "author", [None]),
    ((CreateReport,), "date", [None]),
    ((ReplaceFavorites,), "favorites", [[], ["x"] * MAX_FAVORITES, ["x" * 256, "a/b", "ü"]]),
    ((UpdateProfile,), "name", ["x", "x" * 200, None]),
    ((UpdateProfile,), "email", ["a@b", '"odd@local"@example.com', None]),
    (
        (UpdateProfile,),
        "avatar_url",
        ["https://example.com/a.png?x=1#y", "https://" + "x" * 2040, LAPTOPS, None],
    ),
    ((UpdateProfile,), "preferences", [{}, {"a": None}, None]),
    ((ListReports,), "limit", [1, 100, "100"]),
    ((ListReports,), "cursor", ["x" * 1024, None]),
    ((ListReports,), "include_total", ["true", "false", True]),
]

BAD_DATES = ["", "2025-02-29", "20250101", "2025-1-1", "2025-01-01T00:00:00", "2025-W01-1", 20250101, "0000-01-01"]
BAD_EMAILS = ["", "ab", "a@@b", "a\x00@b", "a@", "@b", "a b@c", "a@b\n", "x" * 319 + "@b", 7]
BAD_URLS = ["", "http://x", "https://", "https:///x", "https://?x", "javascript:alert(1)", "https://a b", "https://x\n"]

REFUSED: Table = [
    (EITHER, "title", ["", " ", "\u00a0", "x" * 201, 7, None, ["x"], "\ud800", "a\x00b", "a\nb", "\x7f"]),
    (EITHER, "author", ["", "\t", "x" * 201, 7]),
    (EITHER, "date", [*BAD_DATES, "\u0662\u0660\u0662\u0665-01-01"]),
    (EITHER, "reference", [[], "x", 1, True]),
    ((UpdateReport,), "author", [None]),
    ((UpdateReport,), "date", [None]),
    ((ReplaceFavorites,), "favorites", [[str(number) for number in range(501)], None, "abc", {"a": 1}, {"a"}]),
    ((UpdateProfile,), "name", ["", " ", "x" * 201, 7]),
    ((UpdateProfile,), "email", [*BAD_EMAILS]),
    (
        (UpdateProfile,),
        "avatar_url",
        [
            *BAD_URLS,
            *NOT_LAPTOPS,
            " https://x",
            "https://" + "x" * 2041,
            7,
        ],
    ),
    ((UpdateProfile,), "preferences", [[], "x", 1]),
    ((ListReports,), "limit", [0, 101, -1, "x", 1.5, None]),
    ((ListReports,), "cursor", ["x" * 1025]),
    ((ListReports,), "include_total", ["perhaps", None]),
]


def each(table: Table) -> list[tuple[type[BaseModel], str, object]]:
    return [(model, member, value) for models, member, values in table for model in models for value in values]


def refused_at(model: type[BaseModel], document: dict[str, Any]) -> list[tuple[int | str, ...]]:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(document)
    return [fault["loc"] for fault in refused.value.errors()]


@pytest.mark.parametrize(("model", "valid"), REQUESTS, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("member", NOT_A_CLIENTS)
def test_no_request_takes_a_member_that_it_does_not_declare(
    model: type[BaseModel], valid: dict[str, Any], member: str
) -> None:
    model.model_validate(valid)
    assert refused_at(model, {**valid, member: "x"}) == [(member,)]


@pytest.mark.parametrize(("model", "member", "value"), each(ACCEPTED), ids=lambda value: ascii(value)[:20])
def test_accepted(model: type[BaseModel], member: str, value: object) -> None:
    valid = {"title": "T"} if model is CreateReport else {}
    assert member in model.model_validate({**valid, member: value}).model_fields_set


@pytest.mark.parametrize(("model", "member", "value"), each(REFUSED), ids=lambda value: ascii(value)[:20])
def test_refused(model: type[BaseModel], member: str, value: object) -> None:
    valid = {"title": "T"} if model is CreateReport else {}
    assert {fault[0] for fault in refused_at(model, {**valid, member: value})} == {member}


@pytest.mark.parametrize("kind", ["Cc", "Cf", "Zl", "Zp", "Zs", "Co", "Cs"])
def test_what_cannot_be_printed_in_the_basic_multilingual_plane_is_refused(kind: str) -> None:
    characters = [chr(point) for point in range(0x10000) if unicodedata.category(chr(point)) == kind]
    accepted = [character for character in characters if is_printable(character)]
    assert accepted == ([" "] if kind == "Zs" else [])


def test_what_can_be_printed_is_taken() -> None:
    """As far as this Python's Unicode knows it; later ones only add to it."""
    assigned = [chr(point) for point in range(0x110000) if unicodedata.category(chr(point))[0] not in "CZ"]
    assert [character for character in assigned if not is_printable(character)] == []


def test_the_rule_reads_the_same_as_a_pattern_of_the_document() -> None:
    pattern = re.compile(f"^[^{UNPRINTABLE}]*$")
    characters = [chr(point) for point in range(0x10000) if not 0xD800 <= point < 0xE000 and chr(point) != "\n"]
    assert all(bool(pattern.search(character)) == is_printable(character) for character in characters)


def is_printable(text: str) -> bool:
    try:
        return printable(text) == text
    except ValueError:
        return False


@pytest.mark.parametrize(("value", "fault"), [("", 1), ("x" * 257, 1), ("a\x00", 1), (7, 1), ("\u200b", 1)])
def test_a_bad_product_id_is_told_by_its_place(value: object, fault: int) -> None:
    assert refused_at(ReplaceFavorites, {"favorites": ["ok", value]}) == [("favorites", fault)]


@pytest.mark.parametrize("model", [UpdateReport, UpdateProfile])
def test_a_patch_names_something(model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match=r"names nothing to change; it may name .*, "):
        model.model_validate({})


class TestRows:
    def test_a_report_has_defaults(self) -> None:
        report = DBReport(user_id="alice", title="T")
        assert (report.author, report.reference, report.favorites, report.version) == ("", None, set(), 1)
        assert report.updated_at == report.created_at
        assert report.date == today()
        assert len({DBReport(user_id="alice", title="T").id for _ in range(9)}) == 9

    def test_a_user_has_defaults(self) -> None:
        user = DBUser(user_id="alice")
        assert (user.name, user.email, user.avatar_url, user.preferences, user.models) == (None, None, None, {}, {})
        assert user.updated_at == user.created_at

    @pytest.mark.parametrize("row", [{}, {"user_id": ""}, {"user_id": "x" * 129}, {"user_id": "a", "write_1": "w"}])
    def test_a_row_without_a_proper_owner_is_refused(self, row: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            DBReport(title="T", **row)
        with pytest.raises(ValidationError):
            DBUser(**row)

    @pytest.mark.parametrize("time", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "yesterday"])
    def test_a_row_without_a_proper_time_is_refused(self, time: str) -> None:
        with pytest.raises(ValidationError, match=r"must be within the years 1 to 9999|Invalid isoformat"):
            DBUser(user_id="alice", created_at=time)

    def test_a_report_holds_what_can_be_stored(self) -> None:
        with pytest.raises(ValidationError, match="outside the range"):
            DBReport(user_id="alice", title="T", reference={"n": float("inf")})
        with pytest.raises(ValidationError, match="at most 500"):
            DBReport(user_id="alice", title="T", favorites={str(number) for number in range(501)})


class TestAnswers:
    def test_a_report_shows_no_owner_and_no_bookkeeping(self) -> None:
        report = DBReport(user_id="alice", title="T", favorites={"b", "a", "c"})
        shown = Report.of(report).model_dump()
        assert shown.keys() == DBReport.model_fields.keys() - {"user_id"}
        assert shown["favorites"] == ["a", "b", "c"]

    def test_a_profile_shows_no_models(self) -> None:
        shown = Profile.of(DBUser(user_id="alice", name="A"), "https://api.example.com").model_dump()
        assert shown.keys() == DBUser.model_fields.keys() - {"models", "avatar_as_of"}

    def test_favorites_show_the_ids_alone(self) -> None:
        shown = Favorites.of(DBReport(user_id="alice", title="T", favorites={"b", "a"}, version=3))
        assert (shown.version, shown.model_dump()) == (3, {"favorites": ["a", "b"]})

    def test_a_total_is_shown_where_it_was_counted(self) -> None:
        page: dict[str, Any] = {"reports": [], "next_cursor": None, "has_more": False}
        assert ReportList(**page).model_dump() == page
        assert ReportList(**page, total=0).model_dump() == {**page, "total": 0}


MOMENTS = st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9999, 1, 1))  # noqa: DTZ001 - made aware below


def zone(hours: int) -> timezone:
    return timezone(timedelta(hours=hours))


MOMENTS = st.datetimes(timezones=st.builds(zone, st.integers(-12, 12))).filter(lambda at: 1000 < at.year < 9999)


class TestTime:
    @given(moment=st.datetimes(timezones=st.builds(zone, st.integers(-12, 12))).filter(lambda at: 1 < at.year < 9999))
    def test_text_order_is_time_order(self, moment: datetime) -> None:
        """Across time zones, and down to the microsecond."""
        text = timestamp(moment)
        assert parse_timestamp(text) == moment
        assert timestamp(moment + timedelta(microseconds=1)) > text
        assert len(text) == 27

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "2026-01-01",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.000000+00:00",
            "2026-1-1T0:0:0.5Z",
            "2026-01-01t00:00:00.000000z",
            "\u0662026-01-01T00:00:00.000000Z",
            "2026-01-01T00:00:00.000000Z\n",
        ],
    )
    def test_another_text_is_no_timestamp(self, text: str) -> None:
        with pytest.raises(ValueError, match="not a moment in UTC with microseconds"):
            parse_timestamp(text)

    @pytest.mark.parametrize("text", ["2026-02-30T00:00:00.000000Z", "2026-01-01T24:00:00.000000Z"])
    def test_a_moment_that_never_was_is_no_timestamp(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"does not match|out of range"):
            parse_timestamp(text)

    def test_the_first_year_has_four_digits(self) -> None:
        assert timestamp(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00.000000Z"

    def test_now_is_in_utc(self) -> None:
        before = datetime.now(UTC) - timedelta(seconds=1)
        assert before < parse_timestamp(now()) < datetime.now(UTC) + timedelta(seconds=1)

    def test_ids_are_uuids(self) -> None:
        assert len(new_id()) == 36


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678901Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000000Z"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02", "2026-01-02T00:00:00.000000Z"),
    ],
)
def test_a_rows_times_are_kept_in_one_form(written: str, kept: str) -> None:
    """Text order must be time order; a script's rows may come with other spellings."""
    report = DBReport(user_id="u", title="T", created_at=written)
    assert (report.created_at, report.updated_at) == (kept, kept)


@pytest.mark.parametrize("written", ["", "9999", "yesterday", "2026-13-01T00:00:00Z"])
def test_a_rows_time_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        DBReport(user_id="u", title="T", created_at=written)
