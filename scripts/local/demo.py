"""The demo data, made through the running API like anybody's.

One report of alice for every pet, and an embedding of each pet in the shared catalogue.
"""

import http.client
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.local.failure import LocalStackError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PETS = Path(__file__).parent / "data" / "pets.json"

MODEL_VERSION = "pets-1"
"""The model version of the demo embeddings."""

REPORTS, EMBEDDINGS = "k9:demo-data", "k9:demo-embeddings"
"""The marks of the two parts of the demo data, for `is_loaded`."""


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


def embeddings(pets: Sequence[Pet]) -> dict[int, list[float]]:
    """Each pet's vector by its id: one component for every kind, and the price on a log scale.

    A thousandfold price weighs as much as another kind.
    """
    kinds = sorted({pet.product["type"] for pet in pets})
    return {
        pet.product["id"]: [
            *(float(pet.product["type"] == kind) for kind in kinds),
            round(math.log10(pet.product["price"]) / 3, 6),
        ]
        for pet in pets
    }


def load_reports(port: int, token: str) -> int:
    """Creates alice's reports; gives their number. The keys make a second run create nothing."""
    pets = read_demo_pets()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        for pet in pets:
            _send(connection, "/reports", pet.report, token, pet.idempotency_key)
    return len(pets)


def load_embeddings(port: int, token: str) -> int:
    """Stores the pets in the shared catalogue, which takes an admin's token; gives their number."""
    pets = read_demo_pets()
    vectors = embeddings(pets)
    items = ", ".join(
        f'{{"product_id": "{pet.product["id"]}", "model_version": "{MODEL_VERSION}", '
        f'"embedding_vector": {json.dumps(vectors[pet.product["id"]])}, "product": {pet.text}}}'
        for pet in pets
    )
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        body = f'{{"catalogue": "shared", "items": [{items}]}}'
        result = _send(connection, "/embeddings/batch", body, token, "demo-pets")
    if result["failed"]:
        raise LocalStackError(f"The demo embeddings could not all be stored: {result}")
    return len(pets)


def read_demo_pets() -> list[Pet]:
    return list(read_pets(PETS.read_text(encoding="utf-8")))


def _send(connection: http.client.HTTPConnection, path: str, body: str, token: str, idempotency_key: str) -> Any:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Idempotency-Key": idempotency_key,
    }
    try:
        connection.request("POST", path, body=body.encode("utf-8"), headers=headers)
        answer = connection.getresponse()
        content = answer.read().decode("utf-8", errors="replace")
    except (OSError, http.client.HTTPException) as exc:
        raise LocalStackError(f"POST {path} of the demo data was not answered: {type(exc).__name__} {exc}") from exc
    if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise LocalStackError(f"POST {path} of the demo data was answered with {answer.status}: {content}")
    return json.loads(content)


def is_loaded(client: "DynamoDBClient", table: str, part: str = REPORTS) -> bool:
    """Whether this store ever had that part. The mark is kept by the store, and is lost or saved with the rows."""
    tags = client.list_tags_of_resource(ResourceArn=_arn(client, table))["Tags"]
    return _mark(part) in tags


def mark_loaded(client: "DynamoDBClient", table: str, part: str = REPORTS) -> None:
    client.tag_resource(ResourceArn=_arn(client, table), Tags=[_mark(part)])  # type: ignore[list-item]


def _mark(part: str) -> dict[str, str]:
    return {"Key": part, "Value": "loaded"}


def _arn(client: "DynamoDBClient", table: str) -> str:
    return client.describe_table(TableName=table)["Table"]["TableArn"]
