"""The embedded store as a real process: what it holds survives every kind of end that it can survive."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.local import clients, locks, store
from scripts.local.folder import PROJECT, LocalFolder
from scripts.local.identity import ensure_pool, sign_in
from scripts.local.ports import free_port
from scripts.local.state import StateError
from scripts.local.store import Store, StoreError
from scripts.local.template import Template
from tests.support.stack import running_store, start_store

TABLE = "k9-users-dev"


def write(running: Store, user_id: str = "u1") -> None:
    clients.dynamodb(running.endpoint).put_item(TableName=TABLE, Item={"user_id": {"S": user_id}})


def users(running: Store) -> set[str]:
    items = clients.dynamodb(running.endpoint).scan(TableName=TABLE)["Items"]
    return {item["user_id"]["S"] for item in items}


def test_the_templates_tables_are_there(tmp_path: Path) -> None:
    with running_store(tmp_path) as running:
        names = clients.dynamodb(running.endpoint).list_tables()["TableNames"]
    assert set(names) == {table.name for table in Template.load().tables("dev")}


def test_rows_objects_and_people_survive_a_restart(tmp_path: Path) -> None:
    with running_store(tmp_path) as first:
        write(first)
        s3 = clients.s3(first.endpoint)
        s3.create_bucket(Bucket="things")
        s3.put_object(Bucket="things", Key="a/b", Body=b"\x00\xff")
        pool = ensure_pool(clients.cognito(first.endpoint))
    with running_store(tmp_path) as second:
        assert users(second) == {"u1"}
        assert clients.s3(second.endpoint).get_object(Bucket="things", Key="a/b")["Body"].read() == b"\x00\xff"
        cognito = clients.cognito(second.endpoint)
        assert ensure_pool(cognito) == pool
        assert sign_in(cognito, pool.client_id, "alice")


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    running = start_store(tmp_path)
    running.stop()
    running.stop()


def test_the_last_good_copy_is_the_state_before(tmp_path: Path) -> None:
    with running_store(tmp_path) as first:
        write(first, "before")
    with running_store(tmp_path) as second:
        write(second, "after")
    copy = (LocalFolder(tmp_path).previous / "dynamodb.json").read_text(encoding="utf-8")
    assert '"before"' in copy
    assert '"after"' not in copy


def test_a_corrupt_state_is_refused_and_left_alone(tmp_path: Path) -> None:
    with running_store(tmp_path) as first:
        write(first)
    path = LocalFolder(tmp_path).state / "dynamodb.json"
    torn = path.read_bytes()[:-10]
    path.write_bytes(torn)
    with pytest.raises(StateError, match=r"dynamodb\.json: it is not whole JSON"):
        start_store(tmp_path)
    assert path.read_bytes() == torn
    assert locks.holder(LocalFolder(tmp_path).store_lock) is None


def test_a_state_that_the_store_cannot_load_is_not_saved_over(tmp_path: Path) -> None:
    with running_store(tmp_path) as first:
        write(first)
    path = LocalFolder(tmp_path).state / "dynamodb.json"
    newer = json.dumps({**json.loads(path.read_text(encoding="utf-8")), "__ministack_format__": 99})
    path.write_text(newer, encoding="utf-8")
    with pytest.raises(StoreError, match="could not load its state"):
        start_store(tmp_path)
    assert path.read_text(encoding="utf-8") == newer


def test_a_killed_store_says_what_is_lost(tmp_path: Path) -> None:
    with running_store(tmp_path) as first:
        write(first, "saved")
    second = start_store(tmp_path)
    write(second, "unsaved")
    os.kill(second.process.pid, signal.SIGKILL)
    second.process.wait()
    assert not second.alive
    with pytest.raises(StoreError, match="killed or crashed"):
        second.stop()
    with running_store(tmp_path) as third:
        assert users(third) == {"saved"}


_ABANDON = """
import os, signal, sys
from pathlib import Path
from tests.support.stack import start_store
from tests.integration.test_store import write
write(start_store(Path(sys.argv[1])), "orphaned")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_orphan_saves_before_the_next_start(tmp_path: Path) -> None:
    """A supervisor that is killed outright leaves its store alive; nothing that it holds is lost."""
    environ = {**os.environ, "PYTHONPATH": f"{PROJECT}/src:{PROJECT}"}
    ended = subprocess.run([sys.executable, "-c", _ABANDON, tmp_path], env=environ, cwd=PROJECT, check=False)
    assert ended.returncode == -signal.SIGKILL
    folder = LocalFolder(tmp_path)
    orphan = locks.holder(folder.store_lock)
    assert orphan is not None
    with running_store(tmp_path) as running:
        assert users(running) == {"orphaned"}
        assert running.process.pid != orphan["pid"]


def test_there_is_no_orphan_to_stop(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.create()
    assert store.stop_orphan(folder) is False


def test_a_holder_without_a_number_is_not_guessed(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.create()
    lock = locks.acquire(folder.store_lock)
    assert lock is not None
    with pytest.raises(StoreError, match=r"store\.lock"):
        store.stop_orphan(folder)
    lock.close()


def test_ctrl_c_at_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    with running_store(tmp_path) as running:
        assert os.getsid(running.process.pid) != os.getsid(0)


def test_it_sees_nothing_of_the_users_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-real-secret")
    seen = store._environment(LocalFolder(tmp_path), 1234)
    assert "AWS_PROFILE" not in seen
    assert "a-real-secret" not in seen.values()


def test_a_taken_port_is_no_obstacle(tmp_path: Path) -> None:
    with running_store(tmp_path / "one") as one:
        two = store.start(LocalFolder(tmp_path / "two"), port=one.port)
        assert two.port != one.port
        two.stop()


def test_a_port_that_is_lost_to_another_store_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that start at once may both find a port free; the one that comes too late must not write into the other."""
    with running_store(tmp_path / "one") as one:
        free = [one.port, one.port, free_port()]
        monkeypatch.setattr(store, "free_port", lambda preferred: free.pop(0))
        two = store.start(LocalFolder(tmp_path / "two"))
        assert free == []
        assert two.port != one.port
        assert clients.dynamodb(two.endpoint).list_tables()["TableNames"] == []
        two.stop()


def test_ports_are_not_tried_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_store(tmp_path / "one") as one:
        monkeypatch.setattr(store, "free_port", lambda preferred: one.port)
        with pytest.raises(StoreError, match="5 ports in a row were taken"):
            store.start(LocalFolder(tmp_path / "two"))


def test_stopping_is_quick_with_clients_still_connected(tmp_path: Path) -> None:
    running = start_store(tmp_path)
    client = clients.dynamodb(running.endpoint)
    client.list_tables()
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 10


def test_a_start_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "INTERPRETER", Path(sys.executable))
    with pytest.raises(StoreError, match="No module named ministack"):
        start_store(tmp_path)
    assert locks.holder(LocalFolder(tmp_path).store_lock) is None


def test_a_missing_environment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "INTERPRETER", tmp_path / "nowhere" / "python")
    with pytest.raises(StoreError, match=r"is missing\. Run \./scripts/dev\.sh"):
        start_store(tmp_path)
