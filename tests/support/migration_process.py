"""migrate.py as a process of its own, against an embedded store; and rows of every awkward kind for it to read."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from scripts.local import clients, resources
from scripts.local.folder import PROJECT
from scripts.local.store import Store
from scripts.local.template import Template
from scripts.migration.target import Target
from shared.config import Settings

_BEGAN = datetime(2019, 1, 1, tzinfo=UTC)
_AWKWARD = ["", " ", "é", "e\u0301", "漢字", "🐈\u200d⬛", "\u202e", "a\u0000b", "'; DROP TABLE--", '"\\', "\u2028"]

MAPPING = """
source: awkward
collections:
  users:
    into: users
    owner: {field: user_id, any_id: true}
    fields: {name: name, email: email, preferences: {from: preferences, default: {}}, created_at: created_at}
  reports:
    into: reports
    owner: {field: user_id, any_id: true}
    fields:
      id: {from: id, keep: true}
      title: {from: title, default: Untitled}
      author: {from: author, default: ""}
      reference: reference
      favorites: {from: favorites, default: []}
      created_at: {from: created_at, form: [iso, iso-utc, date, epoch-milliseconds, rfc2822]}
  embeddings:
    into: embeddings
    owner: {field: user_id, any_id: true}
    fields:
      product_id: product_id
      model_version: model_version
      embedding_vector: embedding_vector
      product: {rest: true}
      created_at: {from: created_at, form: [iso, iso-utc, date, epoch-milliseconds, rfc2822]}
"""


def time_in_form(number: int) -> Any:
    """The same moment in one of five forms."""
    moment = _BEGAN + timedelta(minutes=number)
    return [
        moment.isoformat(),
        moment.replace(tzinfo=None).isoformat(sep=" "),
        moment.date().isoformat(),
        int(moment.timestamp() * 1000),
        format_datetime(moment),
    ][number % 5]


@dataclass
class AwkwardRows:
    """Writes a folder of NDJSON, and knows how many of the rows are to be accepted, and for what the others are not."""

    folder: Path
    count: int
    owners: int = 40
    has_large: bool = True
    accepted: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    identical: int = 0

    def write(self) -> "AwkwardRows":
        self.folder.mkdir(parents=True, exist_ok=True)
        numbers = random.Random(5)  # noqa: S311 - not a secret
        with (self.folder / "users.ndjson").open("w") as users:
            for number in range(self.owners):
                row = {"user_id": f"user-{number}", "name": f"Näme {number}", "created_at": "2018-01-01T00:00:00Z"}
                users.write(json.dumps(row) + "\n")
        self.accepted["users"] = self.owners
        with (self.folder / "reports.ndjson").open("w") as reports:
            for number in range(self.count // 2):
                reports.write(self._report(number, numbers))
        with (self.folder / "embeddings.ndjson").open("w") as embeddings:
            for number in range(self.count - self.count // 2):
                embeddings.write(self._embedding(number, numbers))
        return self

    def _report(self, number: int, numbers: random.Random) -> str:
        row = {
            "id": f"report-{number}",
            "user_id": f"user-{number % self.owners}",
            "title": f"Report {number} {numbers.choice(_AWKWARD[2:7])}",
            "author": numbers.choice([text for text in _AWKWARD if "\0" not in text]),
            "reference": self._document(number, numbers),
            "favorites": [f"p{numbers.randrange(50)}" for _ in range(numbers.randrange(4))],
            "created_at": time_in_form(number),
        }
        if self.has_large and number % 2000 == 7:  # 399 KB in all: no field may be as large alone
            row["favorites"] = [f"{place:03}" + "語" * 220 for place in range(500)]
            row["reference"] = {"text": "x" * 62_000}
        return self._judged("reports", number, row)

    def _embedding(self, number: int, numbers: random.Random) -> str:
        row = {
            "product_id": f"p{number} {numbers.choice(['', 'ü', '猫'])}",
            "user_id": f"user-{number % self.owners}",
            "model_version": f"model-{number % 3}",
            "embedding_vector": [round(numbers.uniform(-1, 1), 6) for _ in range(8)],
            "created_at": time_in_form(number),
            **self._document(number, numbers),
        }
        return self._judged("embeddings", number, row)

    def _document(self, number: int, numbers: random.Random) -> dict[str, Any]:
        return {
            "n": 12345678901234567890123456789012345678 if number % 11 == 0 else number,
            "text": numbers.choice(_AWKWARD),
            "nested": {"": None, "list": [[], {}, True, {"deep": [number / 7]}]} if number % 5 == 0 else [],
        }

    def _judged(self, table: str, number: int, row: dict[str, Any]) -> str:
        """The line, spoilt in one of several ways now and then; what is to come of it is counted."""
        spoils = {3: "nan", 103: "unknown", 203: "no json", 303: "owner", 403: "twice", 503: "other", 603: "digits"}
        spoil = spoils.get(number % 1000)
        line = json.dumps(row, ensure_ascii=number % 2 == 0) + "\n"
        if spoil == "nan":
            self.rejects["bad-number"] += 1
            key = "reference" if table == "reports" else "n"
            return json.dumps({**row, key: {"a": float("nan")}}) + "\n"
        if spoil == "digits":
            self.rejects["bad-number"] += 1
            key = "reference" if table == "reports" else "n"
            return json.dumps({**row, key: {"a": 10**39 + 1}}) + "\n"
        if spoil == "unknown":
            self.rejects["unknown-field" if table == "reports" else "bad-owner"] += 1
            return json.dumps({**row, "colour": "red"} if table == "reports" else {**row, "user_id": "a#b"}) + "\n"
        if spoil == "no json":
            self.rejects["unreadable-row"] += 1
            return line[:-3] + "\n"
        if spoil == "owner":
            self.rejects["unmapped-owner"] += 1
            return json.dumps({**row, "user_id": None}) + "\n"
        self.accepted[table] += 1
        if spoil == "twice":
            self.identical += 1
            return line + line
        if spoil == "other":
            self.rejects["duplicate-key"] += 1
            return line + json.dumps({**row, "created_at": "2001-01-01T00:00:00Z"}) + "\n"
        return line


@dataclass(frozen=True)
class Place:
    """Tables of their own in a running store, and the variables that lead to them."""

    variables: dict[str, str]

    @classmethod
    def make(cls, store: Store, environment: str) -> "Place":
        resources.create_tables(clients.dynamodb(store.endpoint), Template.load(), environment)
        bucket = f"k9-similarity-{environment}"
        clients.s3(store.endpoint).create_bucket(Bucket=bucket)
        return cls(
            {
                "DYNAMODB_USERS_TABLE": f"k9-users-{environment}",
                "DYNAMODB_REPORTS_TABLE": f"k9-reports-{environment}",
                "DYNAMODB_EMBEDDINGS_TABLE": f"k9-embeddings-{environment}",
                "SIMILARITY_BUCKET": bucket,
                "AWS_ENDPOINT_URL_DYNAMODB": store.endpoint,
                "AWS_ENDPOINT_URL_S3": store.endpoint,
                "AWS_ACCESS_KEY_ID": "local",
                "AWS_SECRET_ACCESS_KEY": "local",
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        )

    def through(self, endpoint: str) -> "Place":
        """The same tables, by way of a proxy."""
        return Place({**self.variables, "AWS_ENDPOINT_URL_DYNAMODB": endpoint})

    def target(self, connections: int = 8) -> Target:
        return Target(Settings(self.variables), connections)


def start(place: Place, cwd: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.migration.main", *arguments],
        env={"PATH": os.defpath, "PYTHONPATH": f"{PROJECT}:{PROJECT}/src", "NO_PROXY": "127.0.0.1", **place.variables},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(place: Place, cwd: Path, *arguments: str) -> tuple[int, str]:
    """Status, and all that it said."""
    process = start(place, cwd, *arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out + err


def kill_after(process: subprocess.Popen[str], seconds: float, *, line: str = "") -> bool:
    """SIGKILL so long after its start, or after a line of what it says that begins so; whether it still ran by then."""
    assert process.stdout
    assert process.stderr
    with process.stdout, process.stderr:
        if line:
            next((said for said in process.stderr if said.startswith(line)), None)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
    return False
