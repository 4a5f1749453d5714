"""Whether a run's network is compiled for training, decided by a few steps that leave no trace.

Training alone is compiled: evaluation has batches of other sizes, each of which would be compiled for itself, and what
it keeps of one batch a CUDA graph would overwrite with the next.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from rsbench.engine.memory import is_out_of_memory, release
from rsbench.engine.step.compiled import Compiled, reset_compiled
from rsbench.engine.step.oom_recovery import StepRunner
from rsbench.engine.step.snapshot import Snapshot
from rsbench.engine.step.timing import Step, clock_of, steps_for
from rsbench.engine.training import resume
from rsbench.engine.training.phases import freeze, phases_of, set_training_mode
from rsbench.errors import RunError
from rsbench.execution import AUTO, NONE
from rsbench.plan import RunPlan

METHODS: Final = ("training_loss",)  # of a network, beside its forward
MIN_EAGER_SECONDS: Final = 30.0  # seconds of eager steps; compiling `tiny-cnn` takes half of that
MIN_GAIN: Final = 0.95  # of the eager time, which compiled steps with their compilation have to stay below
WINDOW: Final = 0.2  # seconds
WINDOWS: Final = 3
RECOMPILED: Final = 8  # for how many shapes torch compiles a function, before it gives up


@dataclass
class CompileDecision:
    """How the network is trained, and why.

    Attributes:
        asked: ``auto`` or a mode of ``torch.compile``.
        mode: what it came to; ``None``: not compiled.
        reason: one clause.
        step_s: seconds of a forward and backward pass, by mode; ``none`` is eager.
        compile_s: seconds that each mode took to compile, until its first step was done.
    """

    asked: str
    mode: str | None = None
    reason: str = ""
    step_s: dict[str, float] = field(default_factory=dict)
    compile_s: dict[str, float] = field(default_factory=dict)

    def block(self) -> dict[str, Any]:
        """Return the record's entry."""
        return asdict(self)


@dataclass(frozen=True)
class CompileBenchmark:
    """What is tried: steps on one batch, as training does them but for the optimizer.

    Attributes:
        steps: how many passes over such a batch the run has before it.
        train_only: which parameters are trained, as in a recipe's phase.
        dynamic: as :class:`rsbench.engine.step.compiled.Compiled` has it.
        shapes: for how many shapes of batches the run will compile; that of *batch* is one of them.
    """

    task: Any
    model: nn.Module
    loss: Any
    fabric: Any
    batch: Any
    device: torch.device
    steps: int
    train_only: str | None = None
    dynamic: bool | None = False
    shapes: int = 1

    def compile(self, mode: str) -> Compiled:
        """Compile the network; what was compiled before is dropped."""
        reset_compiled(self.device)
        return Compiled(self.model, mode, METHODS, self.dynamic)

    def step(self) -> None:
        """Forward and backward once."""
        torch.compiler.cudagraph_mark_step_begin()
        with self.fabric.autocast():
            value = self.task.loss(self.model, self.batch, self.loss)
        value.backward()
        self.model.zero_grad(set_to_none=True)


def mode_asked_for(plan: RunPlan, device: torch.device) -> str | None:
    """Return ``auto`` or the mode of ``torch.compile`` that a run asks for: by default ``auto`` on CUDA."""
    asked = plan.compile or (AUTO if device.type == "cuda" else NONE)
    return None if asked == NONE else asked


def compile_for_training(plan: RunPlan, gradients: StepRunner, train: Any, folder: Path) -> CompileDecision:
    """Let *gradients* use a compiled network where that is asked for, or pays; a run taken up again keeps its mode.

    Args:
        plan: of the run.
        gradients: takes the steps of the network.
        train: loader of the training split.
        folder: of the run, with the state that a resumed one goes on from.

    Raises:
        RunError: the network cannot be compiled in the mode that was asked for.
    """
    asked = mode_asked_for(plan, gradients.device) or NONE
    if gradients.checkpointed:
        return CompileDecision(asked, reason="activations are checkpointed")
    if asked == AUTO and train.ranks.world > 1:
        return CompileDecision(asked, reason="several devices share the run")
    state = resume.load(folder) or {}
    kept = state.get("gradients", {}).get("compile") if state.get("identity") == plan.run_id else None
    phases = phases_of(dict(plan.recipe))
    trial = CompileBenchmark(
        gradients.task,
        gradients.network,
        gradients.loss,
        gradients.fabric,
        gradients.first(next(train.training_epoch(0))),
        gradients.device,
        sum(phase["epochs"] for phase in phases) * len(train) * gradients.parts,
        phases[0]["train_only"],
        dynamic=False if gradients.task.fixed_shapes else None,
        shapes=shapes_of(plan, gradients.task.fixed_shapes, train.short > 0),
    )
    choice, gradients.compiled = choose(trial, asked, kept)
    return choice


def shapes_of(plan: RunPlan, fixed: bool, short: bool) -> int:
    """Return for how many shapes of batches a network is compiled, at most: where they are *fixed* but for the sides
    of the images, those, twice where the last batch of an epoch is *short*; or, where texts are of any length, which
    loops over words do not take as variable, as many as torch lets be."""
    sides = 1 + len(plan.recipe["augmentation"].get("sizes", ()))
    return sides * (1 + short) if fixed else RECOMPILED


def choose(trial: CompileBenchmark, asked: str, kept: str | None = None) -> tuple[CompileDecision, Compiled | None]:
    """Compile the network, or leave it as it is; weights, buffers, gradients and random state are as before.

    Args:
        asked: a mode of ``torch.compile``, or ``auto``: that which is the fastest of all that pay.
        kept: what an earlier attempt of the same run chose, a mode or ``none``, which stays.

    Raises:
        RunError: the network cannot be compiled in the mode that was asked for.
    """
    before, trained = Snapshot(trial.model, whole=True), [p.requires_grad for p in trial.model.parameters()]
    training = {module: module.training for module in trial.model.modules()}
    freeze(trial.model, trial.train_only)
    set_training_mode(trial.model)
    try:
        if kept is not None:
            return _resumed(trial, asked, kept)
        return _measured(trial) if asked == AUTO else _forced(trial, asked)
    finally:
        for module, mode in training.items():
            module.training = mode
        for parameter, requires in zip(trial.model.parameters(), trained, strict=True):
            parameter.requires_grad_(requires)
        before.restore()


def _resumed(trial: CompileBenchmark, asked: str, kept: str) -> tuple[CompileDecision, Compiled | None]:
    choice, compiled = (CompileDecision(asked), None) if kept == NONE else _forced(trial, kept)
    choice.asked, choice.reason = asked, "as before the run was interrupted"
    return choice, compiled


def _forced(trial: CompileBenchmark, mode: str) -> tuple[CompileDecision, Compiled]:
    choice, compiled = CompileDecision(mode, mode, "asked for"), trial.compile(mode)
    try:
        choice.compile_s[mode] = _seconds(trial.step, trial.device)
        return choice, compiled
    except Exception as error:
        if not is_out_of_memory(error):
            message = f"The network cannot be compiled ({_line(error)}); use --compile none."
            raise RunError(message, "compile") from error
    trial.model.zero_grad(set_to_none=True)
    reset_compiled(trial.device)  # training compiles again, and backs off
    return choice, compiled


def _measured(trial: CompileBenchmark) -> tuple[CompileDecision, Compiled | None]:
    """Time steps as they are, and compiled where that may pay."""
    choice = CompileDecision(AUTO)
    eager = _eager(trial, choice)
    if eager is None:
        trial.model.zero_grad(set_to_none=True)
        release(trial.device)
        choice.reason = "memory ran out"
        return choice, None
    if eager * trial.steps < MIN_EAGER_SECONDS:
        choice.reason = f"{eager * trial.steps:.3g} s of steps are too short for it to pay"
        return choice, None
    tried = [_tried(trial, mode, choice) for mode in candidates(trial.device, trial.dynamic)]
    choice.mode = fastest(choice, trial.steps, trial.shapes)
    choice.reason = "; ".join(["it pays" if choice.mode else "it does not pay", *filter(None, [choice.reason])])
    if choice.mode is None:
        reset_compiled(trial.device)
        return choice, None
    last = tried[-1]
    if last is not None and last.mode == choice.mode:
        last.on()
        return choice, last
    compiled = trial.compile(choice.mode)
    choice.compile_s[choice.mode] += _seconds(trial.step, trial.device)
    return choice, compiled


def _eager(trial: CompileBenchmark, choice: CompileDecision) -> float | None:
    """Return the seconds of a step, measured closely only where the run is long enough; ``None``: memory ran out."""
    try:
        trial.step()
        step_s = _seconds(trial.step, trial.device)
        if step_s * trial.steps >= MIN_EAGER_SECONDS:
            step_s = _steady(trial.step, trial.device)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None
    choice.step_s[NONE] = step_s
    return step_s


def _tried(trial: CompileBenchmark, mode: str, choice: CompileDecision) -> Compiled | None:
    """Compile and time, and leave the network as it was; ``None``, with the reason noted, where it fails."""
    compiled = trial.compile(mode)
    try:
        choice.compile_s[mode] = _seconds(trial.step, trial.device)
        choice.step_s[mode] = _steady(trial.step, trial.device)
        return compiled
    except Exception as error:
        choice.reason = f"{mode} failed ({_line(error)})"
    finally:
        compiled.off()
    trial.model.zero_grad(set_to_none=True)
    release(trial.device)
    return None


def candidates(device: torch.device, dynamic: bool | None) -> Sequence[str]:
    """Modes that ``auto`` tries; the second records a CUDA graph of each shape, so that it is for batches of one shape
    alone."""
    return ("default", "reduce-overhead") if device.type == "cuda" and dynamic is False else ("default",)


def fastest(choice: CompileDecision, steps: int, shapes: int = 1) -> str | None:
    """Return the mode of the fastest steps, if *steps* of them and all compilation take less than eager ones."""
    modes = [mode for mode in choice.step_s if mode != NONE]
    if not modes:
        return None
    best = min(modes, key=choice.step_s.__getitem__)
    spent = sum(choice.compile_s.values()) + (shapes - 1) * choice.compile_s[best]
    return best if spent + steps * choice.step_s[best] < MIN_GAIN * steps * choice.step_s[NONE] else None


def _seconds(step: Step, device: torch.device) -> float:
    """Wall time of one step, compilation included."""
    begin = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def _steady(step: Step, device: torch.device) -> float:
    """Return the median over windows of the seconds of a step, after two that warm up."""
    clock = clock_of(device)
    step()  # CUDA graphs are recorded in the second step; only from the third on do they run
    steps = steps_for(WINDOW, clock.window(step, 1))
    return statistics.median(clock.window(step, steps) / steps for _ in range(WINDOWS))


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
