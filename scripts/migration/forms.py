"""The forms in which a source may write times and vectors. A mapping states them; none is ever guessed."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EPOCH_FORMS = {"epoch-seconds": 10**6, "epoch-milliseconds": 10**3, "epoch-microseconds": 1}
"""Microseconds in the unit of each."""

TIME_FORMS = frozenset({"iso", "iso-utc", "iso-local", "date", "rfc2822", *EPOCH_FORMS})
VECTOR_FORMS = frozenset({"numbers", "float32", "float64"})

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s?(Z|[+-]\d{2}(:?\d{2})?)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_RFC2822 = re.compile(
    r"(?:(?P<weekday>[A-Z]{3}), ?)?(?P<day>\d{1,2}) (?P<month>[A-Z]{3}) (?P<year>\d{4}) "
    r"(?P<time>\d{2}:\d{2}(?::\d{2})?) (?P<zone>[+-]\d{2}[0-5]\d|[A-Z]{1,3})",
    re.ASCII | re.IGNORECASE,
)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_AMERICAN = {"edt": -4, "est": -5, "cdt": -5, "cst": -6, "mdt": -6, "mst": -7, "pdt": -7, "pst": -8}
_ZONES = {"gmt": 0, "ut": 0, "z": 0, **_AMERICAN}
"""The zones that RFC 2822 has names for, in hours; other names say nothing of their offset (section 4.3)."""

_SHORT_OFFSET = re.compile(r"([+-]\d{2})$")
_FIRST, _EARLIEST_YEAR = datetime(1970, 1, 1, tzinfo=UTC), 1000


def zone_named(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{name} is no time zone; one looks like Europe/Berlin") from error
    return name


def check_forms(forms: Sequence[str], type_: str | None, zone: str | None) -> None:
    """Raises ValueError for forms that do not go with the type, or of which two could read one value differently."""
    if type_ == "vector":
        _check_known(forms, VECTOR_FORMS, ())
        return
    if type_ not in ("timestamp", "date"):
        return
    _check_known(forms, TIME_FORMS, [form for form in forms if "%" in form])
    if len([form for form in forms if form in EPOCH_FORMS]) > 1 or len([form for form in forms if "%" in form]) > 1:
        raise ValueError("form names two that the same value could be read by; choose one of them")
    if {"iso-utc", "iso-local"} <= set(forms):
        raise ValueError("form names both iso-utc and iso-local: a time without an offset is one or the other")
    if ("iso-local" in forms) != (zone is not None):
        raise ValueError("zone goes with the form iso-local, and iso-local needs a zone")


def _check_known(forms: Sequence[str], known: frozenset[str], patterns: Sequence[str]) -> None:
    unknown = [form for form in forms if form not in known and form not in patterns]
    if unknown:
        raise ValueError(f"form {unknown[0]} is not known; there are {', '.join(sorted(known))}")


def read_time(value: object, forms: Sequence[str], zone: str | None) -> datetime:
    """The moment, in UTC. Raises ValueError for a value that none of the forms can read."""
    return _checked(_as_written(value, forms, zone))


def read_day(value: object, forms: Sequence[str], zone: str | None) -> date:
    """The day that the value itself names, in its own offset. Raises ValueError as `read_time` does."""
    moment = _as_written(value, forms, zone)
    _checked(moment)
    return moment.date()


def _as_written(value: object, forms: Sequence[str], zone: str | None) -> datetime:
    for form in forms:
        moment = _reader(form, zone)(value)
        if moment is not None:
            return moment
    raise ValueError(f"is not a time in the form {' or '.join(forms)}")


def _checked(moment: datetime) -> datetime:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is a time beyond the calendar") from error
    if moment.year < _EARLIEST_YEAR:
        raise ValueError(f"is a time before the year {_EARLIEST_YEAR}")
    return moment


def _reader(form: str, zone: str | None) -> Callable[[object], datetime | None]:
    if form in EPOCH_FORMS:
        return lambda value: _of_epoch(value, EPOCH_FORMS[form])
    if "%" in form:
        return lambda value: _of_pattern(value, form)
    return {
        "iso": _of_iso,
        "iso-utc": lambda value: _of_naive(value, UTC),
        "iso-local": lambda value: _of_naive(value, ZoneInfo(zone or "")),
        "date": _of_date,
        "rfc2822": _of_rfc2822,
    }[form]


def _parsed(value: object) -> datetime | None:
    """A date-time, as the source gave it or as ISO 8601 writes it; finer than microseconds is cut off."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _ISO.fullmatch(value):
        return datetime.fromisoformat(_SHORT_OFFSET.sub(r"\1:00", value.replace(" ", "T", 1).replace(" ", "")))
    return None


def _of_iso(value: object) -> datetime | None:
    moment = _parsed(value)
    return moment if moment is not None and moment.tzinfo is not None else None


def _of_naive(value: object, zone: tzinfo) -> datetime | None:
    moment = _parsed(value)
    return moment.replace(tzinfo=zone) if moment is not None and moment.tzinfo is None else None


def _of_date(value: object) -> datetime | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, str) and _DATE.fullmatch(value):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return None


def _of_rfc2822(value: object) -> datetime | None:
    """As RFC 2822 has it, with a year of four digits and a zone whose offset is known; nothing is filled in."""
    parts = _RFC2822.fullmatch(value.strip()) if isinstance(value, str) else None
    if parts is None:
        return None
    try:
        day = date(int(parts["year"]), _MONTHS.index(parts["month"].lower()) + 1, int(parts["day"]))
        clock = time.fromisoformat(parts["time"])
        moment = datetime.combine(day, clock, timezone(_offset(parts["zone"])))
    except (KeyError, ValueError):
        return None
    weekday = parts["weekday"]
    return moment if weekday is None or weekday.lower() == _WEEKDAYS[day.weekday()] else None


def _offset(zone: str) -> timedelta:
    if zone[0] not in "+-":
        return timedelta(hours=_ZONES[zone.lower()])
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
    return -offset if zone[0] == "-" else offset


def _of_epoch(value: object, microseconds: int) -> datetime | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    exact = Decimal(repr(value) if isinstance(value, float) else value)
    try:
        return _FIRST + timedelta(microseconds=int(exact * microseconds))
    except (ArithmeticError, ValueError) as error:
        raise ValueError("is a time beyond the calendar") from error


def _of_pattern(value: object, pattern: str) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.strptime(value, pattern)  # noqa: DTZ007 - what has no offset is UTC
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
