"""Options of how a run is executed that change none of what it is: compilation, and memory for time."""

from __future__ import annotations

from typing import Final

from rsbench.errors import did_you_mean

AUTO: Final = "auto"
NONE: Final = "none"
COMPILE: Final = (NONE, AUTO, "default", "reduce-overhead", "max-autotune")


def problems(*, compile: str | None, checkpoint_activations: bool) -> list[str]:
    """Return what stands against a run with these options; ``compile`` is ``None`` where the device decides."""
    if compile is not None and compile not in COMPILE:
        return [f"--compile is one of {', '.join(COMPILE)}; '{compile}' is not.{did_you_mean(compile, COMPILE)}"]
    if checkpoint_activations and compile not in (None, NONE, AUTO):
        return [f"Networks that checkpoint activations are not compiled: leave out --compile {compile} or the other."]
    return []
