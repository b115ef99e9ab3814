"""scripts/dev.sh as a person starts it: what it prints works, the demo data is there, and a restart loses nothing."""

import json
import os
import shlex
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from scripts.local.folder import PROJECT
from tests.support.dev import Dev, start_dev
from tests.support.tour import MODEL_VERSION, Tour


def test_the_data_outlives_a_restart(tmp_path: Path) -> None:
    first = start_dev(tmp_path, script=True)
    with Tour(first.stage()) as tour:
        tour.take()
    path = f"/reports/{tour.report}"
    before = first.stage().call("GET", path).expect(200).content
    assert first.stop() == 0

    second = start_dev(tmp_path, script=True)
    alice, bob = second.stage(), second.stage("bob")
    assert alice.call("GET", path).expect(200).content == before
    assert alice.call("GET", "/user/profile").json["preferences"] == {"k9-e2e": {"theme": "dark"}}
    bob.call("GET", path).expect(404)
    search = {"model_version": MODEL_VERSION, "embedding_vector": [1, 0, 0]}
    hits = alice.call("POST", "/embeddings/search", search).expect(200).json["hits"]
    assert [hit["product_id"] for hit in hits] == [tour.product("a")]
    bob.call("POST", "/embeddings/search", search).expect(422)
    assert second.stop() == 0


def test_the_printed_lines_work_as_printed(dev: Dev) -> None:
    lines = [line.strip() for line in dev.said if line.strip().startswith(("TOKEN=", "curl "))]
    assert any("POST" in line for line in lines)
    script = "set -e\n" + "\n".join(line.replace("curl ", "curl --fail-with-body -sS ", 1) for line in lines)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=PROJECT, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert '"title":"Test Report"' in done.stdout
    found = json.loads(done.stdout[done.stdout.index('{"model_version"') :])
    assert [hit["product"]["name"] for hit in found["hits"]] == ["Luna", "Mittens", "Whiskers"]


def test_curl_as_documented(dev: Dev) -> None:
    command = (
        f"curl -sS -X POST http://localhost:{dev.port}/reports"
        f' -H {shlex.quote("Authorization: Bearer " + dev.token())} -d \'{{"title": "Test Report"}}\''
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["title"] == "Test Report"


def test_a_script_uses_the_repositories_as_the_readme_says(dev: Dev) -> None:
    snippet = (PROJECT / "README.md").read_text().split("```python\n")[1].split("```")[0]
    script = f"set -e; source {dev.folder}/env; {sys.executable} -c {shlex.quote(snippet + 'print(report.title)')}"
    clean = {"PATH": os.defpath, "HOME": str(dev.folder)}
    done = subprocess.run(["bash", "-c", script], env=clean, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "From a script\n"), done.stderr


@pytest.mark.parametrize("number", [0, 1], ids=["blocking", "asyncio"])
def test_the_clients_readme_works_as_printed(dev: Dev, number: int) -> None:
    readme = (PROJECT / "clients" / "python" / "README.md").read_text(encoding="utf-8")
    snippet = readme.split("```python\n")[1 + number].split("```")[0]
    script = snippet.replace("http://localhost:3001", f"http://127.0.0.1:{dev.port}").replace(
        ".local/", f"{dev.folder}/"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "clients" / "python" / "src")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=dev.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 3, done.stdout


def test_the_demo_reports_have_their_prices_to_the_cent(dev: Dev) -> None:
    text = dev.stage().call("GET", "/reports?limit=100").content
    reports = json.loads(text, parse_float=Decimal)["reports"]
    references = [report["reference"] for report in reports if report["reference"]]
    pets = json.loads((PROJECT / "scripts/local/data/pets.json").read_text(), parse_float=Decimal)
    assert sorted(references, key=lambda pet: int(pet["id"])) == pets
