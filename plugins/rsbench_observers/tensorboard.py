"""TensorBoard: event files in the run's folder, for ``tensorboard --logdir rsbench-results``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsbench_observers.observer import Observer, parameters, scores

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(Observer):
    """Curves under ``epoch/``, results of the test split under ``test/``, and the plan as text."""

    name = "tensorboard"

    def files(self, plan: Any) -> str:
        """In the run's folder."""
        return f"TensorBoard: tensorboard --logdir {plan.out}"

    def open(self, plan: Any) -> SummaryWriter:
        """Start an event file."""
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(Path(plan.out) / plan.run_id / "tensorboard"))
        rows = "".join(f"|{key}|{value}|\n" for key, value in parameters(plan).items())
        writer.add_text("plan", f"|field|value|\n|-|-|\n{rows}")
        return writer

    def log(self, run: SummaryWriter, epoch: int, values: Mapping[str, float]) -> None:
        """Add the epoch's scalars."""
        for name, value in values.items():
            run.add_scalar(f"epoch/{name}", value, epoch)
        run.flush()

    def close(self, run: SummaryWriter, record: Mapping[str, Any]) -> None:
        """Add the results at the last epoch."""
        epochs = (record["train"] or {}).get("epochs", 0)
        for name, value in scores(record).items():
            run.add_scalar(f"test/{name}", value, epochs)
        run.close()


PLUGIN = TensorBoard()
