"""The inventory as a page: `docs/LICENSES.md`."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from scripts.supply.inventory import Inventory, Package

_INTRODUCTION = """\
# Licences

K9 API itself is under the [MIT licence](../LICENSE). `scripts/sbom.sh` writes this page, and `docs/sbom/`, from the
lock files, from what the locked packages' metadata say, and from `scripts/supply/policy.toml`, which has what they do
not say. The gate fails where it is out of date.

## What is deployed

A licence has to be one of {allowed}.
{excepted}
Lambda's own runtime (Python, its boto3, which the layers go before, and its SnapStart hooks) is AWS's, and not listed.

| package | version | licence | layer |
|---|---|---|---|
{deployed}

Of files that are no packages:

| file | version | licence | layer | licence text |
|---|---|---|---|---|
{files}

Swagger UI is a bundle: what its publisher made it of is inside it, and not listed apart. Of its wheel,
`drf-spectacular-sidecar`, three files are deployed and nothing else. The Python client (`clients/python`) is installed
by those who use it, and asks for httpx.

## Read, not told

The metadata of these say nothing of their licence, or not enough, or are not installed. Each was read in the version
that is named; another version has to be read again.

| package | version | licence | source |
|---|---|---|---|
{stated}

## Tools

What tests, builds, deployments and migrations take: {count} packages. Those that are deployed as well are among them;
the others may have any licence that is known. A name that is no SPDX identifier is what the package's metadata call it.

| licence | packages |
|---|---|
{tools}
"""


def page(inventory: Inventory) -> str:
    policy = inventory.policy
    reasons = [f"{name} has {licence}: {because}. " for name, (licence, because) in sorted(policy.excepted.items())]
    return _INTRODUCTION.format(
        allowed=", ".join(sorted(policy.allowed)),
        excepted="".join(f"The exception: {reason}" for reason in reasons).strip(),
        deployed=_rows(
            (f"`{one.name}`", one.version, one.licence, ", ".join(one.of))
            for _, one in sorted(inventory.deployed.items())
        ),
        files=_rows(
            (
                f"`{one.name}`",
                one.version,
                one.licence,
                one.layer,
                f"[text](../{one.text})" if one.text else "in the layer",
            )
            for one in policy.files
        ),
        stated=_rows(
            (f"`{name}`", version, licence, source)
            for (name, version), (licence, source) in sorted(policy.stated.items())
        ),
        count=len(inventory.tools),
        tools=_rows(_by_licence(inventory.tools)),
    )


def _by_licence(packages: Iterable[Package]) -> Iterator[tuple[str, str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for package in packages:
        names[package.licence].add(package.name)
    yield from ((licence, ", ".join(sorted(names[licence]))) for licence in sorted(names))


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
