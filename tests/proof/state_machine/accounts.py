"""Rules of profiles, avatars, copies of an account, and its erasure."""

import json
import random
import zipfile
from io import BytesIO
from typing import Any

from handlers import avatar_uploads, resume
from shared.account.account_exports import ExportStore
from shared.account.places import account_digest, erasure_key, owned_prefixes
from shared.models.fields import parse_timestamp
from shared.similarity.objects import default_objects
from tests.support import uploads
from tests.support.images import decoded, image

from . import storage
from .base import step
from .faults import OF_REQUESTS, Plan
from .model import MODELS, Form, Product, Profile, Report, Tenant
from .reports import Reports
from .searching import Searching
from .violation import require

_COLOURS = ("red", "lime", "blue", "black", "white")
_HOST = "http://localhost"
_KEPT_SECONDS = 24 * 3600 - 60


class Accounts(Searching, Reports):
    """What concerns a user as a whole."""

    # Profiles

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
        key, versions = self.key(dice), self.versions(state.version, dice)
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
        if "avatar_url" in body and body["avatar_url"] != state.avatar_url:
            members["avatar_error"] = None
        elif "avatar_url" in body and not str(state.avatar_url).startswith(_HOST):
            members["avatar_error"] = None
        return state.changed(key, **members)

    def note_avatar_patch(self, user: Tenant, body: dict[str, Any], state: Profile) -> None:
        """An address that is set counts from now on; the avatar that is shown, named again, changes nothing."""
        if "avatar_url" not in body:
            return
        if body["avatar_url"] != state.avatar_url or not str(state.avatar_url).startswith(_HOST):
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
            except Exception as error:
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
        told = self.world.call(user, "GET", str(profile.avatar_url).removeprefix(_HOST), clean=True)
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
        if not str(state.avatar_url).startswith(_HOST):
            self.send_good_upload(user, dice)
            state = self.settled_profile(user, dice)
        told = self.world.call(self.user(dice), "GET", str(state.avatar_url).removeprefix(_HOST))
        require(told.has_failed or told.status == 200, f"the avatar of {user.name} is answered {told.status}")

    def send_good_upload(self, user: Tenant, dice: random.Random) -> None:
        told = self.world.call(user, "POST", "/user/avatar", {"content_type": "image/png"}, clean=True)
        shown = told.json()
        form = Form(self.world.number(), shown["fields"]["key"], shown["fields"], shown["url"], True, colour="red")
        user.forms.append(form)
        self.world.engine.send_upload(form.url, form.fields, image(colour="red"))
        self.check_form(user, form, dice)

    # Copies

    @step
    def export_account(self, dice: random.Random) -> None:
        user = self.user(dice)
        told = self.world.call(user, "POST", "/user/export")
        require(told.has_failed or told.status == 202, f"an export is answered {told.status}: {told.answer.text}")
        if told.status == 202 and told.json()["state"] == "queued":
            requested = parse_timestamp(told.json()["requested_at"])
            user.copy_asked_at = requested.timestamp()
        if dice.random() < 0.6:
            self.make_copies(user, dice)

    @step
    def get_export(self, dice: random.Random) -> None:
        user = self.user(dice)
        told = self.world.call(user, "GET", "/user/export")
        require(told.has_failed or told.status == 200, f"an export is answered {told.status}")
        if not told.has_failed and told.json()["state"] == "done":
            self.require_own_copy(user, told.json()["url"])

    def make_copies(self, user: Tenant, dice: random.Random) -> None:
        """The worker makes the copies that are asked for; one that was made in one go holds all there is."""
        self.world.end_lag()
        self.settle_account(user, dice)
        mine = [task for task in self.world.queue if task["task"] == "export" and task["owner"] == user.sub]
        for task in mine:
            self.world.queue.remove(task)
            went_well = self.world.work(task, dice)
            state = self.world.call(user, "GET", "/user/export", clean=True).json()
            status = ExportStore(default_objects(), user.sub).status()
            if status is None or status.id != task["export_id"]:  # it is of one before
                continue
            is_kept = self.world.clock.time() - user.copy_asked_at < _KEPT_SECONDS
            require(not went_well or state["state"] == "done" or not is_kept, f"an export that went well is {state}")
            if went_well and is_kept:
                self.require_whole_copy(user, state["url"])

    def settle_account(self, user: Tenant, dice: random.Random) -> None:
        self.settle_models(user, dice)
        for model in MODELS:
            self.settle_products(user, model, dice)
        for report_id in list(user.reports):
            slot = user.reports[report_id]
            self.settle(slot, dice, lambda report_id=report_id: self.read_report(user, report_id), report_id)  # type: ignore[misc]

    def require_own_copy(self, user: Tenant, url: str) -> bytes:
        body = self.world.engine.fetch(url)
        with zipfile.ZipFile(BytesIO(body)) as archive:
            texts = [archive.read(name).decode("utf-8", "backslashreplace") for name in archive.namelist()]
        self.world.require_own(user, "\n".join(texts), "a copy of the account")
        return body

    def require_whole_copy(self, user: Tenant, url: str) -> None:
        files = opened_rows(self.require_own_copy(user, url))
        lost = {create.body["title"] for create in user.lost_creates}
        reports = {row["id"]: Report.of(row) for row in files["reports"] if row["title"] not in lost}
        require(reports == user.live_reports(), f"a copy has the reports {reports}, not {user.live_reports()}")
        copied = {(row["model_version"], row["product_id"]): Product.of(row) for row in files["embeddings"]}
        stored = {(model, key): state for model in MODELS for key, state in user.live(model).items()}
        require(copied == stored, f"a copy has the embeddings {copied}, not {stored}")

    # Erasures

    @step
    def erasure_state(self, dice: random.Random) -> None:
        user = self.user(dice)
        told = self.world.call(user, "GET", "/user/erasure")
        is_right = told.has_failed or (told.status == 200 and told.json()["state"] == user.erasure)
        require(is_right, f"the erasure of {user.name} is {told.answer.text}, not {user.erasure}")

    @step
    def begin_erasure(self, dice: random.Random) -> None:
        if dice.random() < 0.3:
            self.erase(self.user(dice), dice)
        else:
            self.erasure_state(dice=dice)

    def erase(self, user: Tenant, dice: random.Random) -> None:
        """Ask for it, and have the worker do the first pass: everything that there is goes."""
        self.world.end_lag()
        self.settle_account(user, dice)
        others = storage.rows_of_others(self.world, user)
        told = self.world.call(user, "DELETE", "/user")
        if told.has_failed:
            told = self.world.call(user, "DELETE", "/user", clean=True)
        require(told.status == 202, f"an erasure is answered {told.status}: {told.answer.text}")
        if user.erasure == "waiting":
            return
        self.world.erase(account_digest(user.sub))
        user.erasure = "waiting"
        user.bury()
        self.keyed = [keyed for keyed in self.keyed if keyed.user is not user]
        require(others == storage.rows_of_others(self.world, user), f"the erasure of {user.name} changed others' rows")
        storage.check_rows(self.world)
        if dice.random() < 0.5:
            self.world.restart()
        else:
            self.world.clock.pass_time(301)

    @step
    def finish_erasure(self, dice: random.Random) -> None:
        """The second pass, when every token of before has ended: what was written meanwhile goes as well."""
        user = self.user(dice)
        if dice.random() < 0.75:
            self.erasure_state(dice=dice)
            return
        if user.erasure != "waiting":
            self.erase(user, dice)
        self.world.end_lag()
        others = storage.rows_of_others(self.world, user)
        self.resume_until(user, "waiting")
        self.require_fenced(user)
        self.resume_until(user, "done")
        left = storage.rows_of(self.world, user)
        require(not left, f"an erasure that is done left rows: {left}")
        keys = [info.key for prefix in owned_prefixes(user.sub) for info in default_objects().list(prefix)]
        require(not keys, f"an erasure that is done left objects: {keys}")
        require(others == storage.rows_of_others(self.world, user), f"the erasure of {user.name} changed others' rows")
        self.begin_anew(user)

    def resume_until(self, user: Tenant, state: str) -> None:
        """What is due is gone on with, until the erasure stands so."""
        stored = default_objects().get(erasure_key(account_digest(user.sub)))
        require(stored, f"nothing is kept of the erasure of {user.name}")
        self.world.clock.pass_to(json.loads(stored.body)["due_at"] if stored else "")
        resume.handler({})
        self.world.erase(account_digest(user.sub))
        told = self.world.call(user, "GET", "/user/erasure", clean=True)
        require(told.json()["state"] == state, f"an erasure is {told.json()}, not {state}")

    def require_fenced(self, user: Tenant) -> None:
        """Nothing is there, and nothing can be declared."""
        self.world.restart()
        told = self.world.call(user, "GET", "/reports", clean=True)
        require(told.json()["reports"] == [], f"an erased account lists reports: {told.answer.text}")
        told = self.world.call(user, "GET", "/embeddings/models", clean=True)
        require(told.json()["models"] == [], f"an erased account has model versions: {told.answer.text}")

    def begin_anew(self, user: Tenant) -> None:
        user.bury()
        user.products.clear()
        user.erasure = "done"
        user.forms.clear()
        user.avatar_order = user.avatar_error_order = 0
        self.keyed = [keyed for keyed in self.keyed if keyed.user is not user]
        self.world.restart()


def opened_rows(body: bytes) -> dict[str, list[Any]]:
    """The rows of a copy by their kind."""
    found: dict[str, list[Any]] = {"reports": [], "embeddings": [], "profile": []}
    with zipfile.ZipFile(BytesIO(body)) as archive:
        require(archive.testzip() is None, "a copy is damaged")
        for name in archive.namelist():
            kind, is_rows = name.partition("-")[0], name.endswith(".ndjson")
            if is_rows:
                found[kind] += [json.loads(line) for line in archive.read(name).splitlines()]
    return found


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
