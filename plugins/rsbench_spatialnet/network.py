"""SpatialNet-ViT: the encoder and the head of one task, or of several (eq. 6, 9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from rsbench.errors import UserError
from rsbench.tasks.captioning import CaptionTargets, token_loss
from rsbench.tasks.context import ModelContext
from rsbench.tasks.vqa import Questions
from rsbench_spatialnet.captions import CaptionDecoder
from rsbench_spatialnet.encoder import PatchEncoder, TokenEncoder
from rsbench_spatialnet.questions import QuestionEncoder, QuestionHead

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def spatialnet(context: ModelContext, **options: Any) -> nn.Module:
    """Build the network for the task of *context*; options as declared.

    Raises:
        UserError: the width is not a multiple of the heads, or the images are not of whole patches.
    """
    return _build(context, options, blind=False)


def blind(context: ModelContext, **options: Any) -> nn.Module:
    """Build the VQA form that does not look at the question."""
    return _build(context, options, blind=True)


def _build(context: ModelContext, options: dict[str, Any], blind: bool) -> nn.Module:
    size = options["input_size"] or context.size
    shared = layer_options(options)
    if size % options["patch"]:
        raise UserError(f"Images of {size} pixels are not whole patches of {options['patch']}; set input_size.")
    encoder = PatchEncoder(
        context.channels, size, patch=options["patch"], depth=options["depth"], norm=options["norm"], **shared
    )
    return with_head(encoder, context, options, (Classifier, Captioner, Answerer), blind=blind)


def with_head(
    encoder: TokenEncoder,
    context: ModelContext,
    options: dict[str, Any],
    networks: tuple[type[Classifier], type[Captioner], type[Answerer]],
    *,
    blind: bool = False,
) -> nn.Module:
    """Build that of the *networks* which is for the task of *context*, on *encoder*."""
    classifier, captioner, answerer = networks
    if context.task == "classification":
        return classifier(encoder, context)
    text = layer_options(options) | {"depth": options["text_layers"]}
    if context.task == "captioning":
        return captioner(encoder, context, text, options["land_use_weight"])
    return answerer(encoder, context, text, regression=options["count"] == "regression", blind=blind)


def layer_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that all transformer layers share.

    Raises:
        UserError: the width is not a multiple of the heads.
    """
    if options["dim"] % options["heads"]:
        raise UserError(f"dim={options['dim']} is not a multiple of heads={options['heads']}.")
    return {k: options[k] for k in ("dim", "heads", "mlp", "activation", "dropout")}


class Classifier(nn.Module):
    """A linear head on the class token."""

    def __init__(self, encoder: TokenEncoder, context: ModelContext) -> None:
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(encoder.dim, context.num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits [B, K]."""
        return self.head(self.encoder(images)[:, 0])


class Captioner(nn.Module):
    """The caption head and, where the images have classes, the land-use head, trained on the sum of their losses."""

    def __init__(self, encoder: TokenEncoder, context: ModelContext, text: dict[str, Any], land_use: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = CaptionDecoder(len(context.vocabulary), context.max_length, **text)
        self.land_use_weight = land_use if context.classes else 0.0
        self.land_use = nn.Linear(encoder.dim, context.num_classes) if self.land_use_weight else None

    def forward(self, images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits [B, T, V]."""
        return self.decoder(self.encoder(images), tokens)

    def training_loss(self, images: torch.Tensor, targets: CaptionTargets, loss: Loss) -> torch.Tensor:
        """Return L_caption + lambda L_land-use (eq. 6, 7)."""
        memory = self.encoder(images)
        total = token_loss(loss, self.decoder(memory, targets.tokens), targets.tokens)
        if self.land_use is not None:
            total = total + self.land_use_weight * F.cross_entropy(self.land_use(memory[:, 0]).float(), targets.labels)
        return total

    def start(self, images: torch.Tensor) -> Any:
        """Return the decoder's state for images."""
        return self.decoder.start(self.encoder(images))

    def step(self, tokens: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        """Take one word each."""
        return self.decoder.step(tokens, state)


class Answerer(nn.Module):
    """Class token and question fused by product, one head for each type of question."""

    def __init__(
        self, encoder: TokenEncoder, context: ModelContext, text: dict[str, Any], *, regression: bool, blind: bool
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.text = None if blind else QuestionEncoder(len(context.vocabulary), context.max_length, **text)
        self.from_image = nn.Linear(encoder.dim, encoder.dim)
        self.from_words = nn.Identity() if blind else nn.Linear(encoder.dim, encoder.dim)
        self.head = QuestionHead(encoder.dim, context.classes, context.question_types, regression=regression)

    def _outputs(self, images: torch.Tensor, questions: Questions) -> tuple[torch.Tensor, torch.Tensor]:
        cls = self.encoder(images)[:, 0]
        seen = torch.tanh(self.from_image(cls))[questions.image]
        if self.text is not None:
            seen = seen * torch.tanh(self.from_words(self.text(questions.tokens)))
        return self.head(seen, questions.kind)

    def forward(self, images: torch.Tensor, questions: Questions) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return logits [B, A] and, where counts are regressed, whole counts [B]."""
        logits, regressed = self._outputs(images, questions)
        if self.head.count_type < 0:
            return logits
        return logits, regressed.clamp(0, 12).expm1().round()

    def training_loss(
        self, images: torch.Tensor, questions: Questions, answers: torch.Tensor, counts: torch.Tensor, loss: Loss
    ) -> torch.Tensor:
        """Return the loss of the answers, plus the squared error of log1p counts (eq. 8) of count questions.

        A count that is known only by its bucket is learnt as that bucket's log-probability.
        """
        logits, regressed = self._outputs(images, questions)
        if self.head.count_type < 0:
            return loss(logits.float(), answers)
        known = (questions.kind == self.head.count_type) & counts.isfinite()
        counted, others = (mask.nonzero().squeeze(1) for mask in (known, ~known))
        none = regressed.sum() * 0
        total = F.mse_loss(regressed[counted].float(), counts[counted].log1p()) if len(counted) else none
        return total + loss(logits[others].float(), answers[others]) if len(others) else total
