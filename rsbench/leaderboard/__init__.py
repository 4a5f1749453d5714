"""Leaderboards as a pure function of records.

The package can be called: ``rsbench.leaderboard(...)`` is :func:`rsbench.leaderboard.result.leaderboard`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsbench.leaderboard.result import Leaderboard


class _Callable(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Leaderboard:
        from rsbench.leaderboard.result import leaderboard

        return leaderboard(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
