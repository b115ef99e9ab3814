"""An index that lags behind its table: reads by id never do; a list may miss a report, and is right about the rest."""

from collections.abc import Iterator
from typing import Any

import pytest

from shared.database import DatabaseManager
from tests.support.api import Api


class LaggingIndex:
    """Hides the rows that the index has not `seen` yet; None: it has caught up."""

    def __init__(self) -> None:
        self.seen: set[str] | None = None

    def hide(self, parsed: dict[str, Any], **_: object) -> None:
        if self.seen is not None:
            parsed["Items"] = [item for item in parsed["Items"] if item["id"]["S"] in self.seen]


@pytest.fixture
def index(manager: DatabaseManager) -> Iterator[LaggingIndex]:
    lagging = LaggingIndex()
    manager.client.meta.events.register("after-call.dynamodb.Query", lagging.hide)
    yield lagging
    manager.client.meta.events.unregister("after-call.dynamodb.Query", lagging.hide)


def listed(api: Api, query: str = "limit=2") -> list[str]:
    """The ids of every page, walked to the end."""
    ids: list[str] = []
    page = api.get("/reports", query=query).json()
    for _ in range(10):
        ids += [report["id"] for report in page["reports"]]
        if not page["has_more"]:
            return ids
        page = api.get("/reports", query=f"{query}&cursor={page['next_cursor']}").json()
    raise AssertionError("the walk did not end")


def test_what_was_just_written_is_read_by_id_and_may_be_missing_from_a_list(alice: Api, index: LaggingIndex) -> None:
    old = [alice.post("/reports", {"title": "old"}).json()["id"] for _ in range(3)]
    index.seen = set(old)
    new = alice.post("/reports", {"title": "new"}).json()
    assert alice.get(f"/reports/{new['id']}").json() == new
    assert listed(alice) == old[::-1]
    index.seen = None
    assert listed(alice) == [new["id"], *old[::-1]]


def test_a_report_that_reaches_the_index_during_a_walk_is_not_listed_twice(alice: Api, index: LaggingIndex) -> None:
    ids = [alice.post("/reports", {"title": str(number)}).json()["id"] for number in range(4)]
    index.seen = set(ids[:3])
    first = alice.get("/reports", query="limit=2").json()
    index.seen = None
    rest = alice.get("/reports", query=f"limit=2&cursor={first['next_cursor']}").json()
    walked = [report["id"] for report in first["reports"] + rest["reports"]]
    assert walked == [ids[2], ids[1], ids[0]]
