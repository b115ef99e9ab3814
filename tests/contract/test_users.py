"""What every engine must do for the users repository."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.database import DBUser, Terms, UserRepository
from shared.errors import Conflict, InvalidRequest, NotFound, PreconditionFailed
from tests.contract.differences import MOTO_IS_NOT_ATOMIC, unlike


def test_a_user_comes_back_as_stored(users: UserRepository, alice: str) -> None:
    stored = users.create_user(DBUser(user_id=alice, name="Alice", preferences={"theme": "dark"}))
    assert users.get_user(alice) == stored
    with pytest.raises(Conflict):
        users.create_user(DBUser(user_id=alice, name="Other"))


def test_a_missing_user_is_not_found(users: UserRepository, alice: str) -> None:
    for operation in (users.get_user, users.delete_user):
        with pytest.raises(NotFound):
            operation(alice)
    with pytest.raises(NotFound):
        users.update_user(alice, {"name": "Ghost"})


@unlike(MOTO_IS_NOT_ATOMIC)
def test_the_first_sight_creates_a_user_exactly_once(users: UserRepository, alice: str) -> None:
    with ThreadPoolExecutor(20) as pool:
        seen = list(pool.map(lambda number: users.ensure_user(DBUser(user_id=alice, name=str(number))), range(20)))
    assert len({user.name for user in seen}) == 1
    assert users.get_user(alice) == seen[0]


def test_a_patch_merges_preferences(users: UserRepository, alice: str) -> None:
    users.create_user(DBUser(user_id=alice, name="A", preferences={"a": {"b": 1, "c": 2}, "d": 3}))
    changed = users.update_user(alice, {"preferences": {"a": {"b": None, "e": {"f": None}}, "d": [None]}})
    assert changed.preferences == {"a": {"c": 2, "e": {}}, "d": [None]}
    assert users.update_user(alice, {"preferences": {}}).preferences == changed.preferences
    assert users.update_user(alice, {"preferences": None, "name": None}).preferences == {}
    assert users.get_user(alice).name is None


def test_of_avatars_the_last_that_was_asked_for_stays(users: UserRepository, alice: str) -> None:
    """Whatever order they come in; a time that the row does not have is before any."""
    made, early, middle, late = (f"200{year}-01-01T00:00:00.000000Z" for year in range(4))
    users.create_user(DBUser(user_id=alice, created_at=middle))
    assert users.place_avatar(alice, "/early", early).avatar_url is None
    users.delete_user(alice)
    with pytest.raises(NotFound):
        users.place_avatar(alice, "/late", late)
    users.create_user(DBUser(user_id=alice, created_at=made))
    assert users.refuse_avatar(alice, "too large", early).avatar_error == "too large"
    assert users.place_avatar(alice, "/middle", middle).avatar_url == "/middle"
    for url, requested_at in (("/early", early), ("/again", middle)):
        assert users.place_avatar(alice, url, requested_at).avatar_url == "/middle"
    user = users.refuse_avatar(alice, "too small", early)
    assert (user.avatar_error, user.version) == (None, 3)
    assert users.place_avatar(alice, "/late", late).avatar_url == "/late"
    changed = users.update_user(alice, {"avatar_url": None})
    assert (changed.avatar_url, changed.avatar_as_of) == (None, changed.updated_at)
    assert users.get_user(alice) == changed


@unlike(MOTO_IS_NOT_ATOMIC)
def test_concurrent_merges_lose_nothing(users: UserRepository, alice: str) -> None:
    users.create_user(DBUser(user_id=alice))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: users.update_user(alice, {"preferences": {str(number): number}}), range(8)))
    assert users.get_user(alice).preferences == {str(number): number for number in range(8)}


def test_a_merge_keeps_to_the_version_it_was_given(users: UserRepository, alice: str) -> None:
    users.create_user(DBUser(user_id=alice))
    users.update_user(alice, {"preferences": {"a": 1}}, Terms(versions=[1]))
    with pytest.raises(PreconditionFailed):
        users.update_user(alice, {"preferences": {"a": 2}}, Terms(versions=[1]))
    assert users.get_user(alice).preferences == {"a": 1}


def test_a_merge_is_repeated_by_its_own_write_without_effect(users: UserRepository, alice: str) -> None:
    users.create_user(DBUser(user_id=alice))
    terms = Terms(versions=[1])
    first = users.update_user(alice, {"preferences": {"a": 1}}, terms)
    assert users.update_user(alice, {"preferences": {"a": 1}}, terms) == first


def test_merged_preferences_keep_to_the_limit(users: UserRepository, alice: str) -> None:
    users.create_user(DBUser(user_id=alice))
    for name in ("a", "b"):
        users.update_user(alice, {"preferences": {name: "x" * 30_000}})
    with pytest.raises(InvalidRequest):
        users.update_user(alice, {"preferences": {"c": "x" * 30_000}})


def test_a_deleted_user_is_gone(users: UserRepository, alice: str) -> None:
    users.create_user(DBUser(user_id=alice))
    with pytest.raises(PreconditionFailed):
        users.delete_user(alice, versions=[2])
    users.delete_user(alice, versions=[1])
    with pytest.raises(NotFound):
        users.get_user(alice)
