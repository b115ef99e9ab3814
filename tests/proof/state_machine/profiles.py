"""Rules of profiles and avatars."""

import random
from typing import Any

from handlers import avatar_uploads
from shared.account.places import owned_prefixes
from shared.similarity.objects import default_objects
from tests.support import uploads
from tests.support.images import decoded, image

from .base import Base, step
from .faults import OF_REQUESTS, Plan
from .model import Form, Profile, Tenant
from .violation import require

_COLOURS = ("red", "lime", "blue", "black", "white")
HOST = "http://localhost"


class Profiles(Base):
    """What a user shows of themselves."""

    def read_profile(self, user: Tenant) -> Profile | None:
        told = self.world.call(user, "GET", "/user/profile", clean=True)
        return Profile.of(told.json())

    def settled_profile(self, user: Tenant, dice: random.Random) -> Profile:
        """The profile, which is there from the first look on."""
        if user.profile.states == [None] or not user.profile.is_settled:
            seen = self.read_profile(user)
            if None in user.profile.states:
                user.profile.maybe(user.default_profile)
            user.profile.observe(seen, f"the profile of {user.name}")
        state = user.profile.value
        if state is None:
            raise AssertionError("a profile is there once it was read")
        return state

    @step
    def get_profile(self, dice: random.Random) -> None:
        user = self.user(dice)
        told = self.world.call(user, "GET", "/user/profile")
        if None in user.profile.states:
            user.profile.maybe(user.default_profile)
        if not told.has_failed:
            user.profile.observe(Profile.of(told.json()), f"the profile of {user.name}")

    @step
    def update_profile(self, dice: random.Random) -> None:
        user = self.user(dice)
        state = self.settled_profile(user, dice)
        body = self.profile_patch(user, state, dice)
        key, versions = self.key(dice), self.versions(state, dice)
        told = self.world.call(user, "PATCH", "/user/profile", body, headers=self.headers(key, versions))
        expected = 412 if versions and state.version not in versions else 200
        if told.is_unknown and "avatar_url" in body:
            self.repeat_avatar_patch(user, body, state, expected)
            return
        if self.entered(told, user.profile, expected, self.patched(user, state, body, key), None):
            self.note_avatar_patch(user, body, state)

    def profile_patch(self, user: Tenant, state: Profile, dice: random.Random) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if dice.random() < 0.5:
            body["name"] = dice.choice((None, f"{user.marker} {self.world.number()}"))
        if dice.random() < 0.6 or not body:
            value = dice.choice((None, user.marker, {"a": self.world.number(), "b": None}, [1, 2.5]))
            body["preferences"] = {dice.choice(("x", "y", "z")): value}
        if dice.random() < 0.2:
            body["avatar_url"] = dice.choice((None, state.avatar_url, f"https://example.com/{user.marker}.png"))
        return body

    def patched(self, user: Tenant, state: Profile, body: dict[str, Any], key: str | None) -> Profile:
        members = dict(body)
        if "preferences" in body:
            members["preferences"] = _merged(state.preferences, body["preferences"])
        if _sets_avatar(body, state):
            members["avatar_error"] = None
        return state.changed(key, **members)

    def note_avatar_patch(self, user: Tenant, body: dict[str, Any], state: Profile) -> None:
        """An address that is set counts from now on; the avatar that is shown, named again, changes nothing."""
        if _sets_avatar(body, state):
            user.avatar_order = self.world.number()

    def repeat_avatar_patch(self, user: Tenant, body: dict[str, Any], state: Profile, expected: int) -> None:
        """What became of it is looked up, and then it is asked for until the picture of before is gone for certain."""
        if expected < 400:
            user.profile.maybe(self.patched(user, state, body, None))
        before = self.read_profile(user)
        user.profile.observe(before, "the profile after an unknown outcome")
        now = user.profile.value
        if now != state:
            self.note_avatar_patch(user, body, state)
        if now is not None:
            again = {"avatar_url": now.avatar_url}
            told = self.world.call(user, "PATCH", "/user/profile", again, clean=True)
            require(told.status == 200, f"a profile sent back as read is answered {told.status}: {told.answer.text}")
            user.profile.set(self.patched(user, now, again, None))
            self.note_avatar_patch(user, again, now)

    @step
    def two_merges_at_once(self, dice: random.Random) -> None:
        """Another process of the same user changes other preferences just before this one's write is sent."""
        user = self.user(dice)
        state = self.settled_profile(user, dice)
        first, second = ({name: self.world.number()} for name in ("first", "second"))

        def other() -> None:
            self.world.call(user, "PATCH", "/user/profile", {"preferences": second}, clean=True)

        self.world.faults.between = other
        told = self.world.call(user, "PATCH", "/user/profile", {"preferences": first}, clean=True)
        self.world.faults.between = None
        merged = {**state.preferences, **second, **first}
        require(told.json()["preferences"] == merged, f"of two merges at once one is lost: {told.json()}, not {merged}")
        user.profile.set(state.changed(None).changed(None, preferences=merged))

    # Avatars

    @step
    def ask_for_upload(self, dice: random.Random) -> None:
        user = self.user(dice)
        self.settled_profile(user, dice)
        told = self.world.call(user, "POST", "/user/avatar", {"content_type": "image/png"})
        if told.has_failed:
            return
        require(told.status == 201, f"a form is answered {told.status}: {told.answer.text}")
        form = told.json()
        is_own = form["fields"]["key"].startswith(f"uploads/{user.sub}/")
        require(is_own, f"a form of {user.name} is for {form['fields']['key']}")
        user.forms.append(Form(self.world.number(), form["fields"]["key"], form["fields"], form["url"]))
        if dice.random() < 0.6:
            self.send_form(user, user.forms[-1], dice)

    @step
    def upload_and_check(self, dice: random.Random) -> None:
        user = self.user(dice)
        if not user.forms:
            self.ask_for_upload(dice=dice)
            return
        form = dice.choice(user.forms)
        if not form.is_sent:
            self.send_form(user, form, dice)
        self.check_form(user, form, dice)

    def send_form(self, user: Tenant, form: Form, dice: random.Random) -> None:
        form.is_sent, form.is_good = True, dice.random() < 0.8
        form.colour = dice.choice(_COLOURS)
        body = image(colour=form.colour) if form.is_good else b"no image"
        self.world.engine.send_upload(form.url, form.fields, body)

    def check_form(self, user: Tenant, form: Form, dice: random.Random) -> None:
        """The bucket's notification, perhaps twice, and again where the check fails, until it does not."""
        state = self.settled_profile(user, dice) if user.profile.states != [None] else None
        plan = Plan(dice.choice(OF_REQUESTS), dice.randrange(5)) if dice.random() < 0.4 else None
        for attempt in range(dice.choice((1, 1, 2)) + 1):
            self.world.faults.arm(plan if attempt == 0 else None)
            try:
                avatar_uploads.handler(uploads.event(form.upload))
                hits = self.world.faults.disarm()
            except Exception as error:  # noqa: BLE001 - what ends a function is Lambda's to repeat
                hits = self.world.faults.disarm()
                require(hits, f"the check of an upload fails without a fault: {error!r}")
                continue
        user.forms.remove(form)
        self.note_checked(user, form, state)
        keys = [info.key for info in default_objects().list(form.upload)]
        require(not keys, f"an upload that was checked is still there: {keys}")

    def note_checked(self, user: Tenant, form: Form, state: Profile | None) -> None:
        if state is None or form.is_dead:
            return
        newest = max(user.avatar_order, 0 if form.is_good else user.avatar_error_order)
        seen = self.read_profile(user)
        if form.order <= newest:
            user.profile.observe(seen, "the profile after the check of an older upload")
            return
        require(seen is not None and seen.version == state.version + 1, f"an upload makes {seen} of {state}")
        if seen is None:
            return
        if form.is_good:
            user.avatar_order = form.order
            error = state.avatar_error if user.avatar_error_order > form.order else None
            wanted = state.changed(None, avatar_url=seen.avatar_url, avatar_error=error)
            require(seen == wanted and seen.avatar_url != state.avatar_url, f"an upload makes {seen} of {state}")
            self.require_shown(user, seen, form.colour)
        else:
            user.avatar_error_order = form.order
            require(seen.avatar_error and seen.avatar_url == state.avatar_url, f"a bad upload makes {seen} of {state}")
        user.profile.set(state.changed(None, avatar_url=seen.avatar_url, avatar_error=seen.avatar_error))

    def require_shown(self, user: Tenant, profile: Profile, colour: str | None) -> None:
        told = self.world.call(user, "GET", str(profile.avatar_url).removeprefix(HOST), clean=True)
        require(told.status == 200, f"an avatar is answered {told.status}")
        pixel = decoded(told.answer.content).getpixel((0, 0))
        require(colour is None or pixel == decoded(image(colour=colour)).getpixel((0, 0)), f"{pixel} is not {colour}")
        keys = [info.key for info in default_objects().list(owned_prefixes(user.sub)[-1])]
        require(len(keys) == 1, f"{user.name} has more than the one avatar that is shown: {keys}")

    @step
    def show_avatar(self, dice: random.Random) -> None:
        """Whoever has the address sees it."""
        user = self.user(dice)
        state = self.settled_profile(user, dice)
        if not is_uploaded(state):
            self.send_good_upload(user, dice)
            state = self.settled_profile(user, dice)
        told = self.world.call(self.user(dice), "GET", str(state.avatar_url).removeprefix(HOST))
        require(told.has_failed or told.status == 200, f"the avatar of {user.name} is answered {told.status}")

    def send_good_upload(self, user: Tenant, dice: random.Random) -> None:
        told = self.world.call(user, "POST", "/user/avatar", {"content_type": "image/png"}, clean=True)
        shown = told.json()
        form = Form(self.world.number(), shown["fields"]["key"], shown["fields"], shown["url"], True, colour="red")
        user.forms.append(form)
        self.world.engine.send_upload(form.url, form.fields, image(colour="red"))
        self.check_form(user, form, dice)


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, written anew."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        result[name] = _merged(result.get(name), value)
        if value is None:
            del result[name]
    return result


def _sets_avatar(body: dict[str, Any], state: Profile) -> bool:
    """Whether it is more than the avatar that is shown, sent back as it was read."""
    return "avatar_url" in body and (body["avatar_url"] != state.avatar_url or not is_uploaded(state))


def is_uploaded(state: Profile) -> bool:
    return str(state.avatar_url).startswith(HOST)
