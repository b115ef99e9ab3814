"""Documents in one block: what goes in comes out, in any selection and any order."""

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.json_value import JsonObject
from shared.similarity.documents import Documents
from tests.support.documents import documents

MANY = st.lists(documents(), max_size=6)


def loaded(kept: Documents) -> list[JsonObject]:
    """Every document, having checked that the offsets and the text are as documented."""
    assert kept.offsets.dtype == np.int64
    assert kept.offsets.shape == (len(kept) + 1,)
    assert kept.offsets[0] == 0
    assert kept.offsets[-1] == (len(kept.blob) + 1 if len(kept) else 0)
    found = [kept.load(index) for index in range(len(kept))]
    assert json.loads(b"[" + kept.blob + b"]", parse_float=Decimal, parse_int=Decimal) == exact(found)
    return found


def exact(value: Any) -> Any:
    """`value` with every number a Decimal."""
    if isinstance(value, dict):
        return {name: exact(member) for name, member in value.items()}
    if isinstance(value, list):
        return [exact(member) for member in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


@given(many=MANY)
def test_documents_come_back_exactly(many: list[JsonObject]) -> None:
    kept = Documents.of(many)
    assert len(kept) == len(many)
    assert exact(loaded(kept)) == exact(many)


def test_texts_are_kept_as_they_are() -> None:
    texts = ['{ "a" : 1.50 }', "{}", '{"é":"😀,"}']
    kept = Documents.of_texts(iter(texts))
    assert [kept.text(index) for index in range(3)] == texts
    assert kept.blob == ",".join(texts).encode()
    assert kept.offsets.tolist() == [0, 15, 18, 18 + len(texts[2].encode()) + 1]


def test_a_document_may_be_asked_for_with_an_integer_of_numpy() -> None:
    assert Documents.of([{"a": 1}, {"a": 2}]).load(np.arange(2)[1]) == {"a": 2}


@given(many=MANY, data=st.data())
def test_a_selection(many: list[JsonObject], data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, len(many) - 1)) if many else st.just([]))
    selected = Documents.of(many).select(np.array(indices, np.int64))
    assert exact(loaded(selected)) == [exact(many[index]) for index in indices]


@given(parts=st.lists(MANY, max_size=4))
def test_a_join(parts: list[list[JsonObject]]) -> None:
    joined = Documents.join([Documents.of(part) for part in parts])
    assert exact(loaded(joined)) == [exact(document) for part in parts for document in part]


def test_nothing() -> None:
    for kept in (
        Documents.of([]),
        Documents.join([]),
        Documents.join([Documents.of([])]),
        Documents.of([{}]).select([]),
    ):
        assert (kept.blob, kept.offsets.tolist(), len(kept)) == (b"", [0], 0)


@pytest.mark.parametrize("many", [[], [{}], [{"a": "é"}, {}]])
def test_bytes_are_those_of_the_text_and_the_offsets(many: list[JsonObject]) -> None:
    kept = Documents.of(many)
    assert kept.nbytes == len(kept.blob) + 8 * (len(many) + 1)
