"""pytest's tests, collected once; what is run of them is run in children of this process."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from . import scope

ROOT = scope.SOURCE.parent
_OPTIONS = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:terminal", "-p", "no:faulthandler")


@dataclass(eq=False)
class Tests:
    """The tests of a session, by node id."""

    items: dict[str, pytest.Item]
    _reports: list[pytest.TestReport] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)

    def warm_up(self) -> None:
        """Run a test of each file, so that what all children need is made before there are any."""
        first_of_file = {test.partition("::")[0]: test for test in reversed(self.items)}
        for test in first_of_file.values():
            self.run(test)

    def run(self, test: str) -> str | None:
        """Run one in this process; None where it passed, else what pytest says of its failure."""
        item = self.items[test]
        self._reports.clear()
        # Where the next test needs nothing but the session, everything else is torn down, whichever test that is.
        item.ihook.pytest_runtest_protocol(item=item, nextitem=item.session)
        failed = next((report for report in self._reports if report.failed), None)
        return None if failed is None else f"{failed.when}: {failed.longreprtext}"


class _Collector:
    """Hands the collected tests to whoever wants to run them."""

    def __init__(self, use: Callable[[Tests], None]) -> None:
        self._use = use
        self.errors: list[str] = []

    def pytest_configure(self, config: pytest.Config) -> None:
        config.option.tbstyle = "native"  # pytest's own way of telling a failure takes longer than most tests

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.append(f"{report.nodeid}: {report.longreprtext[-1500:]}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        tests = Tests({item.nodeid: item for item in session.items if not _is_made_up(item)})
        session.config.pluginmanager.register(tests)
        self._use(tests)
        return True


def _is_made_up(item: pytest.Item) -> bool:
    """Hypothesis makes up examples anew: what it catches today it may miss tomorrow."""
    return bool(getattr(getattr(item, "obj", None), "is_hypothesis_test", False))


def with_tests(paths: Sequence[str], use: Callable[[Tests], None]) -> list[str]:
    """Collect what these paths or node ids name, and use it; what could not be collected."""
    collector = _Collector(use)
    options = [*_OPTIONS, f"--rootdir={ROOT}", "-c", str(ROOT / "pyproject.toml"), "--continue-on-collection-errors"]
    pytest.main([*options, *paths], plugins=[collector])
    return collector.errors


def settle() -> None:
    """What is there by now is left in peace, so that children share it with this process."""
    gc.collect()
    gc.freeze()
