"""The two clients have the same methods, and each method is there once."""

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import k9_api
from k9_api import AsyncClient, Client
from k9_api.surface import AsyncGroup, Group, SyncGroup, iteration, operation
from tests.support.markdown import Page, code
from tests.unit.client.world import TOKEN, URL, World, ok, report

GROUPS = ("user", "reports", "embeddings", "similarity")
OF_ONE_SURFACE = {"close"}
README = Page.read("clients/python/README.md")


def clients(world: World) -> tuple[Client, AsyncClient]:
    known: dict[str, Any] = {"token": TOKEN, "transport": world.transport, "runtime": world.runtime}
    return Client(URL, **known), AsyncClient(URL, **known)


def methods(group: object) -> dict[str, inspect.Signature]:
    public = {name: getattr(group, name) for name in dir(group) if not name.startswith("_")}
    return {name: inspect.signature(value) for name, value in public.items() if callable(value)}


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_the_surfaces_have_the_same_methods(world: World, group: str) -> None:
    blocking, awaited = (getattr(each, group) if group else each for each in clients(world))
    assert methods(blocking) == methods(awaited)
    assert len(methods(blocking)) >= 4
    assert all("self" not in signature.parameters for signature in methods(blocking).values())


def test_the_readme_lists_every_method(world: World) -> None:
    client = clients(world)[0]
    own = {"client": set(methods(client)) - OF_ONE_SURFACE}
    groups = {f"client.{group}": set(methods(getattr(client, group))) for group in GROUPS}
    listed = {code(group): set(re.findall(r"`(\w+)`", names)) for group, names in README.tables("group")}
    assert listed == own | groups


def test_every_method_is_written_once() -> None:
    """What one surface alone has is how it is opened and closed."""
    own = [
        name
        for kind in [*all_below(SyncGroup), *all_below(AsyncGroup)]
        for name, value in vars(kind).items()
        if not name.startswith("_") and callable(value) and name not in OF_ONE_SURFACE
    ]
    assert own == []
    shared = [
        name
        for kind in all_below(Group)
        for name, value in vars(kind).items()
        if isinstance(value, operation | iteration) and not issubclass(kind, SyncGroup | AsyncGroup)
    ]
    assert len(shared) >= 45


def all_below(kind: type) -> list[type]:
    below: list[type] = type.__subclasses__(kind)
    return [found for each in below for found in (each, *all_below(each))]


def test_every_method_says_what_it_does() -> None:
    for kind in all_below(Group):
        for name, value in vars(kind).items():
            if isinstance(value, operation | iteration):
                assert value.__doc__, f"{kind.__name__}.{name}"


def test_one_blocks_and_the_other_is_awaited(world: World) -> None:
    page = ok({"reports": [report()], "next_cursor": None, "has_more": False})
    world.says(ok(report()), page, ok(report()), page)
    blocking, awaited = clients(world)
    with blocking:
        assert isinstance(blocking.reports.get("r1"), k9_api.Report)
        reports = blocking.reports.iterate()
        assert isinstance(reports, Iterator)
        assert len(list(reports)) == 1

    async def use() -> None:
        async with awaited:
            assert isinstance(await awaited.reports.get("r1"), k9_api.Report)
            listed = awaited.reports.iterate()
            assert isinstance(listed, AsyncIterator)
            assert len([each async for each in listed]) == 1

    asyncio.run(use())


def test_a_method_shows_itself_as_it_was_written(world: World) -> None:
    client, _ = clients(world)
    with client:
        assert client.reports.get.__name__ == "get"
        assert client.reports.get.__doc__ == "One of the caller's reports. Raises NotFound."
        assert list(inspect.signature(client.reports.get).parameters) == ["report_id"]
    assert isinstance(type(client.reports).get, operation)
    assert isinstance(type(client.reports).iterate, iteration)


def test_tasks_of_one_client_run_side_by_side(world: World) -> None:
    world.says(*[ok(report())] * 20)
    _, client = clients(world)

    async def use() -> int:
        async with client:
            return len(await asyncio.gather(*(client.reports.get(str(number)) for number in range(20))))

    assert asyncio.run(use()) == 20


def test_a_task_that_is_cancelled_ends(world: World) -> None:
    _, client = clients(world)

    async def token() -> str:
        await asyncio.sleep(60)
        return TOKEN

    async def use() -> None:
        async with AsyncClient(URL, token=token, transport=world.transport) as waiting:
            asking = asyncio.create_task(waiting.reports.get("r1"))
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        await client.close()

    asyncio.run(use())
    assert world.requests == []


def test_an_iterator_that_is_left_is_closed(world: World) -> None:
    page = {"reports": [report(), report()], "next_cursor": "c", "has_more": True}
    world.says(ok(page), ok(page))
    blocking, awaited = clients(world)
    with blocking:
        for _ in blocking.reports.iterate():
            break

    async def use() -> None:
        async with awaited:
            listed = awaited.reports.iterate()
            async for _ in listed:
                break
            await listed.aclose()  # type: ignore[attr-defined] # an async generator is one

    asyncio.run(use())
    assert len(world.requests) == 2


def test_the_names_of_the_package_are_there() -> None:
    assert all(hasattr(k9_api, name) for name in k9_api.__all__)
    assert len(set(k9_api.__all__)) == len(k9_api.__all__)
