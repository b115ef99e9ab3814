"""The laptop stack as a whole: one lock, the store, what is in it, and the gateway in front."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from scripts.local import clients, console, demo, identity, locks, resources, serving, state, store
from scripts.local.failure import LocalStackError
from scripts.local.folder import LocalFolder
from scripts.local.gateway import ensure_port_is_free
from scripts.local.signals import StopRequest
from scripts.local.template import Template
from scripts.local.uploads import uploads_checked
from scripts.local.variables import ENVIRONMENT, as_shell, forget_aws, local_deployment, local_variables


@dataclass(frozen=True, slots=True)
class LocalStack:
    """One run of dev.sh."""

    folder: LocalFolder
    port: int
    stop: StopRequest
    template: Template
    front: serving.Front = serving.in_process

    def run(self, *, reset: bool) -> None:
        forget_aws(os.environ)
        self.folder.create()
        with contextlib.ExitStack() as ends:
            lock = self._lock()
            ends.callback(lock.close)
            ensure_port_is_free(self.port)
            if reset:
                self._reset()
            running = self._start_store()
            ends.callback(self._stop_store, running)
            self.stop.check()
            self._serve(running, lock)

    def _lock(self) -> locks.Lock:
        lock = locks.acquire(self.folder.stack_lock)
        if lock is None:
            note = locks.read_note(self.folder.stack_lock)
            where = f"at {note['url']}" if "url" in note else "and is starting or stopping"
            raise LocalStackError(
                f"Another dev.sh uses {self.folder.root} already (process {note.get('pid', 'unknown')}) {where}. "
                "End it with Ctrl-C, or set K9_LOCAL_DIR to another folder for a second stack."
            )
        lock.write({"pid": os.getpid()})
        return lock

    def _reset(self) -> None:
        store.stop_orphan(self.folder)
        state.discard(self.folder)
        console.say("Reset: starting afresh.")

    def _start_store(self) -> store.Store:
        if store.stop_orphan(self.folder):
            console.say("A store was left running by an earlier dev.sh; it has saved its data.")
        console.say("Starting the store ...")
        return store.start(self.folder)

    def _stop_store(self, running: store.Store) -> None:
        console.say("Saving ...")
        running.stop()
        console.say(f"Saved in {self.folder.state}.")

    def _serve(self, running: store.Store, lock: locks.Lock) -> None:
        pool, tokens = self._prepare(running.endpoint)
        deployment = local_deployment(pool)
        variables = local_variables(self.template, deployment, pool, running.endpoint)
        os.environ.update(variables)
        write_private(self.folder.variables, as_shell(variables))
        backend = serving.Backend(
            self.template, deployment, pool, running.endpoint, self.port, self.folder, self.stop.check
        )
        bucket = self.template.bucket(ENVIRONMENT)
        with self.front(backend) as served, uploads_checked(clients.s3(running.endpoint), bucket):
            self._load_demo(running.endpoint, served.port, tokens)
            url = f"http://localhost:{served.port}"
            lock.write({"pid": os.getpid(), "url": url, "store": running.endpoint, "client_id": pool.client_id})
            console.say(console.welcome(url, self.folder.tokens, served.log))
            serving.until_stopped(self.stop, lambda: running.alive and served.is_whole())

    def _prepare(self, endpoint: str) -> tuple[identity.Pool, dict[str, str]]:
        try:
            pool = self._fill(endpoint)
            return pool, self._write_tokens(endpoint, pool)
        except (BotoCoreError, ClientError) as exc:
            raise LocalStackError(f"The store cannot be set up: {exc}. Its log is {self.folder.store_log}.") from exc

    def _fill(self, endpoint: str) -> identity.Pool:
        resources.create_tables(clients.dynamodb(endpoint), self.template, ENVIRONMENT)
        self.stop.check()
        resources.create_bucket(clients.s3(endpoint), self.template.bucket(ENVIRONMENT))
        return identity.ensure_pool(clients.cognito(endpoint))

    def _write_tokens(self, endpoint: str, pool: identity.Pool) -> dict[str, str]:
        client = clients.cognito(endpoint)
        names = [person.username for person in identity.PEOPLE]
        tokens = {name: identity.sign_in(client, pool.client_id, name) for name in names}
        for name, token in tokens.items():
            write_private(self.folder.tokens / f"{name}.token", token + "\n")
        return tokens

    def _load_demo(self, endpoint: str, port: int, tokens: Mapping[str, str]) -> None:
        client, table = clients.dynamodb(endpoint), self._reports_table()
        if not demo.is_loaded(client, table):
            self.stop.check()
            console.say(f"Loaded {demo.load_reports(port, tokens['alice'])} demo reports for alice.")
            demo.mark_loaded(client, table)
        if not demo.is_loaded(client, table, demo.EMBEDDINGS):
            self.stop.check()
            loaded = demo.load_embeddings(port, tokens["admin"])
            console.say(f"Loaded {loaded} demo products, with embeddings, into the shared catalogue.")
            demo.mark_loaded(client, table, demo.EMBEDDINGS)

    def _reports_table(self) -> str:
        return next(table.name for table in self.template.tables(ENVIRONMENT) if table.logical_id == "ReportsTable")


def fresh_token(folder: LocalFolder, username: str) -> str:
    """A new token of a running stack. Raises LocalStackError where none runs."""
    forget_aws(os.environ)
    note = locks.holder(folder.stack_lock)
    if note is None or "store" not in note:
        raise LocalStackError("The stack is not running: start ./scripts/dev.sh, then ask for a token.")
    return identity.sign_in(clients.cognito(note["store"]), note["client_id"], username)


def write_private(path: Path, text: str) -> None:
    """A file that only its owner can read, even if it was there with other rights."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
