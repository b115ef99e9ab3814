"""The check of uploads when it is ended, repeated and overtaken, at every AWS call that it makes: one end for all."""

import contextlib
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from shared.avatars.names import Upload, avatar_prefix, upload_prefix
from shared.avatars.removing import remove_former
from shared.database import DatabaseManager, DBUser, UserRepository
from shared.models.fields import now
from shared.similarity.objects import default_objects
from tests.support.images import decoded, image
from tests.support.uploads import Ended, at_call, check, keys

MOMENTS = ["before", "after"]
MOST_CALLS = 20

State = tuple[Any, ...]
Act = Callable[[], object]


class World:
    """A user of their own for each history, so that one bucket and one table do for all; they have an avatar."""

    def __init__(self, manager: DatabaseManager, number: int) -> None:
        self.manager = manager
        self.user_id = f"user {number}"
        UserRepository.create_user(DBUser(user_id=self.user_id))
        upload = Upload.new(self.user_id, now())
        self.first = upload.avatar_path(b"first")
        default_objects().put(self.first.removeprefix("/"), b"first")
        UserRepository.place_avatar(self.user_id, self.first, upload.requested_at)

    def uploads(self, *bodies: bytes) -> list[str]:
        """Uploads that have arrived, in the order in which they were asked for."""
        keys = [Upload.new(self.user_id, now()).key for _ in bodies]
        for key, body in zip(keys, bodies, strict=True):
            arrive(key, body)
        return keys

    def state(self) -> State:
        """All that matters afterwards, with names that are alike in all histories: whose avatar it is, and why none."""
        user = UserRepository.get_user(self.user_id)
        objects = keys(avatar_prefix(self.user_id)), keys(upload_prefix(self.user_id))
        shown = "first" if user.avatar_url == self.first else user.avatar_url and "another"
        return shown, user.avatar_error, objects[0] == [(user.avatar_url or "/").removeprefix("/")], objects[1]


@pytest.fixture
def worlds(manager: DatabaseManager) -> Iterator[World]:
    return (World(manager, number) for number in count())


def arrive(key: str, body: bytes) -> None:
    default_objects().put(key, body, media_type="image/png")


def end() -> None:
    raise Ended


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("body", "shown", "is_refused"),
    [(image(), "another", False), (b"text", "first", True)],
    ids=["an image", "none"],
)
def test_a_check_that_is_ended_anywhere_comes_to_the_same_end_when_it_is_repeated(
    worlds: Iterator[World], body: bytes, shown: str, is_refused: bool, moment: str
) -> None:
    for number in range(1, MOST_CALLS):
        world = next(worlds)
        (key,) = world.uploads(body)
        with contextlib.suppress(Ended), at_call(world.manager, number, moment, end) as calls:
            check(key)
        if len(calls) < number:
            break
        check(key)
        found = world.state()
        assert (found[0], found[1] is not None, found[2:]) == (shown, is_refused, (True, [])), (number, calls)
        check(key)
        assert world.state() == found
    assert number == (7 if not is_refused else 5)


@pytest.mark.parametrize("moment", MOMENTS)
def test_that_of_a_user_who_is_gone_leaves_nothing_wherever_it_is_ended(worlds: Iterator[World], moment: str) -> None:
    for number in range(1, MOST_CALLS):
        world = next(worlds)
        (key,) = world.uploads(image())
        UserRepository.delete_user(world.user_id)
        with contextlib.suppress(Ended), at_call(world.manager, number, moment, end) as calls:
            check(key)
        if len(calls) < number:
            break
        check(key)
        assert keys(avatar_prefix(world.user_id)) == keys(upload_prefix(world.user_id)) == []
    assert number == 7


def older(world: World) -> tuple[str, Act]:
    first, second = world.uploads(image(colour="red"), image(colour="blue"))
    return first, lambda: check(second)


def newer(world: World) -> tuple[str, Act]:
    first, second = world.uploads(image(colour="red"), image(colour="blue"))
    return second, lambda: check(first)


def same(world: World) -> tuple[str, Act]:
    (key,) = world.uploads(image())
    return key, lambda: check(key)


def same_form_with_another_image(world: World) -> tuple[str, Act]:
    (key,) = world.uploads(image(colour="red"))

    def replay() -> None:
        arrive(key, image(colour="blue"))
        check(key)

    return key, replay


def same_form_with_no_image(world: World) -> tuple[str, Act]:
    (key,) = world.uploads(image(colour="red"))

    def replay() -> None:
        arrive(key, b"text")
        check(key)

    return key, replay


def refused_and_newer(world: World) -> tuple[str, Act]:
    first, second = world.uploads(b"text", image(colour="blue"))
    return first, lambda: check(second)


def removed(world: World) -> tuple[str, Act]:
    (key,) = world.uploads(image())

    def remove() -> None:
        """As `PATCH /user/profile` does."""
        remove_former(default_objects(), UserRepository.update_user(world.user_id, {"avatar_url": None}))

    return key, remove


ENDS: dict[Callable[[World], tuple[str, Act]], str | None] = {
    older: "another",
    newer: "another",
    same: "another",
    same_form_with_another_image: "another",
    same_form_with_no_image: "another",
    refused_and_newer: "another",
    removed: None,
}


@pytest.mark.parametrize(
    ("pair", "is_ended"),
    [*((pair, pair is not same_form_with_no_image) for pair in ENDS), (older, False)],
    ids=lambda value: {True: "ended and repeated", False: "goes on"}.get(value) or value.__name__,
)
def test_another_that_comes_between_any_two_calls_changes_nothing_of_the_end(
    worlds: Iterator[World], pair: Callable[[World], tuple[str, Act]], is_ended: bool
) -> None:
    """The newest is shown and its picture is there, nothing else is, and no upload is left."""
    for number in range(1, MOST_CALLS):
        world = next(worlds)
        key, other = pair(world)

        def between(other: Act = other) -> None:
            other()
            if is_ended:
                raise Ended

        with contextlib.suppress(Ended), at_call(world.manager, number, "before", between) as calls:
            check(key)
        if is_ended:
            check(key)
        if len(calls) < number:
            other()
        objects = keys(avatar_prefix(world.user_id))
        shown, error, is_alone, left = world.state()
        if pair is same_form_with_no_image and number == 1:  # it took the image's place before anybody saw that
            assert (shown, error is not None, is_alone, left) == ("first", True, True, [])
        else:
            assert (shown, error, left) == (ENDS[pair], None, []), (number, calls)
            assert len(objects) == (0 if shown is None else 1)
            assert is_alone == (shown is not None)
        if pair in (older, newer, refused_and_newer):
            assert is_blue(objects[0])
        if len(calls) < number:
            break
    assert number > 4


def is_blue(key: str) -> bool:
    stored = default_objects().get(key)
    assert stored
    return decoded(stored.body).getpixel((3, 3)) == (0, 0, 255)


def test_the_watch_on_calls_ends_where_it_is_told_to(manager: DatabaseManager) -> None:
    """The tests above would pass for one that never does."""
    world = World(manager, 0)
    (key,) = world.uploads(image())
    with pytest.raises(Ended), at_call(manager, 2, "before", end) as calls:
        check(key)
    assert calls == ["GetObject", "PutObject"]
    assert world.state() == ("first", None, True, [key])
