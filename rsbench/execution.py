"""Options of how and where a run is executed, which change none of what it is: a record's command leaves them out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from rsbench.errors import did_you_mean

AUTO: Final = "auto"
NONE: Final = "none"
COMPILE_MODES: Final = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")  # of torch.compile
COMPILE_FIXED: Final = (NONE, *COMPILE_MODES)
COMPILE: Final = (NONE, AUTO, *COMPILE_MODES)
LAUNCHERS: Final = ("local", "ray")

# Fields of a plan that a record's plan does not repeat: its ``env`` says how the run was executed.
FIELDS: Final = ("devices", "nodes", "strategy", "compile", "checkpoint_activations")
SWITCHES: Final = ("--checkpoint-activations", "--json", "--quiet", "-q")  # options without a value
OPTIONS: Final = (
    *(f"--{name.replace('_', '-')}" for name in FIELDS),
    "--threads",
    "--observer",
    "--out",
    "--data-root",
    "--launcher",
    "--parallel",
    "--ray-address",
    "--cpus-per-run",
    "--gpus-per-run",
    *SWITCHES,
)
OF_SPEED: Final = ("--compile", "--threads")  # what throughput measures depends on these


def problems(*, compile: str | None, checkpoint_activations: bool) -> list[str]:
    """Return what stands against a run with these options; ``compile`` is ``None`` where the device decides."""
    if compile is not None and compile not in COMPILE:
        return [f"--compile is one of {', '.join(COMPILE)}; '{compile}' is not.{did_you_mean(compile, COMPILE)}"]
    if checkpoint_activations and compile not in (None, NONE, AUTO):
        return [f"Networks that checkpoint activations are not compiled: leave out --compile {compile} or the other."]
    return []


def portable_command(command: str, *, speed: bool = False) -> str:
    """Return a command line without :data:`OPTIONS`, and with the names of files for absolute paths.

    With *speed*, the command measured throughput, and keeps the options that have a say in it.
    """
    words = iter(shlex.split(command))
    kept: list[str] = []
    for word in words:
        option, equals, value = word.partition("=")
        if option in OPTIONS and not (speed and option in OF_SPEED):
            if not equals and option not in SWITCHES:
                next(words, None)
            continue
        place = value if equals else word
        kept.append(word.removesuffix(place) + Path(place).name if Path(place).is_absolute() else word)
    return shlex.join(kept)
