"""Whose a row is. What the mapping does not say is a reject; no row ever gets an owner by default."""

import csv
import re
from collections.abc import Mapping as Members
from pathlib import Path
from typing import Any

from scripts.migration.conversions import as_text
from scripts.migration.extraction import ABSENT, value_at
from scripts.migration.failure import Code, MigrationError, Rejection
from scripts.migration.mapping import Mapping
from scripts.migration.rules import Collection, Owner
from shared.models import json_text
from shared.models.embedding import SHARED_OWNER

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID = re.compile(r"[A-Za-z0-9][\x21\x22\x24-\x7e]{0,127}")
"""What the embeddings' keys allow of an owner."""


class OwnerFinder:
    """Finds the owner of each row of a collection."""

    def __init__(self, owner: Owner, table: Members[str, str]) -> None:
        self._owner = owner
        self._table = table

    def find(self, values: Members[str, Any]) -> str:
        """The Cognito sub. Raises Rejection."""
        if self._owner.fixed is not None:
            return self._owner.fixed
        field = self._owner.source_field or ""
        named = _owner_text(value_at(values, field), field)
        sub = self._looked_up(named, field) if self._owner.lookup else named
        if not _ID.fullmatch(sub):
            raise Rejection(Code.BAD_OWNER, "is no user id that K9 allows", field, named)
        if sub == SHARED_OWNER and not self._owner.allow_shared:
            raise Rejection(Code.BAD_OWNER, "is the shared catalogue, which needs allow_shared", field, named)
        if not (self._owner.lookup or is_likely(sub, self._owner)):
            raise Rejection(Code.BAD_OWNER, "is no Cognito sub, which is a UUID; any_id allows others", field, named)
        return sub

    def _looked_up(self, named: str, field: str) -> str:
        if named not in self._table:
            raise Rejection(Code.UNMAPPED_OWNER, "is not in the lookup file", field, named)
        return self._table[named]


def is_likely(sub: str, owner: Owner) -> bool:
    """Whether it is as Cognito makes them, or the mapping says that it need not be."""
    return owner.any_id or sub == SHARED_OWNER or bool(_UUID.fullmatch(sub))


def owner_finder(collection: Collection, mapping: Mapping) -> OwnerFinder:
    """Raises MigrationError for an owner that cannot be one, or a lookup file that cannot be read."""
    owner = collection.owner
    if owner.fixed is not None and not (_ID.fullmatch(owner.fixed) and is_likely(owner.fixed, owner)):
        raise MigrationError(
            f"owner.fixed is {owner.fixed!r}, which is no user id as Cognito makes them: give a sub (a UUID) or "
            "shared, or say any_id: true where your users have other ids."
        )
    if owner.lookup is None:
        return OwnerFinder(owner, {})
    file = owner.lookup.file
    return OwnerFinder(owner, lookup_table(mapping.lookup_file(file), mapping.folder / file))


def lookup_table(data: bytes, path: Path) -> dict[str, str]:
    """Old user ids to subs: a JSON object, or CSV with two columns of which the first line has the names."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MigrationError(f"The lookup file {path} cannot be read ({error}).") from error
    return _of_json(text, path) if text.lstrip().startswith("{") else _of_csv(text, path)


def _of_json(text: str, path: Path) -> dict[str, str]:
    try:
        table = json_text.loads(text)
    except ValueError as error:
        raise MigrationError(f"The lookup file {path} is not JSON: {error}.") from error
    if not all(isinstance(sub, str) for sub in table.values()):
        raise MigrationError(f"The lookup file {path} must have a text, the Cognito sub, for each old user id.")
    return dict(table)


def _of_csv(text: str, path: Path) -> dict[str, str]:
    table: dict[str, str] = {}
    for number, row in enumerate(csv.reader(text.splitlines(), strict=True), 1):
        if len(row) != 2:
            raise MigrationError(f"The lookup file {path}, line {number}: needs two columns, old id and Cognito sub.")
        if number > 1 and table.setdefault(row[0], row[1]) != row[1]:
            raise MigrationError(f"The lookup file {path}, line {number}: {row[0]} has two subs; which is right?")
    return table


def _owner_text(value: object, field: str) -> str:
    if value is ABSENT or value is None or value == "":
        raise Rejection(Code.UNMAPPED_OWNER, "names no owner", field)
    try:
        return as_text(value)
    except ValueError as error:
        raise Rejection(Code.BAD_OWNER, "is neither a text nor a whole number", field, value) from error
