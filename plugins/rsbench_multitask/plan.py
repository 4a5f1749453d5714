"""Plans of tasks that are trained together: one model, several datasets, one record each."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from rsbench.errors import UserErrors, did_you_mean
from rsbench.execution import Execution
from rsbench.plan import RunPlan, RunRequest, digest, expand, run_id
from rsbench.recipes import attempt
from rsbench.registry import registry

GROUP: Final = "family"  # as records have always called it


@dataclass(frozen=True, slots=True, kw_only=True)
class MultitaskRequest(Execution):
    """What the user asked for; names are not yet resolved.

    members: (dataset, protocol or ``None``) pairs.  weights: member to lambda of the sum of losses, 1 where not given.
    steps_per_epoch: each takes a batch of every task; default: training samples of the largest dataset over the batch.
    single_task: also plan each member alone, in as many steps, as the baseline of what is trained together.
    """

    model: str
    members: tuple[tuple[str, str | None], ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    steps_per_epoch: int | None = None
    single_task: bool = False
    recipe: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    precision: str | None = None
    overfit: int | None = None


def expand_multitask(request: MultitaskRequest) -> list[RunPlan]:
    """Return the plans of the group, seed by seed, and then those of its members alone.

    Raises:
        UserErrors: every problem of the request at once.
    """
    problems: list[str] = []
    names = member_names(request.members)
    _check(request, names, problems)
    plans: dict[str, list[RunPlan]] = {}
    for name, (dataset, protocol) in zip(names, request.members, strict=True):
        found = attempt(problems, partial(expand, _request_of(request, dataset, protocol)))
        if found:
            plans[name] = found
    if problems:
        raise UserErrors(list(dict.fromkeys(problems)))
    steps = request.steps_per_epoch or max(_batches(p[0]) for p in plans.values())
    groups = [names, *([name] for name in names if request.single_task and len(names) > 1)]
    return [
        plan
        for group in groups
        for k in range(len(request.seeds))
        for plan in _together({name: plans[name][k] for name in group}, request.weights, steps)
    ]


def member_names(members: Sequence[tuple[str, str | None]]) -> list[str]:
    """Name members by their dataset, and by dataset@protocol where one dataset serves several."""
    times = Counter(dataset for dataset, _ in members)
    return [f"{dataset}@{protocol}" if times[dataset] > 1 else dataset for dataset, protocol in members]


def _check(request: MultitaskRequest, names: list[str], problems: list[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            problems.append(f"'{name}' is named {count} times; give each protocol once, as DATASET@PROTOCOL.")
    for name, weight in request.weights.items():
        if name not in names:
            problems.append(f"No task is called '{name}'.{did_you_mean(name, names)} Tasks: {', '.join(names)}.")
        elif not weight > 0:
            problems.append(f"The weight of '{name}' must be above 0, not {weight}.")
    model = attempt(problems, partial(registry().get, "model", request.model))
    if model is None:
        return
    if not model.shared:
        problems.append(f"Model '{model.name}' does not say what its tasks would share; train its tasks one by one.")
        return
    if request.recipe is None and not model.recipes:
        problems.append(f"Model '{model.name}' ships no recipe; choose one with --recipe.")
    known = {option for task in registry().specs("task").values() for option in task.options}
    for key in request.changes:
        first, _, option = key.partition(".")
        if first == "task_options" and option not in known:
            problems.append(f"No task has an option '{option}'.{did_you_mean(option, known)}")


def _request_of(request: MultitaskRequest, dataset: str, protocol: str | None) -> RunRequest:
    return RunRequest(
        models=((request.model, request.options),),
        dataset=dataset,
        protocol=protocol,
        recipe=request.recipe or ("author" if registry().get("model", request.model).recipes else None),
        tolerant=True,
        changes=request.changes,
        seeds=request.seeds,
        precision=request.precision,
        overfit=request.overfit,
        **Execution.of(request),
    )


def _batches(plan: RunPlan) -> int:
    return max(1, int(plan.protocol["split_sizes"]["train"]) // int(plan.recipe["batch"]))


def _together(plans: Mapping[str, RunPlan], weights: Mapping[str, float], steps: int) -> list[RunPlan]:
    """Return the plans of one group and seed, which know of each other."""
    first = next(iter(plans.values()))
    block: dict[str, Any] = {
        "members": list(plans),
        "weights": [float(weights.get(name, 1.0)) for name in plans],
        "rounds": steps,
    }
    own = digest([block, [p.run_id for p in plans.values()]])[:8]
    block["id"] = f"{'+'.join(plans)}-{first.model['name']}-s{first.seed}-{own}"
    return [_member(plan, name, block) for name, plan in plans.items()]


def _member(plan: RunPlan, name: str, block: Mapping[str, Any]) -> RunPlan:
    others = [other for other in block["members"] if other != name]
    company = f" with {', '.join(others)}" if others else " alone"
    common: dict[str, Any] = {
        "task": plan.task,
        "division": "debug" if plan.overfit is not None else "open",
        "model": {**plan.model, "label": plan.model["label"] + company},
        "dataset": plan.dataset,
        "protocol": plan.protocol,
        "recipe": plan.recipe,
        "device": plan.device,
        "overfit": plan.overfit,
    }
    own = {**block, "member": name}
    known = run_id(common | {GROUP: own}, plan.seed)
    return dataclasses.replace(plan, run_id=known, runner="multitask", group=own, **common)
