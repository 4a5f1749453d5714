"""Durations, sizes and times as people read them."""

from __future__ import annotations

from datetime import datetime

UNITS = ("B", "kB", "MB", "GB", "TB")


def duration(seconds: float | None) -> str:
    """Return ``0.8 s``, ``43 s``, ``6 min 38 s`` or ``1 h 13 min``; ``-`` where it is not known."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


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
