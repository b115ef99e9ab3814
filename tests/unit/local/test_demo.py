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
