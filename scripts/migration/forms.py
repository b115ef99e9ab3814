"""The forms in which a source may write times and vectors. A mapping states them; none is ever guessed."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EPOCH_FORMS = {"epoch-seconds": 10**6, "epoch-milliseconds": 10**3, "epoch-microseconds": 1}
"""Microseconds in the unit of each."""

TIME_FORMS = frozenset({"iso", "iso-utc", "iso-local", "date", "rfc2822", *EPOCH_FORMS})
VECTOR_FORMS = frozenset({"numbers", "float32", "float64"})

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s?(Z|[+-]\d{2}(:?\d{2})?)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
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
    for form in forms:
        moment = _reader(form, zone)(value)
        if moment is not None:
            return _checked(moment)
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
    if not isinstance(value, str) or not value[:1].isalnum() or ":" not in value or "-" in value[:5]:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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
