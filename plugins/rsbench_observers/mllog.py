"""Log lines in MLPerf's form, ``:::MLLOG {...}``, in ``mllog.txt`` of the run's folder.

Keys are those of MLCommons' training benchmarks (``mlperf_logging.mllog.constants``); only standard Python is needed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rsbench_observers.observer import Observer, numbers

FILE: Final = "mllog.txt"
POINT, START, END = "POINT_IN_TIME", "INTERVAL_START", "INTERVAL_END"


@dataclass(frozen=True)
class Log:
    """The file of one run, and how many epochs it is to last."""

    path: Path
    epochs: int

    def write(self, event: str, key: str, value: Any = None, **metadata: Any) -> None:
        """Append one line, whole and at once."""
        line = {
            "namespace": "",
            "time_ms": int(time.time() * 1000),
            "event_type": event,
            "key": key,
            "value": value,
            "metadata": {"file": "rsbench", "lineno": 0, **metadata},
        }
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(f":::MLLOG {json.dumps(line)}\n")


class MLPerfLog(Observer):
    """Settings at the start, an interval an epoch with its validation accuracy, and the outcome."""

    name = "mllog"

    def files(self, plan: Any) -> str:
        """The log itself."""
        return f"MLPerf log: {Path(plan.out) / plan.run_id / FILE}"

    def open(self, plan: Any) -> Log:
        """Write what MLPerf asks for before the clock runs, and start it."""
        log = Log(Path(plan.out) / plan.run_id / FILE, plan.recipe.get("epochs", 0))
        log.path.parent.mkdir(parents=True, exist_ok=True)
        sizes, recipe = plan.protocol["split_sizes"], plan.recipe
        log.write(POINT, "submission_benchmark", plan.protocol["name"])
        log.write(POINT, "submission_division", plan.division)
        log.write(POINT, "seed", plan.seed)
        log.write(POINT, "train_samples", sizes["train"])
        log.write(POINT, "eval_samples", sizes["test"])
        for key, field in (("global_batch_size", "batch"), ("opt_name", "optimizer"), ("opt_base_learning_rate", "lr")):
            if field in recipe:
                log.write(POINT, key, recipe[field])
        log.write(START, "run_start")
        self._start_epoch(log, 1)
        return log

    def log(self, run: Log, epoch: int, values: Mapping[str, float]) -> None:
        """Write the end of an epoch, and its validation scores."""
        for key, value in values.items():
            if key.startswith("val_") and key != "val_loss":
                run.write(POINT, "eval_accuracy", value, epoch_num=epoch, metric=key.removeprefix("val_"))
        run.write(END, "epoch_stop", epoch, epoch_num=epoch)
        self._start_epoch(run, epoch + 1)

    def close(self, run: Log, record: Mapping[str, Any]) -> None:
        """Write the primary metric of the test split, and stop the clock."""
        primary = {name: entry["value"] for name, entry in record["metrics"].items() if entry["primary"]}
        epochs = (record["train"] or {}).get("epochs")
        for name, value in numbers(primary).items():
            run.write(POINT, "eval_accuracy", value, epoch_num=epochs, metric=name, split="test")
        run.write(END, "run_stop", status="success" if record["status"] == "ok" else "aborted")

    def _start_epoch(self, run: Log, epoch: int) -> None:
        if epoch <= run.epochs:
            run.write(START, "epoch_start", epoch, epoch_num=epoch)


PLUGIN = MLPerfLog()
