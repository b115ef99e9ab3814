"""Sign in, use every route, start again, find the data: over HTTP, with tokens that the user pool signed."""

import http.client
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from scripts.local.folder import PROJECT
from scripts.local.template import Template
from tests.support.dev import Dev, start_dev
from tests.support.tokens import TokenFactory

DOCUMENT = {"name": "Rex", "price": 249.99, "tags": ["a", None, {"": "\U0001f436"}], "exact": 12345678901234567890123}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def send(
    dev: Dev, method: str, path: str, body: object = None, *, user: str | None = "alice", **headers: str
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", dev.port, timeout=20)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if user:
        sent.setdefault("Authorization", f"Bearer {dev.token(user)}")
    connection.request(method, path, body=None if body is None else json.dumps(body), headers=sent)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return Answer(answer.status, answer.headers, text)


def embedding(product_id: str, vector: list[float], **product: float) -> dict[str, Any]:
    return {"product_id": product_id, "model_version": "m-1", "embedding_vector": vector, "product": product}


class Tour:
    """Every route once, in an order that makes sense; what was called is kept, so that none is forgotten."""

    def __init__(self, dev: Dev) -> None:
        self.dev = dev
        self.called: set[str] = set()

    def call(self, route: str, path: str, body: object = None, **headers: str) -> Answer:
        self.called.add(route)
        return send(self.dev, route.split()[0], path, body, **headers)

    def take(self) -> str:
        """Leaves one report behind and returns its id."""
        self.visit_profile()
        report = self.visit_report()
        self.visit_favorites(report)
        self.delete_one()
        self.visit_embeddings()
        self.visit_similarity()
        self.search_from_report(report)
        self.delete_embeddings()
        assert self.call("GET /health", "/health").json["status"] == "ok"
        return report

    def visit_profile(self) -> None:
        profile = self.call("GET /user/profile", "/user/profile")
        assert profile.status == 200
        changed = self.call(
            "PATCH /user/profile",
            "/user/profile",
            {"name": "Alice A.", "preferences": {"theme": "dark"}},
            If_Match=profile.headers["ETag"],
        )
        assert (changed.status, changed.json["name"]) == (200, "Alice A.")

    def visit_report(self) -> str:
        made = self.call("POST /reports", "/reports", {"title": "Mine", "reference": DOCUMENT}, Idempotency_Key="tour")
        assert (made.status, made.json["author"]) == (201, "Alice A.")
        path = made.headers["Location"]
        again = self.call("POST /reports", "/reports", {"title": "Mine", "reference": DOCUMENT}, Idempotency_Key="tour")
        assert (again.status, again.text) == (201, made.text)
        assert self.call("GET /reports", "/reports?limit=1").json["reports"] == [made.json]
        assert self.call("GET /reports/{report_id}", path).json["reference"] == DOCUMENT
        patched = self.call("PATCH /reports/{report_id}", path, {"title": "Ours"}, If_Match=made.headers["ETag"])
        assert (patched.status, patched.json["title"]) == (200, "Ours")
        stale = self.call("PATCH /reports/{report_id}", path, {"title": "No"}, If_Match=made.headers["ETag"])
        assert stale.status == 412
        return str(made.json["id"])

    def visit_favorites(self, report: str) -> None:
        path, route = f"/reports/{report}/favorites", "/reports/{report_id}/favorites"
        assert self.call(f"PUT {route}", path, {"favorites": ["b", "a"]}).json == {"favorites": ["a", "b"]}
        assert self.call(f"PUT {route}/{{product_id}}", f"{path}/c%20%25").json["favorites"] == ["a", "b", "c %"]
        assert self.call(f"DELETE {route}/{{product_id}}", f"{path}/a").json["favorites"] == ["b", "c %"]
        assert self.call(f"GET {route}", path).json == {"favorites": ["b", "c %"]}

    def visit_embeddings(self) -> None:
        made = self.call("POST /embeddings", "/embeddings", embedding("a", [1, 0, 0.1], price=249.99))
        assert (made.status, made.json["vector_dimension"]) == (201, 3)
        path = made.headers["Location"]
        one = self.call("GET /embeddings/{product_id}", path)
        assert (one.json["embedding_vector"], one.json["product"]) == ([1.0, 0.0, 0.1], {"price": 249.99})
        items = [embedding("b", [1, 0.1, 0], price=10), embedding("c/d", [0, 1, 0], price=20), embedding("e", [1])]
        batch = self.call("POST /embeddings/batch", "/embeddings/batch", {"items": items}).json
        assert [result["status"] for result in batch["results"]] == [201, 201, 422]
        patched = self.call("PATCH /embeddings/{product_id}", path, {"product": {"price": 5}}, If_Match='"1"')
        assert patched.json["product"] == {"price": 5}
        listed = self.call("GET /embeddings", "/embeddings?model_version=m-1").json["embeddings"]
        assert listed[0]["product_id"] == "a"
        assert {row["product_id"] for row in listed} == {"a", "b", "c/d"}
        (model,) = self.call("GET /embeddings/models", "/embeddings/models").json["models"]
        assert (model["vector_dimension"], model["count"]) == (3, 3)
        assert self.found({"product_id": "a", "filter": {"price": {"$gt": 5}}}) == ["b", "c/d"]

    def found(self, search: dict[str, Any]) -> list[str]:
        answer = self.call("POST /embeddings/search", "/embeddings/search", {"model_version": "m-1", **search})
        assert answer.status == 200, answer.text
        return [hit["product_id"] for hit in answer.json["hits"]]

    def visit_similarity(self) -> None:
        route = "/embeddings/similarity"
        asked = self.call(f"POST {route}", route, {"model_version": "m-1", "k": 2})
        assert asked.status == 202
        for _ in range(100):
            status = self.call(f"GET {route}", asked.headers["Location"]).json
            if status["state"] not in ("queued", "running"):
                break
            time.sleep(0.1)
        assert (status["state"], status["rows"], status["error"]) == ("done", 3, None)
        row = self.call(f"GET {route}/{{product_id}}", f"{route}/a?model_version=m-1").json
        assert [neighbor["product_id"] for neighbor in row["neighbors"]] == ["b", "c/d"]

    def search_from_report(self, report: str) -> None:
        path = f"/reports/{report}"
        self.call("PATCH /reports/{report_id}", path, {"reference": {"product_id": "a"}})
        hits = self.call("POST /reports/{report_id}/search", f"{path}/search", {"model_version": "m-1"}).json["hits"]
        assert [(hit["product_id"], hit["is_favorite"]) for hit in hits] == [("b", True), ("c/d", False)]
        route = "GET /reports/{report_id}/products/{product_id}"
        scored = self.call(route, f"{path}/products/b?model_version=m-1").json
        assert scored["score"] == hits[0]["score"]
        self.call("PATCH /reports/{report_id}", path, {"reference": DOCUMENT})

    def delete_embeddings(self) -> None:
        wanted = {"model_version": "m-1", "filter": {"price": {"$gte": 20}}}
        dry = self.call("POST /embeddings/delete", "/embeddings/delete", {**wanted, "dry_run": True}).json
        assert (dry["matched"], dry["deleted"], dry["continuation"]) == (1, 0, None)
        assert self.call("POST /embeddings/delete", "/embeddings/delete", wanted).json["deleted"] == 1
        assert self.call("DELETE /embeddings/{product_id}", "/embeddings/b?model_version=m-1").status == 204
        time.sleep(1.1)  # a search may rest on what was read a second before
        assert self.found({"embedding_vector": [1, 0, 0]}) == ["a"]

    def delete_one(self) -> None:
        path = send(self.dev, "POST", "/reports", {"title": "Short-lived"}).headers["Location"]
        assert self.call("DELETE /reports/{report_id}", path).status == 204
        assert send(self.dev, "GET", path).status == 404


def test_every_route_works_and_the_data_outlives_a_restart(tmp_path: Path) -> None:
    first = start_dev(tmp_path, script=True)
    tour = Tour(first)
    report = tour.take()
    assert tour.called == {route.key for route in Template.load().routes()}
    before = send(first, "GET", f"/reports/{report}").text
    assert first.stop() == 0

    second = start_dev(tmp_path, script=True)
    assert send(second, "GET", f"/reports/{report}").text == before
    assert send(second, "GET", "/user/profile").json["preferences"] == {"theme": "dark"}
    assert send(second, "GET", f"/reports/{report}", user="bob").status == 404
    search = {"model_version": "m-1", "embedding_vector": [1, 0, 0]}
    assert [hit["product_id"] for hit in send(second, "POST", "/embeddings/search", search).json["hits"]] == ["a"]
    assert send(second, "POST", "/embeddings/search", search, user="bob").status == 422
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


def test_the_demo_reports_have_their_prices_to_the_cent(dev: Dev) -> None:
    text = send(dev, "GET", "/reports?limit=100").text
    reports = json.loads(text, parse_float=Decimal)["reports"]
    references = [report["reference"] for report in reports if report["reference"]]
    pets = json.loads((PROJECT / "scripts/local/data/pets.json").read_text(), parse_float=Decimal)
    assert sorted(references, key=lambda pet: int(pet["id"])) == pets


def test_pages_are_walked_to_the_end(dev: Dev) -> None:
    seen: list[str] = []
    query = "limit=4&include_total=true"
    for _ in range(20):
        page = send(dev, "GET", f"/reports?{query}").json
        seen += [report["id"] for report in page["reports"]]
        if not page["has_more"]:
            break
        query = f"limit=4&include_total=true&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen)) == page["total"]


def test_what_is_refused_is_a_problem_document(dev: Dev) -> None:
    refused = [
        (401, send(dev, "GET", "/reports", user=None)),
        (401, send(dev, "GET", "/reports", user=None, Authorization=TokenFactory().bearer())),
        (400, send(dev, "GET", "/reports?cursor=x")),
        (404, send(dev, "GET", "/reports/none")),
        (404, send(dev, "GET", "/no/such/route")),
        (415, send(dev, "POST", "/reports", {}, Content_Type="image/png")),
        (422, send(dev, "POST", "/reports", {"title": "", "user_id": "x"})),
        (413, send(dev, "POST", "/reports", {"title": "x" * 1_100_000})),
    ]
    for status, answer in refused:
        assert answer.status == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["status"] == status
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]
