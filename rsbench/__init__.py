"""rsbench: a plugin-based benchmarking harness for remote sensing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rsbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from rsbench.api import leaderboard, load_records, run
    from rsbench.inference import load_model, predict

__version__ = "0.1.0"
__all__ = ["__version__", "hookimpl", "leaderboard", "load_model", "load_records", "predict", "run"]


def __getattr__(name: str) -> Any:
    """Import the Python interface when it is first used."""
    if name == "leaderboard":  # a package of this name is there too; it can be called
        return importlib.import_module("rsbench.leaderboard")
    if name in ("load_records", "run"):
        return getattr(importlib.import_module("rsbench.api"), name)
    if name in ("load_model", "predict"):
        return getattr(importlib.import_module("rsbench.inference"), name)
    raise AttributeError(f"module 'rsbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
