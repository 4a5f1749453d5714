"""Plans for weights that were trained elsewhere: they are tested under a protocol, and not trained."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rsbench import reading, renamed
from rsbench.errors import UserError, UserErrors
from rsbench.execution import Execution
from rsbench.plan import RunPlan, RunRequest, expand, file_sha256, run_id
from rsbench.registry import registry
from rsbench.specs import NORMALIZATIONS
from rsbench.tasks.task import get_task
from rsbench.tasks.weights import read_metadata

# What of a recipe has a say in a test; how the weights were trained is not known.
EVAL_FIELDS: Final = ("batch", "precision", "loss", "loss_options", "task_options")
KINDS: Final[dict[str, Any]] = {
    "options": dict,
    "classes": list,
    "bands": list,
    "normalization": dict,
    "fit": dict,
}  # of metadata that are JSON
LARGEST: Final = sys.float_info.max  # a whole number of JSON may be larger
FROM_CHECKPOINT: Final = "checkpoint"  # the normalization that the file itself holds


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest(Execution):
    """What the user asked for.

    checkpoint: file of a state dict; see :func:`rsbench.tasks.weights.find`.
    model, options: ``None`` and what is not among them are taken from a checkpoint that rsbench wrote.
    normalization: one of :data:`rsbench.specs.NORMALIZATIONS`; default: that of the checkpoint, else the model's.
    state: which of several states in the file, such as ``state_dict_ema``; default: the one that fits.
    system: name on the board; default: the model and the name of the file.
    recipe, changes: for their task options, such as the smallest count of a word in the vocabulary.
    """

    checkpoint: Path
    dataset: str
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    protocol: str | None = None
    recipe: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    normalization: str | None = None
    state: str | None = None
    system: str | None = None
    precision: str | None = None


def expand_evaluation(request: EvaluationRequest) -> RunPlan:
    """Return the plan of one evaluation, in division ``external``.

    Raises:
        UserError: the file is missing, or what it says of itself contradicts the request.
    """
    facts = read_metadata(request.checkpoint)
    name = request.model or facts.get("model")
    if name is None:
        raise UserError(f"{request.checkpoint} does not say which model it is of; name it with --model.")
    spec = registry().get("model", name)
    if spec.kind != "network":
        raise UserError(f"'{name}' has no weights to load; evaluate takes networks.")
    said = {key: value_of(facts[key], key, kind, request.checkpoint) for key, kind in KINDS.items() if key in facts}
    known = said.get("options", {}) if facts.get("model") == name else {}
    options = {k: v for k, v in known.items() if k in spec.options} | dict(request.options)
    # The checkpoint's weights are the only ones.
    options |= {name: option.file_unless[0] for name, option in spec.options.items() if option.file_unless}
    if request.normalization is not None:
        plain = {name: option.normalized for name, option in spec.options.items() if option.normalized is not None}
        options |= {name: request.options.get(name, value) for name, value in plain.items()}
    (plan,) = expand(
        RunRequest(
            models=((name, options),),
            dataset=request.dataset,
            protocol=request.protocol,
            recipe=request.recipe,
            changes=request.changes,
            seeds=(0,),
            precision=request.precision,
            **Execution.of(request),
        )
    )
    _check(said, plan, request)
    return _untrained(plan, request, facts, said.get("fit", {}))


def _untrained(
    plan: RunPlan, request: EvaluationRequest, facts: Mapping[str, str], fitted: Mapping[str, Any]
) -> RunPlan:
    """Return *plan* with the checkpoint in place of training, and an id that goes with it.

    Args:
        plan: of a run.
        request: what the user asked for.
        facts: metadata of the checkpoint.
        fitted: how its network was fitted, where not by epochs.
    """
    normalization = request.normalization or (FROM_CHECKPOINT if "normalization" in facts else None)
    accepts = plan.model["accepts"] | renamed.recorded(
        renamed.ACCEPTS, {"normalization": normalization} if normalization else {}
    )
    model = {
        **plan.model,
        "accepts": accepts,
        "label": request.system
        or f"{plan.model['name']} ({', '.join(filter(None, (request.checkpoint.name, request.state)))})",
        "weights_sha256": file_sha256(request.checkpoint),
        **({"state": request.state} if request.state else {}),
    }
    recipe = {"name": "", "epochs": 0, "augmentation": {}, **fitted}
    recipe |= {k: plan.recipe[k] for k in EVAL_FIELDS if k in plan.recipe}
    common = {
        "task": plan.task,
        "division": "external",
        "model": model,
        "dataset": plan.dataset,
        "protocol": plan.protocol,
        "recipe": recipe,
        "device": plan.device,
        "overfit": None,
    }
    return dataclasses.replace(
        plan,
        run_id=run_id(common, plan.seed),
        division="external",
        model=model,
        recipe=recipe,
        checkpoint=str(request.checkpoint.resolve()),
    )


def value_of(text: str, key: str, kind: Any, path: Path) -> Any:
    """Return what the metadata of a checkpoint say under *key*, which anybody may have written.

    Args:
        key: its name, for a sentence.
        text: the value, JSON.
        kind: ``list`` (of texts) or ``dict``.
        path: of the checkpoint.

    Raises:
        UserError: it is something else.
    """
    where = f"The metadata '{key}' of {path}"
    value = reading.json_document(text.encode(), where)
    if not isinstance(value, kind) or (kind is list and not all(isinstance(item, str) for item in value)):
        raise UserError(f"{where} are no {'texts' if kind is list else 'object'}.")
    if key == "normalization" and not _is_normalization(value):
        raise UserError(f"{where} are no 'mean' and 'std' of each band; give --normalization.")
    return value


def _is_normalization(value: Mapping[str, Any]) -> bool:
    mean, std = value.get("mean"), value.get("std")
    if not (isinstance(mean, list) and isinstance(std, list) and len(mean) == len(std) > 0):
        return False
    numbers = [*mean, *std]
    return all(type(n) in (int, float) and abs(n) <= LARGEST for n in numbers) and min(std) > 0


def _check(made_for: Mapping[str, Any], plan: RunPlan, request: EvaluationRequest) -> None:
    """Raise where the checkpoint says that it was made for other classes or bands."""
    problems = []
    if request.normalization not in (None, *NORMALIZATIONS):
        problems.append(f"Normalization '{request.normalization}' is not one of {', '.join(NORMALIZATIONS)}.")
    bands = list(plan.protocol["bands"] or plan.dataset["bands"])
    if made_for.get("bands", bands) != bands:
        made = ", ".join(made_for["bands"])
        problems.append(f"{request.checkpoint} is for the bands {made}; the protocol has {', '.join(bands)}.")
    if (
        not get_task(plan.task).generative
        and made_for.get("classes", plan.dataset["classes"]) != plan.dataset["classes"]
    ):
        problems.append(f"{request.checkpoint} tells other classes apart than those of '{request.dataset}'.")
    if request.normalization is None and len(made_for.get("normalization", {}).get("mean", bands)) != len(bands):
        problems.append(f"{request.checkpoint} has a normalization for another number of bands; give --normalization.")
    if problems:
        raise UserErrors(problems)
