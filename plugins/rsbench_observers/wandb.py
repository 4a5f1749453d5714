"""Weights & Biases: a run in the project ``rsbench``; offline unless ``WANDB_MODE`` says otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsbench_observers.observer import Observer, parameters, scores

if TYPE_CHECKING:
    import wandb


class WeightsAndBiases(Observer):
    """The plan as configuration, curves by epoch, and results under ``test/`` in the summary."""

    name = "wandb"

    def files(self, plan: Any) -> str:
        """The folder, and how an offline run is sent."""
        folder = Path(plan.out) / plan.run_id / "wandb"
        return f"Weights & Biases: {folder}" + ("; wandb sync --sync-all sends it" if _mode() == "offline" else "")

    def open(self, plan: Any) -> wandb.Run:
        """Start a run whose files lie in the run's folder; ``wandb sync`` sends them later."""
        import wandb

        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", "rsbench"),
            name=plan.run_id,
            group=f"{plan.dataset['name']}/{plan.protocol['name']}",
            config=parameters(plan),
            dir=str(Path(plan.out) / plan.run_id),
            mode=_mode(),
            reinit="create_new",  # tasks that are trained together are runs side by side
            settings=wandb.Settings(console="off", silent=True),
        )

    def log(self, run: wandb.Run, epoch: int, values: Mapping[str, float]) -> None:
        """Write the epoch's values."""
        run.log({"epoch": epoch, **values}, step=epoch)

    def close(self, run: wandb.Run, record: Mapping[str, Any]) -> None:
        """Write the results, and whether the run succeeded."""
        for name, value in scores(record).items():
            run.summary[f"test/{name}"] = value
        run.finish(exit_code=0 if record["status"] == "ok" else 1)


def _mode() -> Any:
    return os.environ.get("WANDB_MODE", "offline")


PLUGIN = WeightsAndBiases()
