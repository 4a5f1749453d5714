"""Sizes and times as people read them; durations are in :mod:`rsbench.metrics.display`."""

from __future__ import annotations

from datetime import datetime

UNITS = ("B", "kB", "MB", "GB", "TB")


def size(count: float) -> str:
    """Return ``512 B``, ``1.3 MB`` or ``42 GB``, in powers of 1000."""
    place = 0
    while count >= 999.5 and place < len(UNITS) - 1:
        count, place = count / 1000, place + 1
    return f"{count:.1f} {UNITS[place]}" if place and count < 9.95 else f"{count:.0f} {UNITS[place]}"


def local_time(when: str) -> str:
    """Return a time in UTC, ISO 8601, as ``2026-11-28 09:36`` of this machine's zone."""
    try:
        return f"{datetime.fromisoformat(when).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):  # of records by others
        return when
