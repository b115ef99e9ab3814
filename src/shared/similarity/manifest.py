"""Manifests: which segments make up one snapshot of a model version, and up to when it is complete.

The text is `{"digest":D,"manifest":M}`, byte for byte, where D is the SHA-256 of M's bytes in hex.
"""

import base64
import hashlib
import re
from datetime import datetime
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from ..models.fields import Moment, new_id, parse_timestamp
from ..models.vector import MAX_DIMENSION
from .segment import Mask

_FRAME = re.compile(rb'\{"digest":"([0-9a-f]{64})","manifest":(.*)\}', re.DOTALL)


class CorruptManifest(ValueError):
    """These bytes are not what `Manifest.to_bytes` makes."""


_Name = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Crc32 = Annotated[int, Field(ge=0, lt=1 << 32)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


class SegmentRef(_Part):
    """One segment of a snapshot, and which of its rows no longer count."""

    name: _Name
    """The object's, unique for ever: a segment is never changed, nor put again."""

    rows: PositiveInt
    dead: str | None = None
    """A bit for each row, 1 for dead, the first row's the lowest of the first byte, in base64; None where all live."""

    size: PositiveInt
    """Bytes of the object."""

    keys_bytes: PositiveInt
    """How many of them, from the first on, are its keys (`segment.keys_of`)."""

    crc32: _Crc32
    """CRC-32 of the object. Who could forge a segment could write the manifest too, so all there is to find are
    accidents, and SHA-256 would take a quarter of the time in which a segment is loaded."""

    @property
    def dead_rows(self) -> Mask | None:
        """(rows,), true where a row is dead; None where all live."""
        if self.dead is None:
            return None
        bits = np.frombuffer(base64.b64decode(self.dead), np.uint8)
        return np.unpackbits(bits, count=self.rows, bitorder="little").astype(np.bool_)

    def with_dead(self, dead: Mask) -> "SegmentRef":
        """The same segment with these rows dead, (rows,)."""
        text = base64.b64encode(np.packbits(dead, bitorder="little").tobytes()).decode() if dead.any() else None
        return self.model_copy(update={"dead": text})

    @property
    def live_count(self) -> int:
        dead = self.dead_rows
        return self.rows if dead is None else self.rows - int(dead.sum())

    @model_validator(mode="after")
    def _has_a_bit_for_each_row(self) -> Self:
        if self.dead is not None and len(base64.b64decode(self.dead, validate=True)) != (self.rows + 7) // 8:
            raise ValueError("the dead rows do not have one bit for each row")
        return self


class Retired(_Part):
    """A segment that an earlier manifest named: readers of that one may go on for a while."""

    name: _Name
    at: Moment
    """When a manifest without it was made."""


class Manifest(_Part):
    """A snapshot of one model version. Every product is live in one segment at most."""

    format: Literal[1] = 1
    id: str = Field(default_factory=new_id)
    dimension: Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
    watermark: Moment
    """When the last read of the table began: all that the index showed by then is in. A write may show up late, so the
    next read begins earlier (`snapshot.OVERLAP`)."""

    complete_at: Moment
    """When the last read of the whole table began."""

    newest: Moment | None = None
    """When the newest change that it holds was made, tombstones too; None where it holds none."""

    segments: tuple[SegmentRef, ...]
    retired: tuple[Retired, ...] = ()
    skipped: NonNegativeInt = 0
    """How often a row was left out since `complete_at`, its vector of another dimension, not finite or all zero."""

    @property
    def watermark_time(self) -> datetime:
        return parse_timestamp(self.watermark)

    @property
    def live_count(self) -> int:
        """How many products it holds."""
        return sum(ref.live_count for ref in self.segments)

    @property
    def names(self) -> set[str]:
        return {ref.name for ref in self.segments}

    def to_bytes(self) -> bytes:
        text = self.model_dump_json().encode()
        return b'{"digest":"%b","manifest":%b}' % (hashlib.sha256(text).hexdigest().encode(), text)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Manifest":
        """The manifest that `to_bytes` made these of. Raises CorruptManifest for anything else."""
        frame = _FRAME.fullmatch(data)
        if frame is None or hashlib.sha256(frame[2]).hexdigest().encode() != frame[1]:
            raise CorruptManifest("the digest is not that of the text")
        try:
            manifest = cls.model_validate_json(frame[2])
        except ValueError as error:  # of another format, say; what it quotes may be private
            raise CorruptManifest("the text is not that of a manifest") from error
        if len(manifest.names) != len(manifest.segments):
            raise CorruptManifest("a segment is named twice")
        return manifest
