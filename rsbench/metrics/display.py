"""How raw scores are printed: times a factor that is named beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def factor(unit: str) -> tuple[float, str]:
    """Return what a value in *unit* is multiplied by in print, and the sign of it: ``%``, ``x100`` or nothing."""
    if unit == "fraction":
        return 100.0, "%"
    if unit.startswith("CIDEr"):
        return 100.0, "x100"
    return 1.0, ""


def shown(value: float | None, unit: str) -> str:
    """Return a value times its factor: two decimals with one, four without; ``-`` for ``None``."""
    if value is None:
        return "-"
    times, sign = factor(unit)
    return f"{times * value:.2f}" if sign else f"{value:.4f}"


def with_interval(entry: Mapping[str, Any]) -> str:
    """Return ``mcc 0.9510 [0.9420, 0.9600]`` of an entry with ``name``, ``value``, ``unit`` and ``ci95``."""
    unit = entry["unit"]
    value, sign = shown(entry["value"], unit), factor(unit)[1]
    interval = " [{}, {}]".format(*(shown(v, unit) for v in entry["ci95"])) if entry["ci95"] else ""
    return f"{entry['name']} {value}{' ' if sign else ''}{sign}{interval}"


def p_value(p: float, equal: str = "") -> str:
    """Four decimals after *equal*, or how small it is."""
    return f"{equal}{p:.4f}" if p >= 0.0001 else "< 0.0001"


def duration(seconds: float | None) -> str:
    """Return ``0.35 s``, ``43 s``, ``6 min 38 s`` or ``1 h 13 min``; ``-`` where it is not known."""
    if seconds is None:
        return "-"
    if 0 < seconds < 0.01:
        return "< 0.01 s"
    if seconds < 59.5:
        return f"{float(f'{seconds:.2g}'):g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
