"""What stops a migration, and what keeps one row out of it."""

from enum import StrEnum


class MigrationError(Exception):
    """It cannot go on. The message says what is wrong, where, and what to do; no secret in it."""


class Code(StrEnum):
    """Why a row is a reject."""

    UNREADABLE_ROW = "unreadable-row"
    UNKNOWN_FIELD = "unknown-field"
    MISSING_FIELD = "missing-field"
    CONFLICTING_FIELDS = "conflicting-fields"
    BAD_VALUE = "bad-value"
    BAD_TIME = "bad-time"
    BAD_NUMBER = "bad-number"
    BAD_VECTOR = "bad-vector"
    UNMAPPED_OWNER = "unmapped-owner"
    BAD_OWNER = "bad-owner"
    TOO_LARGE = "too-large"
    DUPLICATE_KEY = "duplicate-key"
    DIMENSION_MISMATCH = "dimension-mismatch"
    TOO_MANY_MODEL_VERSIONS = "too-many-model-versions"
    KEY_TAKEN = "key-taken"


class Rejection(Exception):
    """One row cannot be migrated; `field` is the source's name of what is wrong, `value` what it holds."""

    def __init__(self, code: Code, reason: str, field: str | None = None, value: object = None) -> None:
        super().__init__(f"{code}: {field or 'the row'} {reason}")
        self.code = code
        self.reason = reason
        self.field = field
        self.value = value
