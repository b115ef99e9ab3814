"""What the rows of a source become: a YAML file, checked before the first row is read (docs/MIGRATION.md)."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError

from scripts.migration.conversions import constant
from scripts.migration.failure import MigrationError
from scripts.migration.rules import TARGETS, Collection, FieldRule, Part, Texts, Type
from scripts.migration.yaml_lines import Path as YamlPath
from scripts.migration.yaml_lines import YamlText

SHIPPED = Path(__file__).parent / "mappings"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def _source_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be lower-case letters, digits and hyphens, such as my-old-backend")
    return text


class Mapping(Part):
    """A whole mapping. `source` names where the rows come from, and is part of every id that is made anew."""

    source: Annotated[str, AfterValidator(_source_name)]
    collections: dict[str, Collection]
    """By name, or by a pattern with * and ? where no name fits."""

    ignore_collections: Texts = ()
    options: dict[str, str] = Field(default_factory=dict)
    """What the source itself is told beside its address (`sources.options`)."""

    _folder: Path = Path()
    _lookup_files: dict[str, bytes] = PrivateAttr(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of what the mapping and its lookup files say, in hex; neither layout nor comments count."""
        stated = repr(self.model_dump(exclude_unset=True))
        digest = hashlib.sha256(stated.encode("utf-8", "surrogatepass"))
        for owner in (collection.owner for collection in self.collections.values()):
            digest.update(self.lookup_file(owner.lookup.file) if owner.lookup else b"")
        return digest.hexdigest()

    @property
    def folder(self) -> Path:
        """Where files that it names are looked for."""
        return self._folder

    def lookup_file(self, name: str) -> bytes:
        """What a lookup file holds, read once: the digest is of what the owners were taken from."""
        path = self._folder / name
        if name not in self._lookup_files:
            try:
                self._lookup_files[name] = path.read_bytes()
            except OSError as error:
                raise MigrationError(f"The lookup file {path} cannot be read ({error}).") from error
        return self._lookup_files[name]

    def collection(self, name: str) -> Collection | None:
        """What to do with a collection of this name; None where it is to be ignored.

        Raises MigrationError where the mapping does not say, or says it twice.
        """
        if name in self.collections:
            return self.collections[name]
        fitting = [pattern for pattern in self.collections if fnmatchcase(name, pattern)]
        if len(fitting) == 1:
            return self.collections[fitting[0]]
        if fitting:
            raise MigrationError(f"Collection {name} fits {' and '.join(fitting)}: name it in the mapping by itself.")
        if any(fnmatchcase(name, pattern) for pattern in self.ignore_collections):
            return None
        raise MigrationError(
            f"The mapping does not say what becomes of the collection {name}: add it under collections, or under "
            "ignore_collections."
        )

    def unmet(self, names: Iterable[str]) -> list[str]:
        """The collections that must be there and are not among `names`."""
        present = list(names)
        return [
            wanted
            for wanted, collection in self.collections.items()
            if not collection.optional and not any(name == wanted or fnmatchcase(name, wanted) for name in present)
        ]


def load_mapping(name: str) -> Mapping:
    """The mapping in a file, or one of those shipped, by its name. Raises MigrationError that names line and field."""
    path = Path(name)
    if not path.suffix and not path.exists():
        path = SHIPPED / f"{name}.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        shipped = ", ".join(sorted(found.stem for found in SHIPPED.glob("*.yaml")))
        raise MigrationError(
            f"The mapping {name} cannot be read ({error}): name a YAML file, or one that is shipped: {shipped}."
        ) from error
    return parse_mapping(text, path)


def parse_mapping(text: str, path: Path) -> Mapping:
    document = YamlText(text, str(path))
    try:
        mapping = Mapping.model_validate(document.value)
    except ValidationError as error:
        raise MigrationError(_explain(error, document)) from error
    faults = [_fault(place, reason, document) for place, reason in _bad_constants(mapping)]
    if faults:
        raise MigrationError("\n".join(faults))
    mapping._folder = path.parent
    return mapping


def _bad_constants(mapping: Mapping) -> Iterator[tuple[YamlPath, str]]:
    """Where values and defaults stand that are not of their field's type, and why not."""
    for name, collection in mapping.collections.items():
        for field, rule in collection.fields.items():
            place = ("collections", name, "fields", field)
            yield from _faults_of(rule, TARGETS[collection.into][field], place, is_member=False)


def _faults_of(rule: FieldRule, type_: Type, place: YamlPath, *, is_member: bool) -> Iterator[tuple[YamlPath, str]]:
    for name in sorted({"value", "default"} & rule.model_fields_set):
        try:
            constant(getattr(rule, name), type_, rule, is_member=is_member)
        except ValueError as error:
            yield (*place, name), str(error)
    for member, inner in (rule.members or {}).items():
        yield from _faults_of(inner, inner.type or "json", (*place, "members", member), is_member=True)


def _explain(error: ValidationError, document: YamlText) -> str:
    faults = [_fault(found["loc"], found["msg"], document) for found in error.errors(include_url=False)]
    return "\n".join(dict.fromkeys(faults))


def _fault(place: YamlPath, message: str, document: YamlText) -> str:
    known = document.known_part(place)
    field = ".".join(map(str, place)) or "the mapping"
    reason = {"Extra inputs are not permitted": "is not known here; docs/MIGRATION.md lists what is"}.get(
        message, message.removeprefix("Value error, ")
    )
    return f"{document.name}, line {document.line(known)}: {field}: {reason}."
