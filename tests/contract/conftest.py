"""Every contract test runs once per engine; the servers start once per run, and each test has users of its own."""

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType

import pytest

from shared.config import Settings
from shared.database import (
    DatabaseManager,
    DBProductEmbedding,
    EmbeddingRepository,
    ModelVersionRepository,
    ReportRepository,
    UserRepository,
)
from shared.similarity.objects import ObjectStore
from tests.support.engines import NAMES, Engine, dynoxide_engine, ministack_engine, moto_engine


def as_read(stored: DBProductEmbedding) -> DBProductEmbedding:
    """What a read gives of it: whether it was new is told by its store alone."""
    return stored.model_copy(update={"is_new": False})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect a test on an engine that is listed as differing from DynamoDB there."""
    left_out = [item for item in items if _differs(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _differs(item: pytest.Item) -> bool:
    engine = (
        item.callspec.params.get("engine") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
    )
    return any(mark.args[0].engine == engine for mark in item.iter_markers("unlike"))


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with ministack_engine(tmp_path_factory.mktemp("ministack")) as engine:
        yield engine


@pytest.fixture(scope="session")
def dynoxide() -> Iterator[Engine]:
    with dynoxide_engine() as engine:
        yield engine


@pytest.fixture(params=NAMES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    name = request.param
    context: AbstractContextManager[Engine] = (
        moto_engine() if name == "moto" else nullcontext(request.getfixturevalue(name))
    )
    with context as running:
        yield running


@pytest.fixture
def manager(engine: Engine) -> DatabaseManager:
    return engine.manager()


@pytest.fixture
def reports(manager: DatabaseManager) -> ReportRepository:
    return ReportRepository(manager)


@pytest.fixture
def users(manager: DatabaseManager) -> UserRepository:
    return UserRepository(manager)


@pytest.fixture
def embeddings(manager: DatabaseManager) -> EmbeddingRepository:
    return EmbeddingRepository(manager)


@pytest.fixture
def models(manager: DatabaseManager) -> ModelVersionRepository:
    return ModelVersionRepository(manager)


@pytest.fixture
def objects(engine: Engine) -> ObjectStore:
    """The bucket of the template, in an engine that has S3."""
    environ = dict(engine.settings(engine.endpoint).environ)
    if engine.endpoint:
        environ["AWS_ENDPOINT_URL_S3"] = engine.endpoint
    store = ObjectStore(Settings(MappingProxyType(environ)))
    store.client.create_bucket(Bucket=store.settings.similarity_bucket)
    return store


@pytest.fixture
def alice() -> str:
    return f"alice-{uuid.uuid4()}"


@pytest.fixture
def bob() -> str:
    return f"bob-{uuid.uuid4()}"
