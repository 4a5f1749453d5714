"""What the systems, baselines and recipes are, without importing torch.

The systems' published accuracies on RSVQA-LR are those of pretrained backbones that are downloaded; none of the three
was trained here as its authors did.
"""

from __future__ import annotations

from typing import Any, Final

from rsbench_timm.options import network_options, test_options

from rsbench.specs import Accepts, ModelSpec, Option, RecipeSpec

_ACCEPTS: Final = Accepts(normalization="imagenet", min_size=32)
_RESNET: Final = "timm:resnet152.tv_in1k"
_VIT: Final = "timm:vit_base_patch32_clip_224.openai"
_WIDTH: Final = Option(default=2400, help="numbers in a question's state; 2400 as in skip-thoughts")
_RECONSTRUCTION: Final[dict[str, Any]] = {"tasks": ("vqa",), "accepts": _ACCEPTS, "tags": ("reconstruction",)}
_BASELINE: Final[dict[str, Any]] = {"tasks": ("vqa",), "tags": ("baseline",)}
_LOBRY: Final = "Lobry et al. 2020, RSVQA: Visual Question Answering for Remote Sensing Data"
_STANDINS: Final = {
    "layers, widths, dropout, fusion": "code",
    "question encoder": "ours: a word GRU that is trained, in place of frozen skip-thoughts",
    "batch normalization of the backbone": "ours: ImageNet's averages, which drift in the authors' code",
}
_AUTHOR: Final[dict[str, Any]] = {
    "tasks": ("vqa",),
    "optimizer": "adam",
    "lr": 1e-5,
    "weight_decay": 0.0,
    "schedule": "constant",
    "precision": "fp32",
    "task_options": {"max_words": 20, "min_count": 1, "questions_per_image": 1},
    "reconstruction": True,
    "provenance": {
        "optimizer, lr, batch, epochs, schedule": "code",
        "augmentation": "ours: none; the code flips and turns images whose questions do not ask of places",
        "questions of an image": "code: drawn one by one",
        "epoch that is kept": "ours: the protocol's",
    },
}
_YUAN: Final = "Yuan et al. 2022, From Easy to Hard: Learning Language-Guided Curriculum for VQA on RS Data"

MODELS: Final = (
    ModelSpec(
        name="lobry2020",
        summary="Frozen ResNet-152 and a word GRU in place of skip-thoughts, multiplied.",
        factory="rsbench_vqa.lobry:Lobry2020",
        options={**network_options(_RESNET), "question_width": _WIDTH},
        test_options=test_options(freeze=False, question_width=64),
        recipes=("lobry-author",),
        provenance=_STANDINS,
        pretrained_on="ImageNet-1k",
        citation=_LOBRY,
        **_RECONSTRUCTION,
    ),
    ModelSpec(
        name="yuan2022",
        summary="lobry2020 with attention led by the question and a curriculum from easy to hard; its growth is ours.",
        factory="rsbench_vqa.yuan:Yuan2022",
        options={
            **network_options(_RESNET),
            "question_width": _WIDTH,
            "growth": Option(default=1000, help="training steps after which the curriculum holds all questions"),
        },
        test_options=test_options(freeze=False, question_width=64, growth=1),
        recipes=("yuan-author",),
        provenance=_STANDINS
        | {
            "attention, pooling, difficulty of a question, first share of the curriculum": "code",
            "growth of the curriculum": "ours: linear; the public code lacks its training step",
        },
        pretrained_on="ImageNet-1k",
        citation=_YUAN,
        **_RECONSTRUCTION,
    ),
    ModelSpec(
        name="bazi2022",
        summary="Bi-modal transformer on the patches of a frozen CLIP ViT-B/32 and learned words.",
        factory="rsbench_vqa.bazi:Bazi2022",
        options={
            **(network_options(_VIT) | {"input_size": Option(default=224, help="side to which images are resized")}),
            "width": Option(default=512, help="numbers in a token, a multiple of 64"),
            "layers": Option(default=2, help="pairs of cross-attention decoders"),
        },
        test_options=test_options(freeze=False, width=64, layers=1),
        pretrained_on="CLIP (OpenAI)",
        citation="Bazi et al. 2022, Bi-Modal Transformer-Based Approach for VQA in Remote Sensing Imagery",
        provenance={
            "two decoders with cross-attention, two classifiers": "paper: its abstract",
            "widths, layers, averaging": "ours: the smallest form of it; no code of the authors was found",
        },
        **_RECONSTRUCTION,
    ),
    ModelSpec(
        name="question-only",
        summary="A word GRU that never sees the image.",
        factory="rsbench_vqa.baselines:QuestionOnly",
        accepts=Accepts(normalization="none"),
        tasks=("vqa",),
        tags=("baseline", "required-baseline"),
    ),
    ModelSpec(
        name="image-only",
        summary="Mean features of a frozen backbone and the question's type, without its words.",
        factory="rsbench_vqa.baselines:ImageOnly",
        accepts=_ACCEPTS,
        options=network_options(_RESNET),
        test_options=test_options(freeze=False),
        pretrained_on="ImageNet-1k",
        **_BASELINE,
    ),
    ModelSpec(
        name="commonest-answer-per-type",
        summary="Always the most frequent training answer of the question's type.",
        factory="rsbench_vqa.baselines:MostFrequentAnswer",
        kind="estimator",
        accepts=Accepts(normalization="none"),
        tasks=("vqa",),
        tags=("baseline", "required-baseline"),
    ),
)

RECIPES: Final = (
    RecipeSpec(
        name="vqa-standard",
        summary="Adam, cosine, 10 epochs of 256 questions a step, 16 about each image.",
        tasks=("vqa",),
        optimizer="adam",
        lr=1e-3,
        weight_decay=0.0,
        schedule="cosine",
        batch=256,
        epochs=10,
        clip_grad=5.0,
        task_options={"max_words": 20, "min_count": 1, "questions_per_image": 16},
    ),
    RecipeSpec(
        name="lobry-author",
        summary="150 epochs of Adam at 1e-5; without the authors' flips and turns, which spare questions of place.",
        batch=70,
        epochs=150,
        citation=_LOBRY,
        **_AUTHOR,
    ),
    RecipeSpec(
        name="yuan-author",
        summary="300 epochs of Adam at 1e-5; without the authors' flips and turns, which spare questions of place.",
        batch=280,
        epochs=300,
        citation=f"{_YUAN}; its public code lacks the training step, and measures its epochs on the test split",
        **_AUTHOR,
    ),
)
