"""Hardware and settings of a measured speed; those of different ones (precision, compile mode) are never compared."""

from __future__ import annotations

from typing import Any


def machine(record: dict[str, Any]) -> str | None:
    """Return device, threads (of a CPU), precision and compile mode in words; ``None`` where they are not known."""
    environment = record["env"] or {}
    device, flags = environment.get("device"), environment.get("flags") or {}
    if not device or not device.get("name"):
        return None
    count = device.get("count") or 1
    parts = [f"{count} x {device['name']}" if count > 1 else str(device["name"])]
    if device.get("type") == "cpu" and flags.get("threads"):
        parts.append(f"{flags['threads']} CPU thread{'s' if flags['threads'] > 1 else ''}")
    if flags.get("precision"):
        parts.append(str(flags["precision"]))
    if flags.get("compile"):
        parts.append(f"compiled ({flags['compile']})" if isinstance(flags["compile"], str) else "compiled")
    if flags.get("tf32"):
        parts.append("TF32")
    return ", ".join(parts)
