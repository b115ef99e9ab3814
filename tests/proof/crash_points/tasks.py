"""What Lambda runs without a request: the worker's tasks, the schedule, and the check of uploads."""

from typing import Any

from handlers import avatar_uploads, resume, worker
from shared.account.account_exports import ExportStore
from shared.account.erasures import ErasureStore
from shared.avatars.names import Upload
from shared.config import TenantLimits, get_settings
from shared.database import EmbeddingRepository, UserRepository
from shared.database.limit_counters import LimitCounters, Use
from shared.database.manager import default_manager
from shared.models.fields import now
from shared.models.user import DBUser
from shared.scope import Growth
from shared.similarity.matrix import MatrixStore
from shared.similarity.objects import default_objects
from tests.support.cases import MODEL, embed
from tests.support.images import image
from tests.support.uploads import event

from .requests import PRODUCTS, with_account, with_matrix, with_products
from .scenario import Act, Scenario
from .world import USER, World

_OF_MODEL = {"owner": USER, "model_version": MODEL}


def scenarios_of_tasks() -> list[Scenario]:
    return [
        _snapshot("snapshot from nothing", with_products),
        _snapshot("snapshot from the one before", _with_snapshot),
        _snapshot("snapshot of few segments in place of many", _with_small_segments),
        _snapshot("snapshot of the whole table again", _with_snapshot, full=True),
        _matrix("matrix", with_products),
        _matrix("matrix after another", with_matrix),
        Scenario("erasure, to its end", "task erase", _erase, _with_erasure),
        Scenario("copy of an account, to its end", "task export", _export, _with_export),
        Scenario("recount of what a tenant stores", "task recount", _recount, _with_drift, _ask_for_another),
        Scenario("schedule", "handlers.resume", _resume, _with_much_pending, World.settle, goes_on=True),
        Scenario("uploads of avatars", "handlers.avatar_uploads", _check_uploads, _with_uploads),
    ]


def _snapshot(name: str, prepare: Act, *, full: bool = False) -> Scenario:
    def act(world: World) -> None:
        _work(world, _snapshot_task(full=full))

    return Scenario(name, "task snapshot", act, prepare, read, next_use=build_next)


def _snapshot_task(*, full: bool = False) -> dict[str, Any]:
    """As a search asks for it (`shared.similarity.asking`)."""
    return {"task": "snapshot", **_OF_MODEL, "full": full, "asked_at": now()}


def _matrix(name: str, prepare: Act) -> Scenario:
    def prepare_and_ask(world: World) -> None:
        prepare(world)
        MatrixStore(default_objects(), USER, MODEL).request_build(2)

    def act(world: World) -> None:
        with world.aside():
            build_id = MatrixStore(default_objects(), USER, MODEL).status().build_id
        _work(world, {"task": "matrix", **_OF_MODEL, "build_id": build_id})

    return Scenario(name, "task matrix", act, prepare_and_ask, read, next_use=build_next)


def read(world: World) -> None:
    """What a reader finds in the snapshot, and in the matrix, where there is one."""
    world.restart()
    search = {"model_version": MODEL, "embedding_vector": [1.0, 0.5], "top_k": 100, "include_vectors": True}
    world.request(lambda api: api.post("/embeddings/search", search))
    query = {"model_version": MODEL}
    world.request(lambda api: api.get(f"/embeddings/similarity/{PRODUCTS[0]}", query=query))


def build_next(world: World) -> None:
    """Hours later, somebody asks for a snapshot and a matrix again, twice."""
    for _ in range(2):
        world.pass_time(hours=2)
        world.invoke(worker.handler, _snapshot_task())
        status, _ = MatrixStore(default_objects(), USER, MODEL).request_build(3)
        world.invoke(worker.handler, {"task": "matrix", **_OF_MODEL, "build_id": status.build_id})


def _work(world: World, task: dict[str, Any]) -> None:
    world.invoke(worker.handler, task)


def _with_snapshot(world: World) -> None:
    """One is replaced since, one is new, and one is gone; what an earlier snapshot named has to be swept."""
    with_products(world)
    world.invoke(worker.handler, _snapshot_task())
    world.pass_time(hours=2)
    embed(USER, PRODUCTS[1], [0.1, 0.2], {"price": 100})
    embed(USER, "new", [0.3, 0.2], {"price": 101})
    EmbeddingRepository.delete_embedding(PRODUCTS[6], USER, MODEL)


def _with_small_segments(world: World) -> None:
    for number in range(4):
        embed(USER, f"small {number}", [1.0, number / 4], {"price": number})
        world.invoke(worker.handler, _snapshot_task())
        world.pass_time(hours=2)
    embed(USER, "small 0", [0.5, 0.5], {"price": 5})


def _with_erasure(world: World) -> None:
    with_account(world)
    ErasureStore.of_user(default_objects(), USER).request(USER, get_settings().token_life)


def _erase(world: World) -> None:
    """Through all its stages: what the schedule does in between may die as well."""
    with world.aside():
        store = ErasureStore.of_user(default_objects(), USER)
        status = store.status()
    assert status is not None
    _work(world, {"task": "erase", "account": store.account, "erasure_id": status.id})
    world.settle()


def _with_export(world: World) -> None:
    with_account(world)
    ExportStore(default_objects(), USER).request()


def _export(world: World) -> None:
    with world.aside():
        status = ExportStore(default_objects(), USER).status()
    assert status is not None
    _work(world, {"task": "export", "owner": USER, "export_id": status.id})
    world.settle()


def _with_drift(world: World) -> None:
    """Counters that a process left too high: of more than there is, and of a window that is over."""
    with_account(world)
    use = Use(USER, 100, "writes", Growth(100, 10_000))
    LimitCounters(default_manager()).use(use, TenantLimits({"writes": 10}, rows=1000))


def _recount(world: World) -> None:
    _work(world, {"task": "recount", "user_id": USER})


def _ask_for_another(world: World) -> None:
    """The claim of a worker that died ends by itself; then whoever is refused asks again."""
    world.pass_time(minutes=21)
    _recount(world)


def _with_much_pending(world: World) -> None:
    """An erasure, two copies, and a marker of one that was never asked for."""
    embed("leaving")
    ErasureStore.of_user(default_objects(), "leaving").request("leaving", get_settings().token_life)
    for user in ("first", "second"):
        ExportStore(default_objects(), user).request()
    default_objects().put("pending/exports/nobody/00000000-0000-4000-8000-000000000000", b"")
    world.pass_time(minutes=90)


def _resume(world: World) -> None:
    world.invoke(resume.handler, {})


def _with_uploads(world: World) -> None:
    """Of one user who has an avatar: an image, and what is none; of another an image; and one of nobody."""
    for user in (USER, "another"):
        UserRepository.create_user(DBUser(user_id=user, name="N"))
    for user, body in ((USER, image()), (USER, b"text"), ("another", image(colour="blue")), ("nobody", image())):
        default_objects().put(Upload.new(user, now()).key, body, media_type="image/png")
    default_objects().put("uploads/no upload", b"")


def _check_uploads(world: World) -> None:
    keys = [key for key in world.engine.objects() if key.startswith("uploads/")]
    world.invoke(avatar_uploads.handler, event(*keys))
