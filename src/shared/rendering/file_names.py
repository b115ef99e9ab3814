"""What a file is called when it is saved, and how a header says so."""

import re
import unicodedata
from urllib.parse import quote

from ..models.report import Report

_MAX_STEM = 80
_FALLBACK = "report"
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f"*/:<>?\\|%]')
"""What a file's name must not hold on Windows or elsewhere ("Naming Files, Paths, and Namespaces" in the Windows
documentation), and the percent sign, which some browsers decode in the plain form (RFC 6266, appendix D)."""

_INVISIBLE = ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
"""Categories of characters that show nothing, or turn the direction of writing and make `exe.pdf` of `fdp.exe`."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_NOT_ATTR_CHAR = re.compile(r"[^A-Za-z0-9!#$&+.^_`|~-]")
"""Not in attr-char of RFC 8187, section 3.2.1."""


def file_name(report: Report, extension: str) -> str:
    """A name made of the report's title and date, which every file system takes."""
    return f"{_stem(report.title)} {_stem(report.date)}.{extension}"


def content_disposition(name: str) -> str:
    """The header of a file to be saved under that name (RFC 6266): in ASCII, and in full (RFC 8187)."""
    return f"attachment; filename=\"{_plain(name)}\"; filename*=UTF-8''{_extended(name)}"


def _plain(name: str) -> str:
    """As much of the name as ASCII has, for programs that know no other; accents go, the letters stay."""
    stem, _, extension = name.rpartition(".")
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    words = " ".join(_FORBIDDEN.sub("_", ascii_stem).split())
    named = words if any(map(str.isalpha, words)) else f"{_FALLBACK} {words}"
    return f"{named.strip('. ')}.{extension}"


def _stem(text: str) -> str:
    visible = "".join(" " if character.isspace() else character for character in text if _is_visible(character))
    words = " ".join(_FORBIDDEN.sub("_", visible).split())
    stem = words[:_MAX_STEM].strip(". ")
    return f"_{stem}" if _RESERVED.fullmatch(stem) else stem or _FALLBACK


def _is_visible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in _INVISIBLE


def _extended(name: str) -> str:
    return _NOT_ATTR_CHAR.sub(lambda found: quote(found.group(), safe=""), name)
