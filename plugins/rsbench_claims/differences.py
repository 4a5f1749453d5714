"""Why a measured number need not be the reported one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rsbench.errors import UserError
from rsbench.leaderboard.aggregate import Row
from rsbench.recipes import ADDED_FIELDS
from rsbench.records.external import EXTERNAL
from rsbench.registry import registry
from rsbench.specs import RECIPE_DESCRIPTION, Claim, ClaimSet, to_jsonable


def differences(found: ClaimSet, claim: Claim, row: Row, plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is known to set a configuration apart from what the paper did, a sentence each.

    Args:
        found: what the paper reports.
        claim: one number of it.
        row: of a board, which stands for the paper's system.
        plan: of the row's runs.
    """
    yield from _protocol(found, claim, plan)
    if plan["division"] == EXTERNAL:
        yield "predicted elsewhere: how is not in the record"
    else:
        yield from _model(plan)
        yield from _recipe(found, claim, plan)
    if row.company > 1:
        yield f"trained together with {row.company - 1} other tasks"
    yield from (f"flagged: {flag}" for flag in row.flags)


def _protocol(found: ClaimSet, claim: Claim, plan: Mapping[str, Any]) -> Iterator[str]:
    wanted, name = claim.protocol or found.measured_by, plan["protocol"]["name"]
    if wanted is None:
        yield f"no protocol here is the paper's ({found.protocol})"
    elif name != wanted:
        yield f"tested by {name}, the paper by {wanted} ({found.protocol}): other test samples"
    if claim.certainty == "recalled":
        yield "the reported number is recalled, not read"


def _model(plan: Mapping[str, Any]) -> Iterator[str]:
    model = plan["model"]
    if "reconstruction" in model.get("tags", ()):
        yield "the model is a reconstruction"
    spec = _declared("model", model["name"])
    options = dict(model.get("options", {}))
    weights = options.pop("weights", None)
    trained_on = getattr(spec, "pretrained_on", None)
    if weights == "none" and trained_on:
        yield f"from random weights, the paper's from {trained_on}"
    elif model.get("weights_sha256"):
        yield f"weights from a file ({weights}), which need not be the paper's"
    defaults = {name: option.default for name, option in spec.options.items()} if spec is not None else {}
    changed = [f"{k}={v}" for k, v in sorted(options.items()) if k in defaults and v != defaults[k]]
    if changed:
        yield f"options changed: {', '.join(changed)}"


def _recipe(found: ClaimSet, claim: Claim, plan: Mapping[str, Any]) -> Iterator[str]:
    recipe, model = plan["recipe"], plan["model"]["name"]
    name = recipe.get("name", "")
    spec = _declared("model", model)
    own = spec.recipes[:1] if spec is not None else ()
    if f"{model}@{name}" not in found.models.get(claim.system, ()) and name not in own:
        which = f"the authors' {own[0]}" if own else "the authors', which is not known here"
        yield f"trained by {name} in the {plan['division']} division, not by {which}"
    if recipe.get("reconstruction"):
        yield f"recipe {name} is a reconstruction"
    changed = _changes(recipe, _declared("recipe", name))
    if changed:
        yield f"recipe changed: {', '.join(changed)}"


def _changes(recipe: Mapping[str, Any], declared: Any) -> list[str]:
    """Fields that are not as the recipe of this name has them."""
    if declared is None:
        return []
    plain = to_jsonable(declared)
    loss = _declared("loss", plain["loss"])
    defaults = {name: option.default for name, option in loss.options.items()} if loss is not None else {}
    plain["loss_options"] = {**to_jsonable(defaults), **plain["loss_options"]}
    # A task keeps those options that are its own.
    plain["task_options"] = {k: v for k, v in plain["task_options"].items() if k in recipe["task_options"]}
    return [
        f"{field} {recipe.get(field, ADDED_FIELDS.get(field))} in place of {value}"
        for field, value in plain.items()
        if field not in RECIPE_DESCRIPTION and recipe.get(field, ADDED_FIELDS.get(field, value)) != value
    ]


def _declared(kind: str, name: str) -> Any:
    """The spec of this name, or ``None`` where its plugin is not available."""
    try:
        return registry().get(kind, name)
    except UserError:
        return None
