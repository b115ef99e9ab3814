"""The policy of licences: what those of deployed packages must be, and those that metadata do not tell."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from license_expression import ExpressionError, ExpressionParseError, LicenseSymbol, Licensing, get_spdx_licensing

POLICY = Path("scripts/supply/policy.toml")
_SPDX = get_spdx_licensing()


@dataclass(frozen=True, slots=True)
class File:
    """Something deployed that is no package of Python's: a font, or what is taken out of a wheel."""

    name: str
    version: str
    licence: str
    layer: str
    path: str = ""
    text: str = ""
    """Where the licence's text is."""

    within: str = ""
    purl: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    allowed: frozenset[str]
    excepted: Mapping[str, tuple[str, str]]
    """Packages that may have another licence: which, and why."""

    stated: Mapping[tuple[str, str], tuple[str, str]]
    """Licences by package and version, and where each was read."""

    files: tuple[File, ...]

    @classmethod
    def read(cls, root: Path) -> "Policy":
        told: dict[str, Any] = tomllib.loads((root / POLICY).read_text(encoding="utf-8"))
        return cls(
            frozenset(told["allowed"]),
            {one["package"]: (one["licence"], one["because"]) for one in told["excepted"]},
            {(one["package"], one["version"]): (one["licence"], one["source"]) for one in told["stated"]},
            tuple(File(**one) for one in told["file"]),
        )

    def refusal(self, package: str, licence: str) -> str:
        """Why a deployed package may not have the licence; "" if it may.

        Of alternatives (OR) one that is allowed is enough, of licences that hold together (AND) each has to be.
        """
        if not licence:
            return "its licence is not known: read it, and state it in policy.toml"
        if not is_spdx(licence):
            return f"its licence, {licence!r}, is no SPDX expression: read it, and state it in policy.toml"
        if licence == self.excepted.get(package, ("", ""))[0] or self._allows(_SPDX.parse(licence)):
            return ""
        return f"its licence, {licence}, is none that policy.toml allows for what is deployed"

    def _allows(self, part: Any) -> bool:
        if isinstance(part, Licensing().OR):
            return any(self._allows(one) for one in part.args)
        if isinstance(part, Licensing().AND):
            return all(self._allows(one) for one in part.args)
        return isinstance(part, LicenseSymbol) and part.key in self.allowed


def is_spdx(licence: str) -> bool:
    try:
        _SPDX.parse(licence, validate=True, strict=True)
    except (ExpressionError, ExpressionParseError):
        return False
    return True
