"""Invariants below the API: what tables and bucket hold, row by row, against the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shared.account.places import owned_prefixes
from shared.database.attributes import from_item
from tests.support.cases import every_object, every_row

from .model import Product, Profile, Report, Slot, Tenant
from .violation import Violation, require

if TYPE_CHECKING:
    from .world import World

_KEPT_OF_NOBODY = ("erasures/", "pending/erasures/")


def check_rows(world: World) -> None:
    """Every row is somebody's, is as the model has it, and holds no text of another; no row of the model is missing."""
    settings = world.manager.settings
    tables = every_row(world.manager)
    reports = _by_owner(world, tables[settings.reports_table])
    products = _by_owner(world, tables[settings.embeddings_table])
    users = _by_owner(world, tables[settings.users_table])
    for owner in world.owners:
        _check_reports(owner, reports[owner.name])
        _check_products(owner, products[owner.name])
        _check_user(owner, users[owner.name])


def check_objects(world: World) -> None:
    """Every object lies under the prefix of its owner, and holds no text of another."""
    for key, body in every_object().items():
        if key.startswith(_KEPT_OF_NOBODY):
            continue
        owners = [owner for owner in world.owners if key.startswith(tuple(owned_prefixes(owner.sub)))]
        require(len(owners) == 1, f"the object {key} is of {[owner.name for owner in owners]}")
        _require_own(world, owners[0], body.decode("latin-1"), f"the object {key}")


def rows_of_others(world: World, owner: Tenant) -> list[Any]:
    """Every row but the owner's, as it is stored."""
    return [row for row in _every_row(world) if row["user_id"] != owner.sub]


def rows_of(world: World, owner: Tenant) -> list[Any]:
    return [row for row in _every_row(world) if row["user_id"] == owner.sub]


def _every_row(world: World) -> list[Any]:
    """Sets as sets, since an engine gives their members in any order."""
    rows = [from_item(row) for rows in every_row(world.manager).values() for row in rows]
    return sorted(
        rows, key=lambda row: (row["user_id"], row.get("id", ""), row.get("product_id", ""), row.get("owner_model", ""))
    )


def _by_owner(world: World, items: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {owner.name: [] for owner in world.owners}
    by_sub = {owner.sub: owner for owner in world.owners}
    for item in items:
        row = from_item(item)
        owner = by_sub.get(row.get("user_id", ""))
        if owner is None:
            raise Violation(f"a row is nobody's: {row}")
        _require_own(world, owner, repr(row), "a row")
        found[owner.name].append(row)
    return found


def _require_own(world: World, owner: Tenant, text: str, what: str) -> None:
    for other in world.owners:
        require(other is owner or other.marker not in text, f"{what} of {owner.name} holds a text of {other.name}")


def _check_reports(owner: Tenant, rows: list[Any]) -> None:
    seen = set()
    lost = {create.body["title"] for create in owner.lost_creates}
    for row in rows:
        slot = owner.reports.get(row["id"])
        if slot is None:
            require(row["title"] in lost, f"{owner.name} has a report that was never made: {row}")
            continue
        seen.add(row["id"])
        _require_state(slot, Report.of({"reference": None, **row, "favorites": sorted(row.get("favorites", ()))}), row)
    _require_none_missing(owner, {key: slot for key, slot in owner.reports.items() if key not in seen})


def _check_products(owner: Tenant, rows: list[Any]) -> None:
    seen = set()
    for row in rows:
        sub, _, model = row["owner_model"].partition("#")
        require(sub == owner.sub, f"a row of {owner.name} is in the partition {row['owner_model']}")
        key = (model, row["product_id"])
        seen.add(key)
        _require_state(owner.products.get(key, Slot()), _stored_product(row), row)
    _require_none_missing(owner, {key: slot for key, slot in owner.products.items() if key not in seen})


def _check_user(owner: Tenant, rows: list[Any]) -> None:
    require(len(rows) <= 1, f"{owner.name} has several rows of users")
    row = rows[0] if rows else None
    if row is not None and not owner.models_in_doubt:
        stored = {name: entry["dimension"] for name, entry in row.get("models", {}).items()}
        require(stored == owner.models, f"{owner.name} has the model versions {stored}, not {owner.models}")
    if owner.name == "shared":
        return
    states = {None if state is None else state.version for state in owner.profile.states}
    version = None if row is None else row["version"]
    require(version in states, f"{owner.name}'s profile is at version {version}, not {states}")
    if row is not None and owner.profile.is_settled:
        profile = owner.profile.value
        require(isinstance(profile, Profile) and row["preferences"] == profile.preferences, f"preferences: {row}")


def _stored_product(row: Any) -> Product:
    if "deleted_at" in row:
        require("embedding_vector" not in row and "product" not in row, f"a tombstone holds what was deleted: {row}")
        return Product(row["version"], is_live=False)
    vector = tuple(np.frombuffer(row["embedding_vector"], "<f4").tolist())
    return Product(row["version"], (), vector, row["product"])


def _require_state(slot: Slot[Any], stored: Any, row: Any) -> None:
    require(stored in slot.states, f"stored is {row}, and the model has {slot.states}")


def _require_none_missing(owner: Tenant, unseen: dict[Any, Slot[Any]]) -> None:
    for key, slot in unseen.items():
        require(None in slot.states, f"the row {key} of {owner.name} is lost: {slot.states}")
