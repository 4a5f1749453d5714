"""A request to measure throughput becomes checked plans, one for each model.

Such a plan is a :class:`rsbench.plan.RunPlan` of division ``throughput``: its dataset is synthetic, its protocol says
how speed is measured, and its recipe holds precision, compile mode, batches and the training step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from rsbench.data.location import data_root
from rsbench.errors import UserError, UserErrors, did_you_mean
from rsbench.execution import COMPILE_FIXED, NONE, Execution
from rsbench.plan import RunPlan, digest, model_block
from rsbench.reading import whole
from rsbench.recipes import attempt, resolve_options
from rsbench.registry import registry
from rsbench.specs import PRECISIONS, ModelSpec, TaskSpec, to_jsonable
from rsbench_throughput.record import DIVISION, MODES, run_id

CHANNELS: Final = 3

# windows: timed at each batch size, of at least window_s seconds.  agree, tolerance: warm-up ends when so many
# successive windows lie within that share of the largest, or after warmup_windows or warmup_s.  gain: two doublings
# that bring less end the sweep, as does a batch whose windows would take more than point_s, or the largest batch.
RULES: Final[Mapping[str, Any]] = {
    "windows": 7,
    "window_s": 0.4,
    "agree": 3,
    "tolerance": 0.05,
    "warmup_windows": 20,
    "warmup_s": 60.0,
    "gain": 0.03,
    "largest": 4096,
    "point_s": 60.0,
    "latency_calls": 200,
    "latency_s": 10.0,
    "peak_windows": 5,
}
QUICK: Final[Mapping[str, Any]] = {
    **RULES,
    "windows": 5,
    "window_s": 0.05,
    "warmup_windows": 6,
    "warmup_s": 5.0,
    "largest": 64,
    "point_s": 10.0,
    "latency_calls": 30,
    "latency_s": 2.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputRequest(Execution):
    """What the user asked for; names are not yet resolved.

    task: ``None`` is the model's first.  classes, size, channels: ``None`` is what the model declares or the shipped
    dataset of the task has.  batches: ``None`` sweeps powers of two.  options: of every model that has them.
    """

    models: tuple[str, ...]
    task: str | None = None
    classes: int | None = None
    size: int | None = None
    channels: int | None = None
    batches: tuple[int, ...] | None = None
    modes: tuple[str, ...] = MODES
    precision: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    quick: bool = False


def expand(request: ThroughputRequest) -> list[RunPlan]:
    """Return one plan for each model.

    Raises:
        UserErrors: every problem of the request at once.
    """
    problems = _words(request)
    plans: list[RunPlan] = []
    found: list[str]
    for name in request.models:
        spec = attempt(problems, partial(registry().get, "model", name))
        if spec is not None:
            spec, found = _random(spec), []
            options = resolve_options(spec.options, request.options, f"model '{name}'", found)
            shape = _shape(spec, request, found)
            if not found and not problems:
                plans.append(_plan(request, spec, options, shape))
            problems += [p for p in found if p not in problems]
    if problems:
        raise UserErrors(problems)
    return list({plan.run_id: plan for plan in plans}.values())


def parse_batches(text: str) -> tuple[int, ...] | None:
    """Return the batches of ``auto`` (``None``) or of ``1,8,64``, sorted.

    Raises:
        UserError: it is neither.
    """
    if text == "auto":
        return None
    sizes = {whole(word.strip()) or 0 for word in text.split(",")}
    if not all(sizes):
        raise UserError(f"--batch takes auto or whole numbers such as 1,8,64; '{text}' is neither.")
    return tuple(sorted(sizes))


def parse_mode(text: str) -> tuple[str, ...]:
    """Return the modes of ``inference | training | both``.

    Raises:
        UserError: it is none of them.
    """
    return MODES if text == "both" else (_one_of("mode", text, (*MODES, "both")),)


def _words(request: ThroughputRequest) -> list[str]:
    """What is wrong with words that do not depend on the model."""
    problems: list[str] = []
    for name, value, known in (
        ("compile", request.compile or NONE, COMPILE_FIXED),
        ("precision", request.precision, PRECISIONS),
    ):
        attempt(problems, partial(_one_of, name, value, known))
    return problems


def _one_of(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise UserError(f"--{name} is one of {', '.join(known)}; '{value}' is not.{did_you_mean(value, known)}")
    return value


def _random(spec: ModelSpec) -> ModelSpec:
    """Return a model whose weights are random unless others are asked for: speed does not depend on them."""
    random = {n: replace(o, default=o.file_unless[0]) for n, o in spec.options.items() if o.file_unless}
    return replace(spec, options={**spec.options, **random})


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a synthetic sample looks like; ``classes`` are names."""

    task: TaskSpec
    channels: int
    size: int
    classes: tuple[str, ...]


def _shape(spec: ModelSpec, request: ThroughputRequest, problems: list[str]) -> _Shape:
    """Return the shape of the samples, noting what the model cannot take."""
    name, accepts = request.task or spec.tasks[0], spec.accepts
    if name not in spec.tasks:
        problems.append(f"Model '{spec.name}' is for {', '.join(spec.tasks)}, not for {name}.")
    task: TaskSpec = registry().get("task", name)
    if spec.kind == "estimator":
        problems.append(f"Model '{spec.name}' is an estimator, fitted in one go; throughput measures networks.")
    channels = request.channels or accepts.channels or CHANNELS
    if accepts.channels not in (None, channels):
        problems.append(f"Model '{spec.name}' takes {accepts.channels} channels, not {channels}.")
    size = request.size or accepts.size or max(task.sample.get("size", 0), accepts.min_size)
    if accepts.size not in (None, size) or size < accepts.min_size:
        wanted = accepts.size or f"at least {accepts.min_size}"
        problems.append(f"Model '{spec.name}' takes images of {wanted} pixels, not {size}.")
    return _Shape(task, channels, size, _classes(task, request.classes))


def _plan(request: ThroughputRequest, spec: ModelSpec, options: dict[str, Any], shape: _Shape) -> RunPlan:
    parts: dict[str, Any] = {
        "model": model_block(spec, options),
        "dataset": _dataset(shape),
        "protocol": _protocol(request, shape.task.name),
        "recipe": _recipe(request, shape.task),
    }
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")  # a measurement is repeated, never taken from the last one
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", spec.name)
    sha = run_id(parts | {"device": request.device, "threads": request.threads})
    return RunPlan(
        run_id=f"throughput-{name}-{shape.task.name}-{now}-{sha}",
        task=shape.task.name,
        seed=0,
        division=DIVISION,
        runner=DIVISION,
        **Execution.of(request, compile=None, data_root=str(data_root(request.data_root))),
        **parts,
    )


def _dataset(shape: _Shape) -> dict[str, Any]:
    """Return a plan's ``dataset``: what synthetic samples look like."""
    bands = [f"band {k + 1}" for k in range(shape.channels)]
    facts: dict[str, Any] = {
        "name": "synthetic",
        "version": "1",
        "image_shape": [shape.channels, shape.size, shape.size],
        "dtype": "float32",
        "classes": [*shape.classes],
        "bands": bands,
        "units": ["float"] * len(bands),
    }
    facts |= to_jsonable({k: v for k, v in shape.task.sample.items() if k not in ("size", "classes")})
    return {**facts, "fingerprint": digest(facts), "store": ""}


def _classes(task: TaskSpec, count: int | None) -> tuple[str, ...]:
    """Return *count* names, by default as many as the task's sample has; they begin with its own, to which models may
    give a meaning."""
    own = task.sample.get("classes", 0)
    known = () if isinstance(own, int) else tuple(own)
    wanted = count or (own if isinstance(own, int) else len(known))
    return (*known[:wanted], *(f"class {k}" for k in range(len(known), wanted)))


def _protocol(request: ThroughputRequest, task: str) -> dict[str, Any]:
    """Return a plan's ``protocol``: how speed is measured."""
    facts = {"task": task, "quick": request.quick, **(QUICK if request.quick else RULES)}
    return {"name": "throughput", "version": "1", "fingerprint": digest(facts), **facts, "modes": list(request.modes)}


def _recipe(request: ThroughputRequest, task: TaskSpec) -> dict[str, Any]:
    """Return a plan's ``recipe``: how the network is run, and what a training step is."""
    return {
        "name": "throughput",
        "precision": request.precision,
        "compile": None if request.compile in (None, NONE) else request.compile,
        "batches": None if request.batches is None else list(request.batches),
        "optimizer": "adamw",
        "optimizer_options": {},
        "lr": 1e-3,
        "weight_decay": 0.05,
        "no_decay": ["norm_and_bias"],
        "loss": "cross-entropy",
        "loss_options": {},
        "task_options": dict(task.options),
    }
