"""The licence that a package's metadata tell, in the forms of twenty years."""

from email.message import Message

import pytest

from scripts.supply.installed import licence_of

OSI = "License :: OSI Approved :: "


@pytest.mark.parametrize(
    ("told", "licence"),
    [
        ([("License-Expression", "MIT AND 0BSD"), ("License", "other")], "MIT AND 0BSD"),
        ([("License", "Apache License 2.0")], "Apache-2.0"),
        ([("License", "BSD-3-Clause")], "BSD-3-Clause"),
        ([("License", "BSD"), ("Classifier", f"{OSI}BSD License")], "BSD"),
        ([("License", "UNKNOWN"), ("Classifier", f"{OSI}ISC License (ISCL)")], "ISC"),
        ([("License", "Permission is hereby granted, " * 9), ("Classifier", f"{OSI}MIT License")], "MIT"),
        (
            [("Classifier", f"{OSI}MIT License"), ("Classifier", f"{OSI}GNU General Public License (GPL)")],
            "MIT License or",
        ),
        (
            [("License", "Dual License"), ("Classifier", f"{OSI}BSD License"), ("Classifier", f"{OSI}MIT License")],
            "Dual",
        ),
        ([("Classifier", "Programming Language :: Python")], ""),
        ([], ""),
    ],
)
def test_what_is_told(told: list[tuple[str, str]], licence: str) -> None:
    metadata = Message()
    for name, value in told:
        metadata[name] = value
    assert licence_of(metadata).startswith(licence)
    assert bool(licence_of(metadata)) == bool(licence)
