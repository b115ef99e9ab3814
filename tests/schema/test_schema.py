"""The running laptop stack against its own OpenAPI document: what schemathesis makes of it, sent as alice and as bob.

By name alone: `.ci/schemathesis`, which makes the environment that it takes. Every answer has to be one that the
document tells of, no valid request may be refused, no invalid one accepted, nothing may end in a 5xx, and neither user
may see or change what is another's. K9_SCHEMATHESIS_SEED repeats a run, K9_SCHEMATHESIS_SECONDS makes it longer.
"""

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scripts.description.document import READABLE
from scripts.description.examples import MODEL_VERSION, PRODUCT_ID
from scripts.local.folder import PROJECT
from tests.support.dev import Dev, start_dev

PROGRAM = PROJECT / ".venv-schemathesis" / "bin" / "schemathesis"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SECONDS = os.environ.get("K9_SCHEMATHESIS_SECONDS", "20")
SEED = os.environ.get("K9_SCHEMATHESIS_SEED") or str(secrets.randbelow(2**32))
_LONGEST_SECONDS = 900
_GENERATED = re.compile(r"^  (\d+) generated", re.MULTILINE)
_PRODUCTS = (PRODUCT_ID, "travel-mat-7", "ball-1")


@dataclass
class Tenant:
    """A user with rows that hold a canary."""

    name: str
    canary: str = field(default_factory=lambda: f"canary-{secrets.token_hex(8)}")
    report_id: str = ""

    def move_in(self, dev: Dev) -> None:
        stage = dev.stage(self.name)
        stage.call("PATCH", "/user/profile", {"name": self.canary, "preferences": {"c": self.canary}}).expect(200)
        for number in range(3):
            report = {"title": self.canary, "reference": {"product_id": PRODUCT_ID, "c": self.canary}}
            self.report_id = stage.call("POST", "/reports", report).expect(201).json["id"]
            product = {
                "product_id": _PRODUCTS[number],
                "model_version": MODEL_VERSION,
                "embedding_vector": [1, number, 0.5],
                "product": {"price": number, "c": self.canary},
            }
            stage.call("POST", "/embeddings", product).expect(201)

    def rows(self, dev: Dev) -> list[Any]:
        """All that the tenant has."""
        stage = dev.stage(self.name)
        embeddings = f"/embeddings?model_version={MODEL_VERSION}&include_vectors=true"
        return [stage.call("GET", path).expect(200).json for path in ("/user/profile", "/reports", embeddings)]


@dataclass(frozen=True)
class Run:
    """What became of one run of schemathesis."""

    name: str
    status: int
    said: str
    cases: int


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    running = start_dev(tmp_path_factory.mktemp("schema"))
    yield running
    running.discard()


@pytest.fixture(scope="module")
def tenants(dev: Dev) -> list[Tenant]:
    """Two users whom schemathesis is, and a bystander whose rows nobody else may see or change."""
    moved_in = [Tenant("alice"), Tenant("bob"), Tenant("admin")]
    for tenant in moved_in:
        tenant.move_in(dev)
    return moved_in


def run(dev: Dev, user: Tenant, others: Sequence[Tenant], *options: str, document: Path = READABLE) -> Run:
    """Sends what schemathesis makes, as this user."""
    reports = [user.report_id, user.report_id, *(other.report_id for other in others)]
    known = {"report_id": reports, "product_id": list(_PRODUCTS), "model_version": [MODEL_VERSION]}
    variables = {
        "K9_TOKEN": dev.token(user.name),
        "K9_KNOWN": json.dumps(known),
        "K9_CANARIES": json.dumps([other.canary for other in others]),
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [PROGRAM, "--config-file", CONFIGURATION, "run", document, "--url", f"http://127.0.0.1:{dev.port}", *options],
        cwd=PROJECT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=_LONGEST_SECONDS,
        check=False,
    )
    found = _GENERATED.search(done.stdout)
    return Run(user.name, done.returncode, done.stdout + done.stderr, int(found[1]) if found else 0)


@pytest.mark.parametrize(
    ("options", "fewest_cases"),
    [
        # Every keyword of the document once, as it is and broken: the same cases whatever the seed.
        pytest.param(["--phases", "examples,coverage"], 2000, id="every keyword"),
        # What comes to its mind, and sequences along the document's links, until the time is over.
        pytest.param(["--phases", "fuzzing,stateful", "--max-time", SECONDS], 100, id="at random"),
    ],
)
def test_the_running_api_is_what_its_document_says(
    dev: Dev, tenants: list[Tenant], options: list[str], fewest_cases: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert PROGRAM.is_file(), "There is no .venv-schemathesis: run .ci/schemathesis, which makes it."
    *users, bystander = tenants
    before = bystander.rows(dev)
    with ThreadPoolExecutor(len(users)) as pool:
        runs = list(pool.map(lambda user: run(dev, user, others(tenants, user), "--seed", SEED, *options), users))
    with capsys.disabled():
        sys.stderr.write(f"\n{runs[0].name}, {runs[1].name}: {[each.cases for each in runs]} cases, seed {SEED}\n")
    assert [each.status for each in runs] == [0, 0], "\n".join(each.said for each in runs if each.status)
    assert min(each.cases for each in runs) >= fewest_cases
    assert bystander.rows(dev) == before


ONE_REQUEST = ("--phases", "examples,fuzzing", "--max-examples", "2", "--include-operation-id", "get_profile")


def test_a_canary_that_is_seen_is_told(dev: Dev, tenants: list[Tenant]) -> None:
    """Here the caller's own stands for another's."""
    told = run(dev, tenants[2], [tenants[2]], *ONE_REQUEST)
    assert told.status == 1
    assert "answered with a row of another tenant" in told.said


def test_an_answer_that_the_document_does_not_tell_of_is_told(dev: Dev, tenants: list[Tenant], tmp_path: Path) -> None:
    text = READABLE.read_text(encoding="utf-8")
    document = json.loads(text)
    document["components"]["schemas"]["Profile"]["properties"]["user_id"] = {"type": "integer"}
    changed = tmp_path / "openapi.json"
    changed.write_text(json.dumps(document), encoding="utf-8")
    told = run(dev, tenants[2], [], *ONE_REQUEST, document=changed)
    assert told.status == 1
    assert "Response violates schema" in told.said


def others(tenants: Iterable[Tenant], user: Tenant) -> list[Tenant]:
    return [tenant for tenant in tenants if tenant is not user]
