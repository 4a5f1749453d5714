"""What the networks and their recipes are, without importing torch."""

from __future__ import annotations

from typing import Any, Final

from rsbench.specs import Accepts, ModelSpec, OptimizerSpec, Option, RecipeSpec

_AIRBENCH: Final = "In the spirit of Jordan 2024, 94% on CIFAR-10 in 3.29 seconds on a single GPU, arXiv 2404.00498"
_ACCEPTS: Final = Accepts(min_size=16)
_VIEWS: Final = Option(
    default=8, help="flips and quarter turns of an image whose logits are averaged in evaluation", choices=(1, 2, 4, 8)
)


def _options(width: int, residuals: int) -> dict[str, Option]:
    return {
        "width": Option(default=width, help="channels of the first stage; the second has twice, the third four times"),
        "residuals": Option(default=residuals, help="residual blocks of each stage"),
        "views": _VIEWS,
    }


MODELS: Final = (
    ModelSpec(
        name="speedrun",
        summary="Ours: whitened 4x4 patches and six convolutions; averages eight flips and turns in evaluation.",
        factory="rsbench_speedrun.network:speedrun",
        accepts=_ACCEPTS,
        options=_options(48, 1),
        recipes=("speedrun",),
        params=666_826,
        citation=_AIRBENCH,
    ),
    ModelSpec(
        name="speedrun-long",
        summary="Ours, for a GPU: nine wide convolutions in place of six narrow ones; measured at half its width.",
        factory="rsbench_speedrun.network:speedrun",
        accepts=_ACCEPTS,
        options=_options(128, 2),
        recipes=("speedrun-long",),
        params=7_733_514,
        citation=_AIRBENCH,
    ),
)

FILTER_MUON: Final = OptimizerSpec(
    name="filter-muon",
    summary="Muon for the filters of convolutions, AdamW for all other parameters.",
    factory="rsbench_speedrun.muon:Muon",
    citation="Jordan et al. 2024",
)

_SYMMETRIES: Final = {"hflip": 0.5, "vflip": 0.5, "quarter_turns": True}
_RECIPE: Final[dict[str, Any]] = {
    "optimizer": FILTER_MUON.name,
    "optimizer_options": {"filter_rate": 16.0},
    "lr": 3e-3,
    "schedule": "linear",
    "weight_decay": 0.02,
    "loss_options": {"label_smoothing": 0.1},
    "citation": f"{_AIRBENCH}; Muon: Jordan et al. 2024",
}

RECIPES: Final = (
    RecipeSpec(
        name="speedrun",
        summary="12 epochs of Muon with a linear fall: 4 on 32 pixels, 4 on 48, 4 on 64; for two CPU cores.",
        batch=128,
        epochs=12,
        warmup=1.0,
        validate_from=12,
        augmentation={**_SYMMETRIES, "sizes": [[32, 4], [48, 4]]},
        **_RECIPE,
    ),
    RecipeSpec(
        name="speedrun-long",
        summary="80 epochs in larger batches, shifted and erased too: 24 on 32 pixels, 32 on 48, 24 on 64; for a GPU.",
        batch=512,
        epochs=80,
        warmup=3.0,
        validate_from=70,
        augmentation={**_SYMMETRIES, "shift": 4, "erase": 0.25, "sizes": [[32, 24], [48, 32]]},
        **_RECIPE,
    ),
)
