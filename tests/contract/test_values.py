"""Every JSON value that a client may send comes back equal, from every engine."""

import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.database import DBReport, ReportRepository
from shared.models import json_text
from shared.models.json_value import MAX_DEPTH
from tests.contract.differences import MOTO_MISREADS_EMPTY_NAMES, unlike
from tests.support.documents import documents

ENGINE_PER_TEST = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def round_trip(reports: ReportRepository, document: dict[str, Any]) -> Any:
    """The document as a client gets it back: stored, read, written as JSON text, parsed exactly."""
    owner = str(uuid.uuid4())
    stored = reports.create_report(DBReport(user_id=owner, title="T", reference=document))
    return json_text.loads(json_text.dumps(reports.get_report(stored.id, owner).reference))


def as_sent(document: dict[str, Any]) -> Any:
    return json_text.loads(json_text.dumps(document))


@ENGINE_PER_TEST
@given(document=documents(NAMES))
def test_every_document_survives(reports: ReportRepository, document: dict[str, Any]) -> None:
    assert round_trip(reports, document) == as_sent(document)


@unlike(MOTO_MISREADS_EMPTY_NAMES)
@ENGINE_PER_TEST
@given(document=documents())
def test_every_document_survives_with_empty_names(reports: ReportRepository, document: dict[str, Any]) -> None:
    assert round_trip(reports, document) == as_sent(document)


@pytest.mark.parametrize(
    "text",
    [
        "249.99",
        "0.1",
        "-0.0",
        "1e30",
        "12345678901234567890123456789012345678",
        "1.2345678901234567890123456789012345678",
        "1E-130",
        "9.9999999999999999999999999999999999999E125",
        "1" + "0" * 100,
        "0." + "0" * 60 + "1",
        "1.10000000000000000000000000000000000000000000000000",
        "9007199254740993",
    ],
)
def test_numbers_keep_their_value(reports: ReportRepository, text: str) -> None:
    found = round_trip(reports, json_text.loads(f'{{"n": {text}}}'))
    assert Decimal(found["n"]) == Decimal(text)


def test_the_deepest_document_survives(reports: ReportRepository) -> None:
    document: dict[str, Any] = {"leaf": 1}
    for _ in range(MAX_DEPTH - 1):
        document = {"inner": document}
    assert round_trip(reports, document) == document


def test_words_that_dynamodb_reserves_are_ordinary_names(reports: ReportRepository) -> None:
    document = {
        name: {"S": name, "N": "1", "M": {"L": [{"NULL": True}]}} for name in ("size", "name", "data", "S", "#a")
    }
    assert round_trip(reports, document) == document


def test_binary_looking_and_control_text_survives(reports: ReportRepository) -> None:
    document = {"a": "\x00\x1f\u2028\U0001f436", "b": "", "c": "null", "d": " "}
    assert round_trip(reports, document) == document
