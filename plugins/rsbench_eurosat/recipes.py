"""Recipes of the closed division, one for each protocol family, and a short one for a CPU."""

from __future__ import annotations

from typing import Final

from rsbench.specs import RecipeSpec

_SYMMETRIES: Final = {"hflip": 0.5, "vflip": 0.5, "quarter_turns": True}

RECIPES: Final = (
    RecipeSpec(
        name="eurosat-standard",
        summary="AdamW, 30 epochs, one cycle, the eight symmetries and small shifts.",
        optimizer="adamw",
        lr=2e-3,
        schedule="onecycle",
        weight_decay=0.05,
        batch=64,
        epochs=30,
        augmentation={**_SYMMETRIES, "shift": 4},
    ),
    RecipeSpec(
        name="eurosat-long",
        summary="The standard recipe for 80 epochs, the length that BMTA's author trained for.",
        optimizer="adamw",
        lr=2e-3,
        schedule="onecycle",
        weight_decay=0.05,
        batch=64,
        epochs=80,
        augmentation={**_SYMMETRIES, "shift": 4},
    ),
    RecipeSpec(
        name="eurosat-short",
        summary="The standard recipe for 2 epochs: minutes on two CPU cores.",
        optimizer="adamw",
        lr=2e-3,
        schedule="onecycle",
        weight_decay=0.05,
        batch=64,
        epochs=2,
        augmentation={**_SYMMETRIES, "shift": 4},
    ),
)
