"""The rules of a mapping: where a field comes from, whose a row is, what the rows of a collection become."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from scripts.migration.forms import check_forms, zone_named
from shared.models.embedding import SHARED_OWNER

Table = Literal["users", "reports", "embeddings"]
Type = Literal["text", "integer", "number", "boolean", "json", "timestamp", "date", "vector", "set"]

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
        "vector_dimension": "integer",
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


def _many(value: object) -> object:
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_many)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldRule(Part):
    """Where one target field comes from: `from` (the first of several that a row has), `value`, `members` or `rest`."""

    sources: Texts = Field(default=(), alias="from")
    may_differ: bool = False
    """Of several in `from`: whether the first counts where a later one has another value, instead of a reject."""

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


class Lookup(Part):
    """A file of old user ids and the Cognito subs that they became; see `owners`."""

    field: str
    file: str


class Owner(Part):
    """Whose a row is: the sub in a `field`, the sub that a `lookup` file has for one, or one `fixed` sub for all."""

    field: str | None = None
    lookup: Lookup | None = None
    fixed: str | None = None
    any_id: bool = False
    """Whether a field or `fixed` may have another id than a Cognito sub, which is a UUID."""

    allow_shared: bool = False
    """Whether a row may be the shared catalogue's where its field or the lookup file says so."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(choice is not None for choice in (self.field, self.lookup, self.fixed)) != 1:
            raise ValueError("needs exactly one of field, lookup and fixed")
        return self

    @property
    def may_be_shared(self) -> bool:
        return self.allow_shared or self.fixed == SHARED_OWNER

    @property
    def source_field(self) -> str | None:
        return self.lookup.field if self.lookup else self.field


class Collection(Part):
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
        if self.into == "reports" and self.owner.may_be_shared:
            raise ValueError("reports cannot be shared: only embeddings can")
        if self.into == "users" and self.owner.fixed == SHARED_OWNER:
            raise ValueError("users cannot all be the shared catalogue, which is one")
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
