"""Options of how and where a run is executed, which change none of what it is: a record's command leaves them out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from rsbench.errors import did_you_mean
from rsbench.specs import TaskSpec

OUT: Final = "rsbench-results"
AUTO: Final = "auto"
NONE: Final = "none"
COMPILE_MODES: Final = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")  # of torch.compile
COMPILE_FIXED: Final = (NONE, *COMPILE_MODES)
COMPILE: Final = (NONE, AUTO, *COMPILE_MODES)
DEVICE: Final = r"auto|cpu|cuda(:\d{1,4})?"
STRATEGIES: Final = (AUTO, "ddp", "fsdp")  # auto is ddp
SLICED_STEPS: Final = ("sgd", "adam", "adamw")  # optimizers that look at each number of a parameter by itself


def option(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    examples: Sequence[str] = (),
    least: int | None = None,
    form: str | None = None,
    variable: str | None = None,
    place: bool = False,
    identity: bool = False,
    kept: bool = False,
) -> Any:
    """A field of :class:`Execution` that is an option of the commands that run something.

    Args:
        default: of the field; ``None`` leaves it to what runs.
        help: what the command line says of it.
        choices: all values, where they are few.
        examples: some values, which the tab key completes.
        least: the smallest number.
        form: a regular expression that values match.
        variable: of the environment, from which the option is taken where it is not given.
        place: it names a place of this machine, which a record leaves empty.
        identity: results depend on it, so that it is a part of the run id.
        kept: the plan of a record has it, as it has places and what is a part of its identity; of others ``env`` says
            what came of them.
    """
    metadata = {"help": help, "choices": tuple(choices), "examples": tuple(examples or choices), "least": least}
    metadata |= {"form": form}
    metadata |= {"variable": variable, "place": place, "identity": identity, "kept": kept or place or identity}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How and where something is run.  Each field with a help is an option of the command line, of :func:`rsbench.run`
    and of plans; here is the one place where it is said."""

    device: str = option(AUTO, "auto | cpu | cuda | cuda:N", examples=(AUTO, "cpu", "cuda"), form=DEVICE, identity=True)
    threads: int = option(
        0, "CPU threads; 0: all cores, fewer where others keep them busy and that is faster.", least=0, kept=True
    )
    devices: int = option(1, "Devices of each node; with --device cpu, processes.", least=1)
    nodes: int = option(1, "Nodes, on which torchrun or srun has started a process a device.", least=1)
    strategy: str = option(
        AUTO, "how several devices share a run; with fsdp each holds a slice of the network.", choices=STRATEGIES
    )
    compile: str | None = option(
        None, "auto tries whether it pays. Default: auto on CUDA, elsewhere none.", choices=COMPILE
    )
    checkpoint_activations: bool = option(False, "Save memory: compute activations again in the backward pass.")
    out: str = option(OUT, "Folder of the records.", variable="RSBENCH_OUT", place=True)
    data_root: str = option("", "Data root.", place=True)
    command: str = ""

    @classmethod
    def of(cls, other: Execution, **changes: Any) -> dict[str, Any]:
        """Return the fields of this class as *other* has them, but for *changes*."""
        return {f.name: getattr(other, f.name) for f in fields(cls)} | changes

    def misfits(self) -> dict[str, str]:
        """Return a sentence for each field that holds what it cannot, or what does not go with another."""
        found: dict[str, str] = {}
        for each in OPTION_FIELDS:
            value, facts, name = getattr(self, each.name), each.metadata, f"--{each.name.replace('_', '-')}"
            if value == each.default and type(value) is type(each.default):
                continue
            if facts["choices"] and value not in facts["choices"]:
                near = did_you_mean(str(value), facts["choices"])
                found[each.name] = f"{name} is one of {', '.join(facts['choices'])}; '{value}' is not.{near}"
            elif facts["form"] and not re.fullmatch(facts["form"], str(value)):
                found[each.name] = f"{name} is {facts['help']}; '{value}' is not."
            elif facts["least"] is not None and (type(value) is not int or value < facts["least"]):
                found[each.name] = f"{name} is a whole number, {facts['least']} or more; '{value}' is not."
        if self.checkpoint_activations and self.compile not in (None, NONE, AUTO):
            wanted = f"--compile {self.compile}"
            said = f"Networks that checkpoint activations are not compiled: leave out {wanted} or the other."
            found.setdefault("compile", said)
        return found

    def too_wide(self, task: TaskSpec, recipe: Mapping[str, Any], samples: int) -> list[str]:
        """Return what stands against a run on so many devices.

        Args:
            task: says which strategies it can take.
            recipe: resolved; its ``batch`` is that of all devices together.
            samples: of the training split.
        """
        found: list[str] = []
        world = self.devices * self.nodes
        if world == 1:
            return found
        if ":" in self.device:
            alone = self.device.partition(":")[0]
            found.append(f"--device {self.device} names one device; for {world} give --device {alone}.")
        batch = min(int(recipe.get("batch", world)), samples)
        if batch < world:
            found.append(f"A batch of {batch} cannot be shared by {world} devices: use fewer, or a larger batch.")
        return found + (_unsliceable(task, recipe) if self.strategy == "fsdp" else [])


OPTION_FIELDS: Final = tuple(f for f in fields(Execution) if f.metadata)
FIELDS: Final = tuple(f.name for f in OPTION_FIELDS if not f.metadata["kept"])
SWITCHES: Final = (
    *(f"--{f.name.replace('_', '-')}" for f in OPTION_FIELDS if f.type == "bool"),
    "--json",
    "--quiet",
    "-q",
)
OPTIONS: Final = (
    *(f"--{f.name.replace('_', '-')}" for f in OPTION_FIELDS if not f.metadata["identity"]),
    "--observer",
    "--launcher",
    "--parallel",
    "--ray-address",
    "--cpus-per-run",
    "--gpus-per-run",
    *SWITCHES,
)
_MEMBER: Final = re.compile(r"^([\w-]+:)/(?!/)(?:.*/)?(?=[^/,])")  # before the last name of an absolute path


def portable_command(command: str, keeps: Sequence[str] = ()) -> str:
    """Return a command line without :data:`OPTIONS`, and with the names of files for absolute paths, also of members of
    a family.

    Options of the fields that it *keeps* stay.
    """
    words = iter(shlex.split(command))
    kept: list[str] = []
    dropped = {*OPTIONS} - {f"--{name.replace('_', '-')}" for name in keeps}
    for word in words:
        option, equals, value = word.partition("=")
        if option in dropped:
            if not equals and option not in SWITCHES:
                next(words, None)
            continue
        place = value if equals else word
        absolute = Path(place).is_absolute()
        kept.append(word.removesuffix(place) + Path(place).name if absolute else _MEMBER.sub(r"\1", word))
    return shlex.join(kept)


def _unsliceable(task: TaskSpec, recipe: Mapping[str, Any]) -> list[str]:
    """Return what stands against a run whose network is in slices, one a device."""
    found = []
    if "fsdp" not in task.strategies:
        found.append(f"--strategy fsdp is not for {task.name}; share a run of it by --strategy ddp.")
    if recipe.get("ema"):
        found.append("--strategy fsdp keeps no moving average of weights: use --set ema=null or --strategy ddp.")
    if recipe.get("precision") == "fp16":
        found.append("--strategy fsdp does not scale gradients of fp16: use --precision bf16 or --strategy ddp.")
    phases = (recipe, *(phase["overrides"] for phase in recipe.get("phases") or ()))
    for name in sorted({str(phase.get("optimizer", "sgd")).lower() for phase in phases} - set(SLICED_STEPS)):
        found.append(f"--strategy fsdp takes {', '.join(SLICED_STEPS)}, not '{name}', which needs whole parameters.")
    return found
