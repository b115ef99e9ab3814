"""What a built function talks to when it is started on this machine.

The embedded store, the pool's keys, and somebody who takes tasks for the worker.
"""

import http.server
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from scripts.local import clients
from shared.avatars.requesting import request_upload
from shared.database import DBUser, UserRepository
from shared.database.manager import default_manager
from shared.events import Event
from shared.process import renew
from shared.similarity.objects import default_objects
from tests.support.api import Api
from tests.support.cases import MODEL, REPORT, Case, embed, prepare
from tests.support.engines import Engine, ministack_engine
from tests.support.environment import AWS_IDENTITY
from tests.support.images import image
from tests.support.tokens import TokenFactory, jwks
from tests.support.uploads import event

_ZONE = "127.0.0.1"


@dataclass(frozen=True)
class Scene:
    """A place to answer in; `variables` are those of a function."""

    variables: Mapping[str, str]
    tokens: TokenFactory

    def event(self, case: Case, owner: str) -> Event:
        """A request of `owner` that succeeds with the case's status: what it needs is stored first."""
        with self._process():
            _remove_report()
            prepare(owner, case)
            return case.event(Api(self.tokens.id_token(owner)))

    def task(self, owner: str) -> dict[str, object]:
        """A task for the worker that has something to do: there is a product, and no snapshot yet."""
        with self._process():
            embed(owner)
        return {"task": "snapshot", "owner": owner, "model_version": MODEL}

    def manifests(self, owner: str) -> list[str]:
        """The keys of the snapshots' manifests that the owner has."""
        with self._process():
            found = [info.key for info in default_objects().list(f"similarity/{owner}/")]
        return [key for key in found if key.endswith("manifest.json")]

    def upload(self, owner: str) -> dict[str, object]:
        """What the bucket tells of an image that `owner` has uploaded."""
        with self._process():
            user = UserRepository.ensure_user(DBUser(user_id=owner))
            form = request_upload(default_objects(), user, "image/webp")
            default_objects().put(form.fields["key"], image("image/webp"), media_type="image/webp")
        return event(form.fields["key"])

    def avatar(self, owner: str) -> str | None:
        """The address of the owner's avatar, as it is stored."""
        with self._process():
            return UserRepository.get_user(owner).avatar_url

    @contextmanager
    def _process(self) -> Iterator[None]:
        """This process as a function of the scene."""
        with patch.dict(os.environ, self.variables):
            renew()
            yield
        renew()


def _remove_report() -> None:
    """Whoever's it is: all cases name the same one."""
    manager = default_manager()
    manager.client.delete_item(TableName=manager.settings.reports_table, Key={"id": {"S": REPORT}})


@contextmanager
def running_scene(folder: Path) -> Iterator[Scene]:
    tokens, identity = TokenFactory(), patch.dict(os.environ, AWS_IDENTITY)
    with identity, ministack_engine(folder) as engine, http.server.ThreadingHTTPServer((_ZONE, 0), _Others) as others:
        threading.Thread(target=others.serve_forever, daemon=True).start()
        _Others.keys = jwks(tokens.key.jwk())
        scene = Scene(_variables(engine, f"http://{_ZONE}:{others.server_port}"), tokens)
        clients.s3(scene.variables["AWS_ENDPOINT_URL_S3"]).create_bucket(Bucket=scene.variables["SIMILARITY_BUCKET"])
        yield scene
        others.shutdown()


def _variables(engine: Engine, others: str) -> dict[str, str]:
    assert engine.endpoint
    return {
        **engine.settings(engine.endpoint).environ,
        "AWS_ENDPOINT_URL_S3": engine.endpoint,
        "AWS_ENDPOINT_URL_LAMBDA": others,
        "WORKER_FUNCTION": "worker",
        "COGNITO_JWKS_URL": f"{others}/jwks.json",
    }


class _Others(http.server.BaseHTTPRequestHandler):
    """The pool's keys, and Lambda as far as it takes asynchronous invocations."""

    keys = b""

    def do_GET(self) -> None:
        self._answer(200, self.keys)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(202, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""
