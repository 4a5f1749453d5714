"""Plans of runs that start from the weights of a finished one, for more epochs or on other data."""

from __future__ import annotations

import dataclasses
from typing import Any

from rsbench.errors import UserError
from rsbench.plan import IDENTITY, RunPlan, run_id
from rsbench.records.store import LoadedRecord
from rsbench.records.weights import CHECKPOINT, weights_of


def start_from(plan: RunPlan, parent: LoadedRecord) -> RunPlan:
    """Return *plan* with the weights of a run to start from; its model names the run and their digest, its division is
    open, and its id is its own.

    Optimizer and schedule start anew: it is another training, and no longer one.

    Raises:
        UserError: the run has no weights, the model takes none or has its own, or the run may have been trained on what
            the plan tests.
    """
    path, record = weights_of(parent), parent.record
    before = record["plan"]
    if plan.model["kind"] != "network":
        raise UserError(f"'{plan.model['name']}' has no weights to start from.")
    if plan.model.get("weights_sha256"):
        raise UserError("Weights come from --from or from --weights FILE, not from both.")
    same_data = before["dataset"]["name"] == plan.dataset["name"]
    if same_data and before["protocol"]["split_sha256"] != plan.protocol["split_sha256"]:
        raise UserError(
            f"{record['run_id']} was trained on another split of '{plan.dataset['name']}', and so on images that this "
            f"one tests: take --protocol {before['protocol']['name']}."
        )
    few = plan.protocol.get("labels")
    if same_data and few and (before["protocol"].get("labels"), before["seed"]) != (few, plan.seed):
        raise UserError(f"{record['run_id']} was trained with other labels than the few that this one may use.")
    model = {
        **plan.model,
        "label": f"{plan.model['label']} from {record['run_id'].rpartition('-')[2]}",
        "weights_sha256": record["artifacts"][CHECKPOINT]["sha256"],
        "parent": record["run_id"],
    }
    division = plan.division if plan.overfit is not None else "open"
    common: dict[str, Any] = {name: getattr(plan, name) for name in IDENTITY} | {"model": model, "division": division}
    return dataclasses.replace(
        plan, run_id=run_id(common, plan.seed), model=model, division=division, start=str(path.resolve())
    )
