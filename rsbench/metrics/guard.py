"""Keeps metrics from harming each other: what they are given cannot be written to, and their errors become reasons."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from rsbench.containment import PluginError, Refused, contained, described, is_the_users
from rsbench.metrics.contract import Metric, Unavailable
from rsbench.registry import registry

PLAIN: Final = frozenset({str, int, float, bool, type(None)})  # cannot be changed


class Unbuilt(Metric):
    """Stands for a metric that could not be built."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def statistics(self, predictions: Any, references: Any) -> np.ndarray:
        """Say why there are none."""
        raise Unavailable(self.reason)

    def reduce(self, statistics: np.ndarray) -> float:
        """Say why there is no score."""
        raise Unavailable(self.reason)


def read_only(value: Any) -> Any:
    """Return *value* with arrays that cannot be written to and lists that cannot be changed, all the way down.

    Arrays are not copied; objects that hold them are, without their arrays.  The argument is left as it was.
    """
    if isinstance(value, np.ndarray):
        view = value.view()
        view.setflags(write=False)
        return view
    if type(value) in (list, tuple):
        plain = PLAIN.issuperset(map(type, value))  # thousands of ids
        return tuple(value) if plain else tuple(read_only(item) for item in value)
    if isinstance(value, Mapping):
        return MappingProxyType({key: read_only(item) for key, item in value.items()})
    fields = getattr(value, "__dict__", None)
    if not fields or isinstance(value, type):
        return value
    made = copy.copy(value)
    for name, item in fields.items():
        object.__setattr__(made, name, read_only(item))
    return made


def statistics_of(metric: Metric, predictions: Any, references: Any) -> np.ndarray:
    """Return a metric's statistics float64 [N, k], which it takes of what :func:`read_only` gives.

    Raises:
        Unavailable: there are none; the message is the metric's own reason, or the error that it raised.
    """
    with guarded(metric):
        rows = metric.statistics(read_only(predictions), read_only(references))
        is_array = isinstance(rows, np.ndarray)
        if not is_array or rows.ndim != 2 or len(rows) != len(predictions) or rows.dtype.kind not in "biuf":
            found = f"{list(rows.shape)} of {rows.dtype}" if is_array else type(rows).__name__
            raise Refused(f"gave {found} as statistics of {len(predictions)} samples, not numbers [N, k]")
        return rows


def reduced(metric: Metric, statistics: np.ndarray) -> float:
    """Return a metric's score of rows [N, k], which it cannot change; NaN where it is not defined.

    Raises:
        Unavailable: the metric raised an error, or gave no number, which the message names.
    """
    with guarded(metric):
        score = metric.reduce(read_only(statistics))
        try:
            return float(score)
        except (TypeError, ValueError):
            raise Refused(f"gave {type(score).__name__} as its score, not a number") from None


@contextmanager
def guarded(*metrics: Metric | str) -> Iterator[None]:
    """Call code of metrics, or of the factory ``"module:attribute"`` of one, in this block.

    Raises:
        Unavailable: there is nothing; the message is the metric's own reason, or the error that it raised, or why what
            it gave is refused, in one line, with the distribution of a metric that is not ours.
    """
    modules = (one.partition(":")[0] if isinstance(one, str) else type(one).__module__ for one in metrics)
    owner = next(filter(None, map(registry().owner, modules)), None)
    try:
        with contained(owner, "it", limit=False, quiet=True) if owner else nullcontext():
            yield
    except Unavailable:
        raise
    except PluginError as error:
        cause = error.__cause__
        raise cause if isinstance(cause, Unavailable) else Unavailable(f"{error.text} ({owner})") from error
    except Refused as error:
        raise Unavailable(f"it {error}") from None
    except BaseException as error:
        if is_the_users(error):
            raise
        raise Unavailable(f"it raised {described(error)}") from error
