"""The fixture ``rsbench_checks``: one test for each check of each spec of the plugins that a test is marked with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from rsbench.testing.contract import Case

FIXTURE: Final = "rsbench_checks"
MARK: Final = "rsbench_plugin"


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    text = f"{MARK}(name, only='*'): the plugin that {FIXTURE} checks, all of it or the 'kind/name/check' of a pattern"
    config.addinivalue_line("markers", text)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each case of the marked plugins."""
    if FIXTURE not in metafunc.fixturenames:
        return
    from rsbench.errors import UserError
    from rsbench.testing.run import cases

    marks = list(metafunc.definition.iter_markers(MARK))
    if not marks:
        raise pytest.UsageError(f"a test that uses {FIXTURE} needs @pytest.mark.{MARK}('the name of a plugin')")
    try:
        found = [case for mark in marks for case in cases(*mark.args, **mark.kwargs)]
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    metafunc.parametrize("_rsbench_case", found, ids=[case.key for case in found])


@pytest.fixture
def rsbench_checks(_rsbench_case: Case) -> Callable[[], None]:
    """What runs one check: it fails with the fault and what to do, or skips or expects the failure with the reason."""
    from rsbench.testing.contract import BAD, EXPECTED, SKIPPED

    def run() -> None:
        __tracebackhide__ = True
        result, check = _rsbench_case.run(), _rsbench_case.check
        if result.outcome in BAD:
            pytest.fail(f"{result.detail}\nwhy: {check.reason}\nwhat to do: {check.remedy}", pytrace=False)
        if result.outcome == SKIPPED:
            pytest.skip(result.detail)
        if result.outcome == EXPECTED:
            pytest.xfail(result.detail)

    return run
