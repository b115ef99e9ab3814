"""Readers with a check taken out, each of which the engine must find: a fuzzer that sees nothing finds nothing.

A function is given the code that its source, changed in one place, compiles to. So whoever has it, under whatever name,
calls the broken one.
"""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from shared import auth, binding, jwks
from shared.database import cursors
from shared.models import filters, json_text
from shared.similarity import columns, manifest, segment


@dataclass(frozen=True, slots=True)
class Broken:
    """One change: `old` is in the function's source exactly once."""

    name: str
    target: str
    function: Callable[..., Any]
    old: str
    new: str

    def take_out(self) -> None:
        """Breaks the function, for good. Raises ValueError where its source is not as it was when this was written."""
        source = textwrap.dedent(inspect.getsource(self.function))
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} is there {source.count(self.old)} times")
        function = inspect.unwrap(getattr(self.function, "__func__", self.function))
        assert isinstance(function, FunctionType)
        function.__code__ = _code(source.replace(self.old, self.new), function)


def _code(source: str, function: FunctionType) -> CodeType:
    """The code of a function of this source, in the same file."""
    module = compile(source, function.__code__.co_filename, "exec", dont_inherit=True)
    return next(code for code in module.co_consts if isinstance(code, CodeType) and code.co_name == function.__name__)


BROKEN = (
    Broken(
        "parser that takes members named twice",
        "claims",
        jwks._unique_members,
        "if len(members) != len(pairs):",
        "if False:",
    ),
    Broken("parser that looks at no depth", "claims", jwks._check_depth, "if depth > MAX_JSON_DEPTH:", "if False:"),
    Broken(
        "base64url that passes over junk",
        "authorization",
        jwks.decode_base64url,
        "if b2a_base64(octets, newline=False) != standard:",
        "if False:",
    ),
    Broken(
        "token whose header may say anything",
        "claims",
        auth._key_id,
        "if not _UNSUPPORTED_PARAMETERS.isdisjoint(header):",
        "if False:",
    ),
    Broken("date that may be true", "claims", auth._numeric_date, "isinstance(value, bool) or ", ""),
    Broken("key that may be weak", "key-set", jwks._rsa_key, "modulus.bit_length() not in _MODULUS_BITS or ", ""),
    Broken("cursor that may be any text", "cursor", cursors.decode_cursor, " or encode_cursor(position) != cursor", ""),
    Broken("filter of any size", "filter", filters.parse_filter, "if conditions > MAX_CONDITIONS:", "if False:"),
    Broken(
        "column that takes texts for numbers",
        "filter",
        columns._Column._bounds,
        "start, stop = (0, numbers) if",
        "start, stop = (0, len(self._values)) if",
    ),
    Broken("body whose nesting may be any", "request", binding._parse, "(ValueError, RecursionError)", "ValueError"),
    Broken(
        "key of any characters",
        "request",
        binding._derived_write,
        "if not IDEMPOTENCY_KEY.fullmatch(key):",
        "if False:",
    ),
    Broken(
        "text whose numbers are rounded", "json-text", json_text._parse_number, "Decimal(text)", "Decimal(float(text))"
    ),
    Broken(
        "segment of any length", "segment", segment.Segment.from_bytes, "if len(data) != head.total_bytes:", "if False:"
    ),
    Broken(
        "segment whose offsets may lead anywhere",
        "segment",
        segment._require_offsets,
        " or (offsets[1:] < offsets[:-1]).any()",
        "",
    ),
    Broken(
        "manifest that names a segment twice",
        "manifest",
        manifest.Manifest.from_bytes,
        "if len(manifest.names) != len(manifest.segments):",
        "if False:",
    ),
)
