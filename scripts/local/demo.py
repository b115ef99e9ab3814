"""The demo data: one report of alice for every pet, made through the running API like anybody's."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.local.failure import LocalStackError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PETS = Path(__file__).parent / "data" / "pets.json"

_MARK = {"Key": "k9:demo-data", "Value": "loaded"}


@dataclass(frozen=True, slots=True)
class Pet:
    """A pet, and its JSON text as the file has it: a price is never turned into a float on its way."""

    product: dict[str, Any]
    text: str

    @property
    def title(self) -> str:
        return f"{self.product['name']} the {self.product['type']}"

    @property
    def report(self) -> str:
        """The body that creates this pet's report."""
        return f'{{"title": {json.dumps(self.title)}, "reference": {self.text}}}'

    @property
    def idempotency_key(self) -> str:
        return f"demo-pet-{self.product['id']}"


def read_pets(text: str) -> Iterator[Pet]:
    """The pets of a JSON array, each with its own slice of the text."""
    decoder = json.JSONDecoder()
    position = text.index("[") + 1
    while (start := text.find("{", position)) >= 0:
        product, position = decoder.raw_decode(text, start)
        yield Pet(product, text[start:position])


def load(port: int, token: str) -> int:
    """Creates the reports; gives their number. The keys make a second run create nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    pets = list(read_pets(PETS.read_text(encoding="utf-8")))
    try:
        for pet in pets:
            _create_report(connection, pet, token)
    finally:
        connection.close()
    return len(pets)


def _create_report(connection: http.client.HTTPConnection, pet: Pet, token: str) -> None:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Idempotency-Key": pet.idempotency_key,
    }
    connection.request("POST", "/reports", body=pet.report.encode("utf-8"), headers=headers)
    answer = connection.getresponse()
    content = answer.read().decode("utf-8", errors="replace")
    if answer.status != HTTPStatus.CREATED:
        raise LocalStackError(f"The demo report {pet.title!r} was answered with {answer.status}: {content}")


def is_loaded(client: "DynamoDBClient", table: str) -> bool:
    """Whether this store ever had the demo data. The mark is kept by the store, and is lost or saved with the rows."""
    tags = client.list_tags_of_resource(ResourceArn=_arn(client, table))["Tags"]
    return _MARK in tags


def mark_loaded(client: "DynamoDBClient", table: str) -> None:
    client.tag_resource(ResourceArn=_arn(client, table), Tags=[_MARK])  # type: ignore[list-item]


def _arn(client: "DynamoDBClient", table: str) -> str:
    return client.describe_table(TableName=table)["Table"]["TableArn"]
