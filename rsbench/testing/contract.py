"""What a check is, and what comes of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

PASSED: Final = "passed"
FAILED: Final = "failed"
EXPECTED: Final = "expected"  # failed, as its plugin declares
UNEXPECTED: Final = "unexpected"  # passed, although its plugin declares that it fails
SKIPPED: Final = "skipped"
BAD: Final = (FAILED, UNEXPECTED)


class CheckFailure(AssertionError):
    """What a check found wrong, in one sentence."""


class NotApplicable(Exception):
    """A check has nothing to look at; the message says why."""


@dataclass(frozen=True)
class Check:
    """One question to a spec.

    Attributes:
        name: what it is called on the command line and in ``rsbench_expected_failures``.
        reason: why it matters, in one line.
        remedy: what to do where it fails, in one line.
        run: looks at a trial, what the kit builds of a spec; raises :class:`CheckFailure` or :class:`NotApplicable`.
    """

    name: str
    reason: str
    remedy: str
    run: Callable[[Any], None]


@dataclass(frozen=True)
class Group:
    """Checks that look at the same thing, which ``make`` makes once for all of them."""

    name: str
    checks: Sequence[Check]
    make: Callable[[], Any]


@dataclass(frozen=True)
class Result:
    """What came of a case; ``detail`` is the fault, or why it was skipped or expected."""

    case: Case
    outcome: str
    detail: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return plain JSON-able data."""
        check = self.case.check
        return {
            "case": self.case.key,
            "outcome": self.outcome,
            "detail": self.detail,
            "reason": check.reason,
            "remedy": check.remedy if self.outcome == FAILED else "",
        }


@dataclass(frozen=True)
class Case:
    """One check of one spec.  ``expected`` is why it fails by the nature of the spec, where that is declared."""

    kind: str
    name: str
    check: Check
    trial: Callable[[], Any]
    expected: str | None = None

    @property
    def key(self) -> str:
        """``kind/name/check``."""
        return f"{self.kind}/{self.name}/{self.check.name}"

    def run(self) -> Result:
        """Run the check; whatever the plugin's code raises is a fault that names the exception and its place."""
        try:
            self.check.run(self.trial())
        except NotApplicable as error:
            return Result(self, SKIPPED, str(error))
        except CheckFailure as error:
            return self._failed(str(error))
        except Exception as error:
            return self._failed(f"{_where(error)}{type(error).__name__}: {' '.join(str(error).split())}")
        if self.expected is not None:
            text = "it passes, although rsbench_expected_failures says that it fails: take the entry out"
            return Result(self, UNEXPECTED, text)
        return Result(self, PASSED)

    def _failed(self, text: str) -> Result:
        if self.expected is not None:
            return Result(self, EXPECTED, f"{self.expected} ({text})")
        return Result(self, FAILED, text)


class Checks(list[Check]):
    """The checks of one kind, filled by its decorator."""

    def __call__(
        self, name: str, *, reason: str, remedy: str
    ) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        """Return a decorator that adds a function as a check."""

        def add(function: Callable[[Any], None]) -> Callable[[Any], None]:
            self.append(Check(name, reason, remedy, function))
            return function

        return add


def require(condition: object, fault: str) -> None:
    """Raise :class:`CheckFailure` unless *condition* holds; unlike ``assert`` it is not optimized away."""
    if not condition:
        raise CheckFailure(fault)


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    return f"{last.filename.rpartition('/')[2]}:{last.lineno} raised " if last else ""
