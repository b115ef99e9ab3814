"""The demo data goes out as the file has it."""

import json
from decimal import Decimal

from scripts.local import demo


def test_there_are_fifteen_pets_with_keys_of_their_own() -> None:
    pets = list(demo.read_pets(demo.PETS.read_text(encoding="utf-8")))
    assert len({pet.idempotency_key for pet in pets}) == 15


def test_a_report_holds_the_pet_exactly() -> None:
    text = demo.PETS.read_text(encoding="utf-8")
    sent = [json.loads(pet.report, parse_float=Decimal)["reference"] for pet in demo.read_pets(text)]
    assert sent == json.loads(text, parse_float=Decimal)


def test_a_price_is_not_touched() -> None:
    (pet,) = demo.read_pets('[{"id": 1, "name": "A \\"b\\"", "type": "dog", "price": 0.10000000000000000001}]')
    assert '"price": 0.10000000000000000001' in pet.report
    assert json.loads(pet.report)["title"] == 'A "b" the dog'


def test_a_demo_vector_tells_kind_and_price() -> None:
    vectors = demo.embeddings(demo.read_demo_pets())
    kinds = {pet.product["id"]: vectors[pet.product["id"]].index(1.0) for pet in demo.read_demo_pets()}
    assert kinds[1] == kinds[7] == kinds[13]  # dogs
    assert len(set(kinds.values())) == 9
    assert len({len(vector) for vector in vectors.values()}) == 1
    assert vectors[3][-1] == -0.001455  # 0.99: the logarithm of a price below 1 is below 0
    assert vectors[1][-1] == 0.799308
