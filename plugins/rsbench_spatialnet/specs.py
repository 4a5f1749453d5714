"""What the models and recipes are, without importing torch."""

from __future__ import annotations

from typing import Any, Final

from rsbench_timm.options import network_options, test_options

from rsbench.specs import Accepts, ModelSpec, Option, RecipeSpec

_PAPER: Final = "SpatialNet-ViT, arXiv 2506.22501 (IGARSS 2025)"
_TASKS: Final = ("classification", "captioning", "vqa")

_OPTIONS: Final[dict[str, Option]] = {
    "dim": Option(default=512, help="width of the tokens, D; blank in the paper, 512 in its code"),
    "depth": Option(default=12, help="encoder layers"),
    "heads": Option(default=8, help="attention heads"),
    "patch": Option(default=16, help="side of a patch in pixels"),
    "mlp": Option(default=2048, help="width of the feed-forward layers; as in the code"),
    "activation": Option(default="relu", help="relu as in the paper, gelu as in its code", choices=("relu", "gelu")),
    "norm": Option(default="post", help="post as in the code; pre trains more easily", choices=("post", "pre")),
    "dropout": Option(default=0.1, help="in [0, 1)"),
    "input_size": Option(default=0, help="side to which images are resized inside the model; 0 leaves them"),
    "text_layers": Option(default=2, help="layers of the caption decoder and of the question encoder"),
    "land_use_weight": Option(default=1.0, help="lambda of the land-use head beside captioning (eq. 6); 0 is none"),
    "count": Option(
        default="regression",
        help="how count questions are answered: regression (of log1p), mse (of counts themselves, eq. 8), or buckets "
        "(one classifier over all answers)",
        choices=("regression", "mse", "buckets"),
    ),
    **{
        f"{kind}_weight": Option(default=1.0, help=f"lambda of {kind} questions (eq. 6); 0 is none")
        for kind in ("rural_urban", "presence", "count", "comp")
    },
}
_SMALL: Final = {"dim": 32, "heads": 4, "mlp": 64}
_HEADS: Final = ("dim", "heads", "mlp", "activation", "dropout", "text_layers", "land_use_weight", "count")
_LAMBDAS: Final = tuple(name for name in _OPTIONS if name.endswith("_weight") and name != "land_use_weight")
_PARTS: Final = {
    "depth, heads, patch": "paper",
    "dim, mlp, norm, dropout": "code: blank in the paper",
    "activation": "paper: ReLU; its code has GELU",
    "weights of question types, of land use": "paper: 1.0 for each task (eq. 6)",
    "initialization": "ours: Xavier; the code's layers are copies of one",
    "normalization": "ours: ImageNet's; its code has none",
}
_QUESTIONS: Final = {
    "head of each question type": "paper: that there is one; ours: its hidden layer, the counts' log1p and buckets",
}
_TEXT: Final = {
    "caption decoder": "ours: transformer layers, learned positions, shifted targets; the paper has none",
    "question encoder, fusion": "ours: transformer layers, mean over words, product with the class token; the paper "
    "has none, and its code does not look at the question",
}


def _model(name: str, summary: str, blind: bool, **more: Any) -> ModelSpec:
    return ModelSpec(
        name=name,
        summary=summary,
        factory=f"rsbench_spatialnet.network:{'blind' if blind else 'spatialnet'}",
        accepts=Accepts(min_size=16, normalization="imagenet"),
        options=_OPTIONS,
        test_options={**_SMALL, "depth": 2},
        recipes=("spatialnet-author", "spatialnet-short"),
        citation=_PAPER,
        **more,
    )


MODELS: Final = (
    _model(
        "spatialnet-vit",
        "12-layer ViT, patch 16, D 512, with a land-use, a caption and per-type question heads.",
        blind=False,
        tasks=_TASKS,
        tags=("reconstruction",),
        shared=("encoder",),
        provenance=_PARTS | _QUESTIONS | _TEXT,
    ),
    _model(
        "spatialnet-vit-blind",
        "SpatialNet-ViT that does not look at the question, as its published code: only at the question's type.",
        blind=True,
        tasks=("vqa",),
        tags=("baseline", "reconstruction"),
        provenance=_PARTS | _QUESTIONS | {"that the question is not looked at": "code"},
    ),
    ModelSpec(
        name="spatialnet-timm",
        summary="SpatialNet-ViT's heads on a convolutional or other backbone of timm or torchvision, not on its ViT.",
        factory="rsbench_spatialnet.backbone:on_backbone",
        tasks=_TASKS,
        accepts=Accepts(min_size=32, normalization="imagenet"),
        options=network_options("torchvision:resnet50") | {name: _OPTIONS[name] for name in (*_HEADS, *_LAMBDAS)},
        test_options=test_options(freeze=False, **_SMALL),
        recipes=("spatialnet-author", "spatialnet-short"),
        pretrained_on="ImageNet-1k",
        citation=f"{_PAPER}; the encoder is not the paper's",
        tags=("reconstruction",),
        provenance=_QUESTIONS | _TEXT | {"encoder": "ours: any backbone, not the paper's"},
    ),
)

RECIPES: Final = (
    RecipeSpec(
        name="spatialnet-author",
        summary="50 epochs of Adam at a constant rate; its weight decay is the gradient of eq. 10's L2 term.",
        tasks=_TASKS,
        optimizer="adam",
        lr=1e-4,
        schedule="constant",
        weight_decay=0.01,
        no_decay=(),
        batch=32,
        epochs=50,
        precision="fp32",
        task_options={},
        reconstruction=True,
        citation=f"{_PAPER}; batch and epochs from the paper, optimizer, rate and L2 term from its code",
        provenance={
            "batch, epochs": "paper",
            "optimizer, lr": "code",
            "weight_decay": "code: twice the lambda_reg of eq. 10, .005",
            "schedule": "code: none",
            "losses": "paper: a sum over tasks (eq. 6); options of the model",
            "epoch that is kept": "ours: the protocol's; the code has no evaluation",
        },
    ),
    RecipeSpec(
        name="spatialnet-short",
        summary="12 epochs of AdamW with warm-up, for a CPU.",
        tasks=_TASKS,
        lr=3e-4,
        schedule="cosine",
        warmup=1,
        batch=32,
        epochs=12,
        clip_grad=1.0,
        task_options={},
        reconstruction=True,
        provenance={"all": "ours: for a CPU"},
    ),
)

_PATCHES: Final = "it takes whole patches of 16 pixels and says so; input_size lets it take any"
EXPECTED_FAILURES: Final = {
    f"model/{name}/sizes": _PATCHES for name in (*(f"spatialnet-vit@{task}" for task in _TASKS), "spatialnet-vit-blind")
}
