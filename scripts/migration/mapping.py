"""What the rows of a source become: a YAML file, checked before the first row is read (docs/MIGRATION.md)."""

import hashlib
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from scripts.migration.failure import MigrationError
from scripts.migration.forms import check_forms, zone_named
from scripts.migration.yaml_lines import Path as YamlPath
from scripts.migration.yaml_lines import YamlText

Table = Literal["users", "reports", "embeddings"]
Type = Literal["text", "integer", "number", "boolean", "json", "timestamp", "date", "vector", "set"]

SHIPPED = Path(__file__).parent / "mappings"

_COMMON: dict[str, Type] = {"created_at": "timestamp", "updated_at": "timestamp", "version": "integer"}
TARGETS: dict[Table, dict[str, Type]] = {
    "users": {
        "name": "text",
        "email": "text",
        "avatar_url": "text",
        "preferences": "json",
        "models": "json",
        **_COMMON,
    },
    "reports": {
        "id": "text",
        "title": "text",
        "author": "text",
        "date": "date",
        "reference": "json",
        "favorites": "set",
        **_COMMON,
    },
    "embeddings": {
        "product_id": "text",
        "model_version": "text",
        "embedding_vector": "vector",
        "product": "json",
        **_COMMON,
    },
}
"""The fields that a mapping can fill, with their types; the owner (`user_id`) comes from `owner` alone."""

_NEEDED: dict[Table, tuple[str, ...]] = {
    "users": ("created_at",),
    "reports": ("title", "created_at"),
    "embeddings": ("product_id", "model_version", "embedding_vector", "created_at"),
}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def _many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _source_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be lower-case letters, digits and hyphens, such as my-old-backend")
    return text


Texts = Annotated[tuple[str, ...], BeforeValidator(_many)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldRule(_Part):
    """Where one target field comes from: `from` (the first of several that a row has), `value`, `members` or `rest`."""

    sources: Texts = Field(default=(), alias="from")
    value: Any = None
    default: Any = None
    type: Type | None = None
    form: Texts = ()
    zone: Annotated[str, AfterValidator(zone_named)] | None = None
    separator: str | None = None
    members: dict[str, "Rule"] | None = None
    rest: bool = False
    keep: bool = False
    """Of `id` alone: whether the old id stays, where it is one that K9 allows."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        origins = [bool(self.sources), "value" in self.model_fields_set, self.members is not None or self.rest]
        if sum(origins) != 1:
            raise ValueError("needs exactly one origin: from, value, or members and rest")
        check_forms(self.form, self.type, self.zone)
        return self

    @property
    def has_default(self) -> bool:
        return "default" in self.model_fields_set


def _rule(value: object) -> object:
    """`title: headline` is short for `title: {from: headline}`."""
    return {"from": value} if isinstance(value, str | list) else value


Rule = Annotated[FieldRule, BeforeValidator(_rule)]


class Lookup(_Part):
    """A file of old user ids and the Cognito subs that they became; see `owners`."""

    field: str
    file: str


class Owner(_Part):
    """Whose a row is: the sub in a `field`, the sub that a `lookup` file has for one, or one `fixed` sub for all."""

    field: str | None = None
    lookup: Lookup | None = None
    fixed: str | None = None
    allow_shared: bool = False
    """Whether a row may be the shared catalogue's where its field or the lookup file says so."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(choice is not None for choice in (self.field, self.lookup, self.fixed)) != 1:
            raise ValueError("needs exactly one of field, lookup and fixed")
        return self

    @property
    def source_field(self) -> str | None:
        return self.lookup.field if self.lookup else self.field


class Collection(_Part):
    """What the rows of one collection become."""

    into: Table
    owner: Owner
    fields: dict[str, Rule]
    ignore: Texts = ()
    key: Texts = ()
    """The fields that tell one row from all others, for ids that are made anew; those of `id` by default."""

    empty: Literal["keep", "missing"] = "keep"
    """Whether an empty text counts as a missing value, as in CSV, which knows no other."""

    optional: bool = False
    """Whether the source may have no such collection."""

    @model_validator(mode="after")
    def _fits_the_table(self) -> Self:
        known = TARGETS[self.into]
        for name, rule in self.fields.items():
            if name not in known:
                raise ValueError(f"{self.into} have no field {name}; they have {', '.join(known)}")
            if rule.keep and name != "id":
                raise ValueError(f"{name} cannot have keep, which is for id alone")
            _check_type(name, rule, known[name])
        missing = [name for name in _NEEDED[self.into] if name not in self.fields]
        if missing:
            raise ValueError(f"{self.into} need {', '.join(missing)} under fields; a value or a default will do")
        if self.into == "reports" and not (self.key or self._id_sources):
            raise ValueError("needs key: the fields that tell one row from all others; or from under fields.id")
        if sum(rule.rest for rule in self.fields.values()) > 1:
            raise ValueError("only one field can take the rest")
        return self

    @property
    def _id_sources(self) -> tuple[str, ...]:
        rule = self.fields.get("id")
        return rule.sources if rule else ()

    @property
    def key_fields(self) -> tuple[str, ...]:
        return self.key or self._id_sources


def _check_type(name: str, rule: FieldRule, natural: Type) -> None:
    if rule.type not in (None, natural):
        raise ValueError(f"{name} is of type {natural}; leave type out")
    if (rule.members is not None or rule.rest) and natural != "json":
        raise ValueError(f"{name} cannot have members or rest, which are for objects")
    if not rule.members and natural in ("timestamp", "date", "vector"):
        check_forms(rule.form, natural, rule.zone)
    for member, inner in (rule.members or {}).items():
        if inner.rest or inner.keep:
            raise ValueError(f"{name}.{member} cannot have rest or keep")
        if inner.type in ("vector", "set"):
            raise ValueError(f"{name}.{member} cannot be of type {inner.type}: JSON has none")


class Mapping(_Part):
    """A whole mapping. `source` names where the rows come from, and is part of every id that is made anew."""

    source: Annotated[str, AfterValidator(_source_name)]
    collections: dict[str, Collection]
    """By name, or by a pattern with * and ? where no name fits."""

    ignore_collections: Texts = ()
    options: dict[str, str] = Field(default_factory=dict)
    """What the source itself is told beside its address (`sources.options`)."""

    _folder: Path = Path()

    @property
    def digest(self) -> str:
        """SHA-256 of what the mapping and its lookup files say, in hex; neither layout nor comments count."""
        digest = hashlib.sha256(self.model_dump_json().encode())
        for path in self._lookup_files():
            digest.update(path.read_bytes())
        return digest.hexdigest()

    @property
    def folder(self) -> Path:
        """Where files that it names are looked for."""
        return self._folder

    def _lookup_files(self) -> list[Path]:
        owners = [collection.owner for collection in self.collections.values()]
        return [self._folder / owner.lookup.file for owner in owners if owner.lookup]

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
    mapping._folder = path.parent
    return mapping


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
