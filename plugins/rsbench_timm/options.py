"""Options of models that are built on an encoder of :mod:`rsbench_timm.encoders`, without importing torch."""

from __future__ import annotations

from typing import Any

from rsbench.specs import Option


def encoder_options(backbone: str) -> dict[str, Option]:
    """Return the options ``backbone``, of that default, ``weights`` and ``input_size``."""
    return {
        "backbone": Option(default=backbone, help="encoder: timm:<name> or torchvision:<name>"),
        "weights": Option(
            default="imagenet",
            help="encoder's weights: none | imagenet (downloaded) | a local .safetensors, .npz, .pt or .pth file",
            file_unless=("none", "imagenet"),
        ),
        "input_size": Option(default=0, help="side to which images are resized inside the model, in pixels; 0: as is"),
    }


def test_options(**more: Any) -> dict[str, Any]:
    """Return options of a model that is small and needs no download, and *more*."""
    return {"backbone": "timm:test_resnet", "weights": "none", "input_size": 0} | more


def network_options(backbone: str) -> dict[str, Option]:
    """Return :func:`encoder_options` and, since a network may train its encoder, ``freeze``."""
    freeze = Option(default=True, help="keep the encoder's weights and BatchNorm statistics as they are")
    return encoder_options(backbone) | {"freeze": freeze}
