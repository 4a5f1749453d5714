"""Lightning's Trainer with everything off that costs time."""

from __future__ import annotations

import logging
from typing import Any

import lightning.pytorch as pl

from benchmarks.peers.peer import AfterEpoch

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Watch(pl.Callback):
    """Reports the validation accuracy that was logged as *name*, and stops when it is told to."""

    def __init__(self, name: str, after_epoch: AfterEpoch) -> None:
        self.name, self.after_epoch = name, after_epoch

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ask the caller."""
        trainer.should_stop = self.after_epoch(float(trainer.callback_metrics[self.name]))


def make_trainer(epochs: int, watch: Watch) -> pl.Trainer:
    """Return a Trainer without logger, bar, summary, checkpoints and trial validation."""
    options: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": epochs,
        "callbacks": [watch],
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "num_sanity_val_steps": 0,
    }
    return pl.Trainer(**options)
