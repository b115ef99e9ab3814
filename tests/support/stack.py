"""The embedded store for tests: `start_store(tmp_path)` gives one with the template's tables; stop it when done."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.local import clients, resources, store
from scripts.local.folder import LocalFolder
from scripts.local.store import Store
from scripts.local.template import Template

ENVIRONMENT = "dev"


def start_store(path: Path, *, environment: str | None = ENVIRONMENT) -> Store:
    """A store on a free port that keeps its state below `path`; environment None leaves it without tables."""
    started = store.start(LocalFolder(path), port=0)
    if environment:
        resources.create_tables(clients.dynamodb(started.endpoint), Template.load(), environment)
    return started


@contextmanager
def running_store(path: Path, *, environment: str | None = ENVIRONMENT) -> Iterator[Store]:
    """`start_store` as a block."""
    started = start_store(path, environment=environment)
    try:
        yield started
    finally:
        started.stop()
