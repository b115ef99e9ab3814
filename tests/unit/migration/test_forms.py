"""Times in the forms that a mapping states, and in no other."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from scripts.migration.forms import read_time

NOON = datetime(2021, 3, 4, 12, 0, tzinfo=UTC)
BERLIN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("iso", "2021-03-04T12:00:00Z"),
        ("iso", "2021-03-04T13:00:00+01:00"),
        ("iso", "2021-03-04 13:00:00.000000+01"),
        ("iso", "2021-03-04T12:00Z"),
        ("iso", NOON.astimezone(BERLIN)),
        ("iso-utc", "2021-03-04T12:00:00"),
        ("iso-utc", "2021-03-04 12:00:00.000"),
        ("iso-utc", NOON.replace(tzinfo=None)),
        ("rfc2822", "Thu, 04 Mar 2021 13:00:00 +0100"),
        ("rfc2822", "Thu, 4 Mar 2021 12:00:00 GMT"),
        ("rfc2822", "4 mar 2021 12:00 ut"),
        ("rfc2822", "Thu, 04 Mar 2021 12:00:00 Z"),
        ("rfc2822", "Thu, 04 Mar 2021 07:00:00 EST"),
        ("rfc2822", "Thu, 04 Mar 2021 05:00:00 PDT"),
        ("epoch-seconds", 1614859200),
        ("epoch-seconds", "1614859200"),
        ("epoch-seconds", Decimal("1614859200.000")),
        ("epoch-milliseconds", 1614859200000),
        ("epoch-milliseconds", 1614859200000.0),
        ("epoch-microseconds", 1614859200000000),
        ("%d.%m.%Y %H:%M", "04.03.2021 12:00"),
        ("%Y%m%dT%H%M%S%z", "20210304T130000+0100"),
    ],
)
def test_a_time_is_read_in_the_form_that_is_stated(form: str, value: Any) -> None:
    assert read_time(value, [form], None) == NOON


def test_local_times_are_those_of_their_zone_in_summer_too() -> None:
    assert read_time("2021-03-04T13:00:00", ["iso-local"], "Europe/Berlin") == NOON
    assert read_time("2021-07-04T14:00:00", ["iso-local"], "Europe/Berlin") == NOON.replace(month=7)


def test_a_date_is_its_midnight() -> None:
    assert read_time("2021-03-04", ["date"], None) == read_time(date(2021, 3, 4), ["date"], None)
    assert read_time("2021-03-04", ["date"], None) == NOON.replace(hour=0)


def test_the_first_form_that_fits_is_taken() -> None:
    forms = ["iso", "date", "epoch-milliseconds", "rfc2822"]
    values = ["2021-03-04T12:00:00Z", 1614859200000, "Thu, 04 Mar 2021 12:00:00 +0000"]
    assert {read_time(value, forms, None) for value in values} == {NOON}


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("iso", "2021-03-04T12:00:00"),
        ("iso", "2021-03-04"),
        ("iso", "04/03/2021"),
        ("iso", ""),
        ("iso", 1614859200),
        ("iso", None),
        ("iso", True),
        ("iso-utc", "2021-03-04T12:00:00Z"),
        ("iso", "2021-02-30T12:00:00Z"),
        ("iso", "2021-03-04T25:00:00Z"),
        ("date", "2021-03-04T12:00:00Z"),
        ("date", NOON),
        ("date", "2021-13-01"),
        ("rfc2822", "2021-03-04T12:00:00Z"),
        ("rfc2822", "yesterday"),
        ("rfc2822", "Thu, 04 Mar 2021 12:00:00 CET"),
        ("rfc2822", "Thu, 04 Mar 2021 12:00:00 XYZ"),
        ("rfc2822", "Thu, 04 Mar 2021 12:00:00"),
        ("rfc2822", "Thu, 04 Mar 2021 01:00:00 PM +0000"),
        ("rfc2822", "Thu, 04 Mar 2021 01:00:00 +0000 PM"),
        ("rfc2822", "Thu, 04 Mar 21 12:00:00 +0000"),
        ("rfc2822", "Thu, 04 Mar 2021 12:00:00 +1"),
        ("rfc2822", "Thu, 04 Mar 2021 12:00:00 +2500"),
        ("rfc2822", "Thu, 04 Mar 2021 12:00:00 +0160"),
        ("rfc2822", "Fri, 04 Mar 2021 12:00:00 +0000"),
        ("rfc2822", "Thu, 30 Feb 2021 12:00:00 +0000"),
        ("epoch-seconds", True),
        ("epoch-seconds", "2021-03-04"),
        ("epoch-seconds", Decimal("NaN")),
        ("epoch-seconds", 10**40),
        ("epoch-seconds", float("inf")),
        ("%d.%m.%Y", "2021-03-04"),
        ("iso", "0999-03-04T12:00:00Z"),
        ("iso", "9999-12-31T23:59:59-23:00"),
    ],
)
def test_a_time_in_another_form_is_refused(form: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"time|day|hour|month"):
        read_time(value, [form], None)
