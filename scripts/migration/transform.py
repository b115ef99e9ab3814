"""A row of the source to an item of K9, or the reason why it cannot be one."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from scripts.migration.conversions import as_text
from scripts.migration.extraction import ABSENT, Extractor, value_at
from scripts.migration.failure import Code, Rejection
from scripts.migration.mapping import Mapping as RowMapping
from scripts.migration.owners import owner_finder
from scripts.migration.rules import Collection
from scripts.migration.sources.source import SourceRow
from scripts.migration.target_rows import (
    MAX_ITEM_BYTES,
    TargetRow,
    derived_id,
    embedding_row,
    report_row,
    user_row,
)
from shared.database.writes import WriteId
from shared.models.embedding import DBProductEmbedding
from shared.models.report import DBReport, ReportId
from shared.models.user import DBUser

_NUMBERS = ("significant digits", "is outside the range", "is not a number")
_FIELD_CODES = {"embedding_vector": Code.BAD_VECTOR}
_REPORT_ID: TypeAdapter[str] = TypeAdapter(ReportId)


class Transformer:
    """Makes the items of one collection. Raises MigrationError where its mapping cannot be used."""

    def __init__(self, name: str, collection: Collection, mapping: RowMapping) -> None:
        self.table = collection.into
        self._name = name
        self._source = mapping.source
        self._collection = collection
        self._extractor = Extractor(collection)
        self._owners = owner_finder(collection, mapping)
        self._keeps_ids = "id" in collection.fields and collection.fields["id"].keep
        self._make: Callable[[dict[str, Any], Mapping[str, Any]], TargetRow] = {
            "users": self._user,
            "reports": self._report,
            "embeddings": self._embedding,
        }[collection.into]

    def transform(self, row: SourceRow, latest: str | None = None) -> TargetRow:
        """Raises Rejection; also for a time after `latest`, as the API writes nothing that is older than a row."""
        owner = self._owners.find(row.values)
        fields = {**self._extractor.extract(row.values), "user_id": owner}
        if "created_at" not in fields:
            raise Rejection(
                Code.MISSING_FIELD, "has no value, and no default in the mapping", self._label("created_at")
            )
        self._refuse_future(fields, latest)
        target = self._make(fields, row.values)
        if target.size > MAX_ITEM_BYTES:
            raise Rejection(Code.TOO_LARGE, f"makes an item of {target.size} bytes; 400 KB is the most")
        return target

    def _refuse_future(self, fields: Mapping[str, Any], latest: str | None) -> None:
        for name in ("created_at", "updated_at") if latest else ():
            if fields.get(name, "") > latest:
                raise Rejection(Code.BAD_TIME, "is later than a day from now", self._label(name), fields[name])

    def _user(self, fields: dict[str, Any], values: Mapping[str, Any]) -> TargetRow:
        user = self._checked(DBUser, fields)
        return user_row(user, self._write("users", user.user_id))

    def _report(self, fields: dict[str, Any], values: Mapping[str, Any]) -> TargetRow:
        key = self._key(values)
        fields.setdefault("date", fields["created_at"][:10])
        if not (self._keeps_ids and _is_report_id(fields.get("id"))):
            fields["id"] = derived_id(self._source, self._name, *key)
        report = self._checked(DBReport, fields)
        return report_row(report, self._write("reports", report.id))

    def _embedding(self, fields: dict[str, Any], values: Mapping[str, Any]) -> TargetRow:
        stated = fields.pop("vector_dimension", None)
        embedding = self._checked(DBProductEmbedding, fields)
        if stated not in (None, embedding.vector_dimension):
            reason = f"is not how many components the vector has, which are {embedding.vector_dimension}"
            raise Rejection(Code.BAD_VECTOR, reason, self._label("vector_dimension"), stated)
        key = (embedding.user_id, embedding.model_version, embedding.product_id)
        return embedding_row(embedding, self._write("embeddings", *key))

    def _write(self, *key: str) -> WriteId:
        """Alike in every run of every mapping of the source, so that a row tells whose work it is."""
        return WriteId(derived_id("write", self._source, *key))

    def _key(self, values: Mapping[str, Any]) -> Iterator[str]:
        for name in self._collection.key_fields:
            value = value_at(values, name)
            if value is ABSENT or value is None or value == "":
                raise Rejection(Code.MISSING_FIELD, "is the row's key, and has no value", name)
            if isinstance(value, list | dict):
                raise Rejection(Code.MISSING_FIELD, "is the row's key, and no single value", name, value)
            yield _key_text(value)

    def _checked(self, model: type[BaseModel], fields: dict[str, Any]) -> Any:
        try:
            row = model.model_validate(fields)
        except ValidationError as error:
            raise self._refusal(error) from error
        version = getattr(row, "version", 1)
        if version < 1:
            raise Rejection(Code.BAD_NUMBER, "is below 1, where versions begin", self._label("version"), version)
        return row

    def _refusal(self, error: ValidationError) -> Rejection:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "row"
        pointer = first.get("ctx", {}).get("pointer", "")
        label = self._label(name) + pointer
        if first["type"] == "missing":
            return Rejection(Code.MISSING_FIELD, "has no value, and no default in the mapping", label)
        reason = first["msg"].removeprefix("Value error, ")
        return Rejection(_code(name, reason), reason, label, _at(first["input"], pointer))

    def _label(self, name: str) -> str:
        """The field as the source calls it, where one field is where it comes from."""
        rule = self._collection.fields.get(name)
        return rule.sources[0] if rule and rule.sources else name


def _key_text(value: Any) -> str:
    """A whole number is the same key however a database writes it."""
    try:
        return as_text(value)
    except ValueError:
        return str(value)


def _code(name: str, reason: str) -> Code:
    if name not in _FIELD_CODES and any(text in reason for text in _NUMBERS):
        return Code.BAD_NUMBER
    if reason.startswith("takes ") and "bytes stored" in reason:
        return Code.TOO_LARGE
    return _FIELD_CODES.get(name, Code.BAD_VALUE)


def _at(document: Any, pointer: str) -> Any:
    """The value that a JSON Pointer (RFC 6901) leads to."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def _is_report_id(value: object) -> bool:
    try:
        _REPORT_ID.validate_python(value)
    except ValidationError:
        return False
    return True
