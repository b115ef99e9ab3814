"""What is to do, what is passed over, and what was not asked."""

import json
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from scripts.local.folder import PROJECT
from scripts.supply import advisories
from scripts.supply.advisories import CANARY, NPM_CANARY, Advisory, CouldNotAskError, NotLookedUpError
from scripts.supply.audit import NONE_KNOWN, NOT_ASKED, TO_DO, Audit, judge, main
from scripts.supply.exceptions import Passed, read_exceptions
from scripts.supply.locks import Locked

FIRST, LAST = date(2026, 1, 1), date(2026, 3, 31)
PASSED = Passed("CVE-1", "a", "1.0", "why", FIRST, LAST, "tests/x.py::TestX")
PACKAGES = [Locked("a", "1.0"), Locked("a", "2.0"), Locked("b", "1.0")]


@pytest.mark.parametrize(
    ("advisory", "on", "status"),
    [
        (Advisory("a", "1.0", ("GHSA-1", "CVE-1"), ""), LAST, NONE_KNOWN),
        (Advisory("a", "1.0", ("GHSA-1", "CVE-1"), ""), LAST + timedelta(days=1), TO_DO),
        (Advisory("a", "1.0", ("GHSA-1", "CVE-1"), ""), FIRST - timedelta(days=1), TO_DO),
        (Advisory("a", "1.1", ("CVE-1",), ""), LAST, TO_DO),
        (Advisory("b", "1.0", ("CVE-1",), ""), LAST, TO_DO),
        (Advisory("a", "1.0", ("CVE-11",), ""), LAST, TO_DO),
    ],
)
def test_an_exception_is_of_one_advisory_package_version_and_time(advisory: Advisory, on: date, status: int) -> None:
    audit = Audit()
    judge([advisory], [PASSED], on, audit)
    assert audit.status == status


def test_an_advisory_is_told_though_another_registry_was_not_asked() -> None:
    assert Audit(to_do=["x"], not_asked=["y"]).status == TO_DO
    assert Audit(not_asked=["y"]).status == NOT_ASKED


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, str, str]]]:
    """What the program says, run by run."""
    answers: list[tuple[int, str, str]] = []

    def run(command: list[str], folder: Path, environ: Mapping[str, str]) -> CompletedProcess[str]:
        return CompletedProcess(command, *answers.pop(0))

    monkeypatch.setattr(advisories, "_run", run)
    yield answers
    assert not answers


def vulnerable(name: str, version: str, *ids: str) -> dict[str, Any]:
    return {"name": name, "version": version, "vulns": [{"id": ids[0], "aliases": ids[1:], "fix_versions": []}]}


def found(*packages: dict[str, Any]) -> tuple[int, str, str]:
    return 1, json.dumps({"dependencies": list(packages)}), "Found 1 known vulnerability in 1 package"


KNOWN = vulnerable(CANARY[0], CANARY[1], "PYSEC-1", CANARY[2])


def test_both_versions_of_a_package_are_asked_for(said: list[tuple[int, str, str]]) -> None:
    said += [found(KNOWN), found(vulnerable("a", "2.0", "CVE-2"))]
    assert advisories.ask_python(PACKAGES, {}) == [Advisory("a", "2.0", ("CVE-2",), "no fixed release")]


@pytest.mark.parametrize(
    "answer",
    [
        (0, "", "No known vulnerabilities found"),
        (1, "", "requests.exceptions.ConnectionError: no route"),
        (1, "", f"ERROR:pip_audit._cli:{CANARY[0]}: Dependency not found"),
        found(vulnerable("b", "1.0", "CVE-3")),
        found(vulnerable(CANARY[0], CANARY[1], "CVE-4")),
    ],
)
def test_who_does_not_report_what_everybody_knows_was_not_asked(
    said: list[tuple[int, str, str]], answer: tuple[int, str, str]
) -> None:
    said.append(answer)
    with pytest.raises(CouldNotAskError):
        advisories.ask_python(PACKAGES[:1], {})


def test_a_package_that_is_not_known_is_named(said: list[tuple[int, str, str]]) -> None:
    said.append((1, "", "ERROR:pip_audit._cli:a: Dependency not found and could not be audited: a (1.0)"))
    with pytest.raises(NotLookedUpError, match=r"a \(1\.0\)"):
        advisories.ask_python(PACKAGES[:1], {})


@pytest.mark.parametrize("answer", ["", "{}", json.dumps({"vulnerabilities": {}}), json.dumps({"message": "405"})])
def test_an_npm_registry_that_reports_nothing_was_not_asked(said: list[tuple[int, str, str]], answer: str) -> None:
    said.append((1, answer, ""))
    with pytest.raises(CouldNotAskError):
        advisories.ask_npm(PROJECT / "requirements/engines/package-lock.json", {})


def test_what_npm_reports_is_told_once_for_each_advisory(said: list[tuple[int, str, str]]) -> None:
    def via(name: str, ghsa: str) -> dict[str, Any]:
        return {"via": [{"name": name, "url": f"https://x/{ghsa}", "title": "T", "range": "<9"}, "by way of another"]}

    told = {NPM_CANARY[0]: via(NPM_CANARY[0], NPM_CANARY[2]), "express": via("express", "GHSA-2")}
    said.append((1, json.dumps({"vulnerabilities": told}), ""))
    (one,) = advisories.ask_npm(PROJECT / "requirements/engines/package-lock.json", {})
    assert (one.package, one.ids) == ("express", ("GHSA-2",))


def test_the_command_says_loudly_that_nothing_was_asked(
    said: list[tuple[int, str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    said += [(1, "", "no route")] * 2
    assert main(["--on", str(read_exceptions(PROJECT)[0].recorded + timedelta(days=30))]) == NOT_ASKED
    told = capsys.readouterr()
    assert told.err.count("NOT ASKED, so nothing is known") == 2
    assert "no known" not in told.out + told.err


def test_the_command_ends_otherwise_once_an_exception_is_over(said: list[tuple[int, str, str]]) -> None:
    said += [(1, "", "no route")] * 2
    assert main(["--on", str(read_exceptions(PROJECT)[0].until + timedelta(days=1))]) == TO_DO
