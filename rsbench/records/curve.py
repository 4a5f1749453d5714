"""The validation score of a learning curve: by which epochs are compared, under a name that the task chooses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

PREFIX: Final = "val_"
LOSS: Final = "val_loss"
FIRST: Final = ("val_accuracy", "val_score")  # where a curve has several
HUNDREDFOLD: Final = {"val_accuracy": "%", "val_score": "x100"}  # printed times 100, with this sign


def score_name(epochs: Iterable[Mapping[str, Any]]) -> str | None:
    """Return which score the epochs of a curve have, higher is better; ``None`` where they were never validated."""
    known = (name for epoch in epochs for name, value in epoch.items() if name.startswith(PREFIX) and _finite(value))
    found = {name: None for name in known if name != LOSS}
    return next((name for name in (*FIRST, *found) if name in found), None)


def factor(name: str) -> float:
    """Return by what a score is multiplied where it is printed."""
    return 100.0 if name in HUNDREDFOLD else 1.0


def heading(name: str) -> str:
    """Return a score in words, with the sign of its unit: ``val_accuracy`` is ``validation accuracy (%)``."""
    sign = f" ({HUNDREDFOLD[name]})" if name in HUNDREDFOLD else ""
    return f"validation {name.removeprefix(PREFIX).replace('_', ' ')}{sign}"


def score_told(epoch: Mapping[str, Any]) -> str:
    """Return the validation score of an epoch in words; nothing where it was not validated."""
    name = score_name([epoch])
    if name is None:
        return ""
    percent = HUNDREDFOLD.get(name) == "%"
    return f"val {100 * epoch[name]:.2f} %" if percent else f"val {epoch[name]:.4f}"


def told(epoch: Mapping[str, Any]) -> str:
    """Return one epoch of a curve in words: its loss, validation score (of each member of a group) and seconds."""
    text = ", ".join(filter(None, (f"loss {epoch['train_loss']:.4f}", score_told(epoch))))
    for key, value in epoch.items():  # of a group's members
        member, _, what = key.rpartition("/")
        if member and score_name([{what: value}]):
            text += f", {member} {value:.4f}"
    return f"{text}, {epoch['seconds']:.1f} s"


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
