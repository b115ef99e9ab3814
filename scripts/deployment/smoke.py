"""The command behind scripts/smoke.sh: the main routes of a stage, once each, with a user's token.

It needs Python's own library alone. It leaves behind the user's profile and one model version without products, which
the API keeps for good; every run uses the same.
"""

import argparse
import re
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from scripts.deployment.stage import Answer, Stage, StageError, read_stage

MODEL_VERSION = "k9-smoke-test"
"""One for all runs: an owner may have 100 model versions, and none is ever forgotten."""

_FRESH_SECONDS = 10.0
"""A search may rest on what was read a second before, and a cold start takes its time."""

Step = tuple[str, Callable[[], None]]


class Part:
    """Steps that build on each other, and what they leave to clean up."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def steps(self) -> list[Step]:
        raise NotImplementedError

    def clean_up(self) -> None:
        """Removes what the steps made, whichever of them ran. Raises StageError where it cannot."""


class Access(Part):
    """Who is let in."""

    def steps(self) -> list[Step]:
        return [
            ("GET /health is open, and says ok", self.health),
            ("GET /docs is open, and loads what it names", self.documentation),
            ("GET /reports without a token is a 401", self.no_token),
            ("GET /reports with a token that was tampered with is a 401", self.forged_token),
            ("GET /user/profile is the caller's", self.profile),
        ]

    def health(self) -> None:
        answer = self.stage.call("GET", "/health", token=None).expect(200)
        _ensure(answer.json.get("status") == "ok", f"the status is {answer.json.get('status')!r}")

    def documentation(self) -> None:
        page = self.stage.call("GET", "/docs", token=None).expect(200).content.decode()
        for name in re.findall(r'(?:src|href)="(docs/[^"]+)"', page):
            self.stage.call("GET", f"/{name}", token=None).expect(200)

    def no_token(self) -> None:
        self.stage.call("GET", "/reports?limit=1", token=None).expect(401)

    def forged_token(self) -> None:
        head, claims, signature = self.stage.token.split(".")
        self.stage.call("GET", "/reports?limit=1", token=f"{head}.{claims}.{signature[::-1]}").expect(401)

    def profile(self) -> None:
        answer = self.stage.call("GET", "/user/profile")
        if answer.status == 401:
            raise StageError("401: has the token expired, or is it of another pool, client or kind (id, access)?")
        _ensure(bool(answer.expect(200).json.get("user_id")), "it has no user_id")


class Reports(Part):
    """One report, from its making to its end."""

    def __init__(self, stage: Stage, run: str) -> None:
        super().__init__(stage)
        self.title, self.key = f"Smoke test {run}", f"smoke-{run}"
        self.path = ""
        self.tag = ""
        self.is_asked = False

    def steps(self) -> list[Step]:
        return [
            ("POST /reports makes a report", self.create),
            ("POST /reports repeated makes no second one", self.repeat),
            ("GET /reports/{id} gives it back", self.read),
            ("PATCH /reports/{id} changes its title", self.update),
            ("PATCH /reports/{id} of an older version is a 412", self.update_stale),
            ("PUT /reports/{id}/favorites/{product} adds a favourite", self.favorite),
            ("GET /reports/{id}/favorites lists it", self.favorites),
            ("GET /reports answers a page", self.page),
            ("DELETE /reports/{id} deletes the report", self.delete),
        ]

    def create(self) -> None:
        self.is_asked = True
        answer = self._post()
        self.is_asked = answer.status >= 500
        answer.expect(201)
        self.path, self.tag = f"/reports/{answer.json['id']}", answer.headers["ETag"]

    def repeat(self) -> None:
        answer = self._post().expect(201)
        _ensure(self.path.endswith(answer.json["id"]), "the repeat has another id")

    def read(self) -> None:
        answer = self.stage.call("GET", self.path).expect(200)
        _ensure(answer.json["title"] == self.title, f"its title is {answer.json['title']!r}")
        _ensure(answer.json["reference"] == {"price": 249.99}, "its reference is not what was stored")

    def update(self) -> None:
        self.title += ", changed"
        answer = self._patch().expect(200)
        _ensure(answer.json["title"] == self.title, f"its title is {answer.json['title']!r}")

    def update_stale(self) -> None:
        self._patch(title="not this").expect(412)

    def favorite(self) -> None:
        answer = self.stage.call("PUT", f"{self.path}/favorites/smoke-product").expect(200)
        _ensure(answer.json["favorites"] == ["smoke-product"], "the favourites are others")

    def favorites(self) -> None:
        answer = self.stage.call("GET", f"{self.path}/favorites").expect(200)
        _ensure(answer.json["favorites"] == ["smoke-product"], "the favourites are others")

    def page(self) -> None:
        answer = self.stage.call("GET", "/reports?limit=1").expect(200)
        _ensure(isinstance(answer.json.get("reports"), list), "it has no list of reports")

    def delete(self) -> None:
        self.stage.call("DELETE", self.path).expect(204)
        self.stage.call("GET", self.path).expect(404)
        self.path, self.is_asked = "", False

    def clean_up(self) -> None:
        if self.path:
            self.stage.call("DELETE", self.path).expect(204, 404)
        elif self.is_asked:
            raise StageError(f"a report {self.title!r} may have been made; it would be the caller's newest")

    def _post(self) -> Answer:
        body = {"title": self.title, "reference": {"price": 249.99}}
        return self.stage.call("POST", "/reports", body, Idempotency_Key=self.key)

    def _patch(self, title: str | None = None) -> Answer:
        headers = {"If_Match": self.tag, "Idempotency_Key": f"{self.key}-{'stale' if title else 'patch'}"}
        return self.stage.call("PATCH", self.path, {"title": title or self.title}, **headers)


class Embeddings(Part):
    """Two products that only this run knows."""

    def __init__(self, stage: Stage, run: str) -> None:
        super().__init__(stage)
        self.run = run
        self.near, self.far = f"smoke-{run}-near", f"smoke-{run}-far"
        self.is_dirty = False

    def steps(self) -> list[Step]:
        return [
            ("POST /embeddings stores two products", self.store),
            ("GET /embeddings/{product} gives one back", self.read),
            ("POST /embeddings/search finds both, the nearer first", self.search),
            ("DELETE /embeddings/{product} deletes them", self.delete),
            ("POST /embeddings/search finds them no more", self.search_nothing),
        ]

    def store(self) -> None:
        self.is_dirty = True
        for product_id, vector in ((self.far, [0.0, 1.0, 0.5]), (self.near, [1.0, 0.25, 0.0])):
            body = {
                "product_id": product_id,
                "model_version": MODEL_VERSION,
                "embedding_vector": vector,
                "product": {"smoke_run": self.run},
            }
            self.stage.call("POST", "/embeddings", body, Idempotency_Key=product_id).expect(201)

    def read(self) -> None:
        answer = self.stage.call("GET", self._path(self.near)).expect(200)
        _ensure(answer.json["embedding_vector"] == [1.0, 0.25, 0.0], "its vector is not what was stored")

    def search(self) -> None:
        self._find([self.near, self.far])

    def delete(self) -> None:
        for product_id in (self.near, self.far):
            self.stage.call("DELETE", self._path(product_id)).expect(204)
            self.stage.call("GET", self._path(product_id)).expect(404)
        self.is_dirty = False

    def search_nothing(self) -> None:
        self._find([])

    def clean_up(self) -> None:
        if self.is_dirty:
            for product_id in (self.near, self.far):
                # 422: the model version has never been stored to
                self.stage.call("DELETE", self._path(product_id)).expect(204, 404, 422)

    def _find(self, wanted: list[str]) -> None:
        """Asks until the answer is right or should have been."""
        deadline = time.monotonic() + _FRESH_SECONDS
        while (found := self._hits()) != wanted:
            if time.monotonic() > deadline:
                raise StageError(f"found {found} instead of {wanted}, after {_FRESH_SECONDS:.0f} s")
            time.sleep(0.5)

    def _hits(self) -> list[str]:
        body: dict[str, Any] = {
            "model_version": MODEL_VERSION,
            "embedding_vector": [1.0, 0.0, 0.0],
            "filter": {"smoke_run": self.run},
        }
        answer = self.stage.call("POST", "/embeddings/search", body).expect(200)
        return [hit["product_id"] for hit in answer.json["hits"]]

    def _path(self, product_id: str) -> str:
        return f"/embeddings/{product_id}?model_version={MODEL_VERSION}"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every check holds, 1 where one does not, 2 for wrong arguments, 130 where it was interrupted."""
    stage = _parse(arguments)
    run = uuid.uuid4().hex[:12]
    try:
        failures = run_part(Access(stage))
        if not failures:
            failures = run_part(Reports(stage, run)) + run_part(Embeddings(stage, run))
    except KeyboardInterrupt:
        print("Interrupted.", flush=True)
        return 130
    print(f"{stage.url}: {f'FAILED, {failures} of the checks' if failures else 'all checks hold'}.", flush=True)
    return 1 if failures else 0


def run_part(part: Part) -> int:
    """The number of checks that failed; those that build on a failed one are said to be left out."""
    failures = 0
    try:
        for name, step in part.steps():
            if failures:
                print(f"left out  {name}", flush=True)
            else:
                failures += not check(name, step)
    finally:
        failures += not check("clean-up", part.clean_up, quiet=True)
    return failures


def check(name: str, step: Callable[[], None], *, quiet: bool = False) -> bool:
    """One line on how it went; `quiet` says failures alone."""
    began = time.monotonic()
    try:
        step()
    except StageError as error:
        print(f"FAILED    {name}: {error}", flush=True)
        return False
    except (KeyError, TypeError, AttributeError) as error:
        print(f"FAILED    {name}: the answer lacks {error}", flush=True)
        return False
    if not quiet:
        print(f"ok        {name} ({time.monotonic() - began:.2f} s)", flush=True)
    return True


def _ensure(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StageError(otherwise)


def _parse(arguments: Sequence[str] | None) -> Stage:
    parser = argparse.ArgumentParser(
        prog="scripts/smoke.sh", description="Runs the main routes of a stage, and cleans up after itself."
    )
    parser.add_argument("url", metavar="URL", help="the API's address, such as deploy.sh prints")
    parser.add_argument("token", metavar="TOKEN", help="a bearer token of a user; `-` reads it from standard input")
    found = parser.parse_args(arguments)
    from_stdin = "-"
    try:
        return read_stage(found.url, sys.stdin.readline() if found.token == from_stdin else found.token)
    except StageError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
