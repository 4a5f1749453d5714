"""rsbench: a plugin-based benchmarking harness for remote sensing."""

from __future__ import annotations

from rsbench.hookspecs import hookimpl

__version__ = "0.1.0"
__all__ = ["__version__", "hookimpl"]
