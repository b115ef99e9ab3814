"""What installed packages say of themselves: which others they ask for, and their licence."""

from collections.abc import Iterable, Mapping
from email.message import Message
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import cast

from packaging.requirements import Requirement

from scripts.supply.locks import normalized

_NAMES = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mit no attribution license (mit-0)": "MIT-0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
}
"""What older metadata call licences, and SPDX. A name that is not one licence (BSD, GPL) is not here."""

_LONGEST_NAME = 60
"""Characters; a longer one is the licence's text."""

_CLASSIFIER = "License :: "


class Installed:
    """The packages of some environments, whichever has one first."""

    def __init__(self, folders: Iterable[Path]) -> None:
        found = [one for folder in folders for one in distributions(path=[str(folder)])]
        self._found: dict[tuple[str, str], Distribution] = {
            (normalized(one.metadata["Name"]), one.version): one for one in reversed(found)
        }

    @cache  # noqa: B019 - there is one of them in a process
    def requires(self, name: str, version: str) -> set[str] | None:
        """Names of all that it may ask for, with any extra and on any machine; None where it is not installed."""
        one = self._found.get((name, version))
        return None if one is None else {normalized(Requirement(text).name) for text in one.requires or ()}

    @cache  # noqa: B019 - as above
    def licence(self, name: str, version: str) -> str:
        """An SPDX expression, or else what its metadata call the licence; "" if it is not installed or says nothing."""
        one = self._found.get((name, version))
        # It is one, whatever its protocol leaves out.
        return "" if one is None else licence_of(cast(Message, one.metadata))


def site_packages(environment: Path) -> list[Path]:
    return sorted(environment.glob("lib/python*/site-packages"))


def licence_of(metadata: Message) -> str:
    """The expression if there is one, else the field, else the classifiers (https://peps.python.org/pep-0639/)."""
    if expression := metadata.get("License-Expression"):
        return str(expression)
    field = _first_line(metadata.get("License"))
    classified = [
        line.removeprefix(_CLASSIFIER).removeprefix("OSI Approved :: ")
        for line in metadata.get_all("Classifier") or []
        if line.startswith(_CLASSIFIER)
    ]
    named = field if 0 < len(field) <= _LONGEST_NAME and field != "UNKNOWN" else ""
    if known := _known(named):
        return known
    spdx = {_NAMES[name.lower()] for name in classified if name.lower() in _NAMES}
    if len(spdx) == len(classified) == 1:
        return spdx.pop()
    return named or " or ".join(classified)


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0].strip()


def _known(name: str, names: Mapping[str, str] = _NAMES) -> str:
    """A name that has no spaces is taken for an SPDX expression; whether it is one is looked at where it is used."""
    return names.get(name.lower(), name if name and " " not in name and name != "BSD" else "")
