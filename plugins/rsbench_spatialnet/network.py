"""SpatialNet-ViT: the encoder and the head of one task, or of several (eq. 6, 9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """Build that of the *networks* which is for the task of *context*, on *encoder*.

    Args:
        encoder: images -> tokens.
        context: task, classes, vocabulary and types of questions.
        options: of the model, with defaults.
        networks: for classification, captioning and vqa.
        blind: look at the type of a question and not at its words.
    """
    classifier, captioner, answerer = networks
    if context.task == "classification":
        return classifier(encoder, context)
    text = layer_options(options) | {"depth": options["text_layers"]}
    if context.task == "captioning":
        return captioner(encoder, context, text, options["land_use_weight"])
    weights = [options.get(f"{kind}_weight", 1.0) for kind in context.question_types]
    return answerer(encoder, context, text, count=options["count"], weights=weights, blind=blind)


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
    """The caption head and, where the images have classes, the land-use head, trained on the sum of their losses.

    Args:
        encoder: images -> tokens.
        context: classes and vocabulary.
        text: settings of the :class:`rsbench_spatialnet.captions.CaptionDecoder`.
        land_use: weight of the loss of the classes; 0 leaves that head out.
    """

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
    """Class token and question fused by product, one head for each type of question.

    Args:
        encoder: images -> tokens.
        context: answers, vocabulary and types of questions.
        text: settings of the :class:`rsbench_spatialnet.questions.QuestionEncoder`.
        count: ``regression`` of log1p, ``mse`` (of counts, eq. 8), or ``buckets``.
        weights: lambda of each type of question (eq. 6).
        blind: look at the type of a question and not at its words.
    """

    def __init__(
        self,
        encoder: TokenEncoder,
        context: ModelContext,
        text: dict[str, Any],
        *,
        count: str,
        weights: Sequence[float],
        blind: bool,
    ) -> None:
        super().__init__()
        self.encoder, self.weights = encoder, tuple(weights)
        self.text = None if blind else QuestionEncoder(len(context.vocabulary), context.max_length, **text)
        self.from_image = nn.Linear(encoder.dim, encoder.dim)
        self.from_words = nn.Identity() if blind else nn.Linear(encoder.dim, encoder.dim)
        self.head = QuestionHead(encoder.dim, context.classes, context.question_types, count=count)

    def _outputs(self, images: torch.Tensor, questions: Questions) -> tuple[torch.Tensor, torch.Tensor]:
        cls = self.encoder(images)[:, 0]
        seen = torch.tanh(self.from_image(cls))[questions.image]
        if self.text is not None:
            seen = seen * torch.tanh(self.from_words(self.text(questions.tokens)))
        return self.head(seen, questions.question_type)

    def forward(self, images: torch.Tensor, questions: Questions) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return logits [B, A] and, where counts are regressed, whole counts [B]."""
        logits, regressed = self._outputs(images, questions)
        return logits if self.head.count_type < 0 else (logits, self.head.counts(regressed).round())

    def training_loss(
        self, images: torch.Tensor, questions: Questions, answers: torch.Tensor, counts: torch.Tensor, loss: Loss
    ) -> torch.Tensor:
        """Return the weighted sum over types of question of the mean loss of their questions (eq. 6).

        That of counts is the squared error of what is regressed (eq. 8); a count that is known only by its bucket is
        learned as that bucket's log-probability.

        Args:
            images: float32 [I, C, S, S].
            questions: B of them.
            answers: int64 [B].
            counts: float32 [B], true counts; NaN where there is none.
            loss: ``(logits [B, K], answers [B]) -> scalar``.
        """
        logits, regressed = self._outputs(images, questions)
        total = regressed.sum() * 0
        for kind, weight in enumerate(self.weights):
            asked = (questions.question_type == kind).nonzero().squeeze(1)
            if weight and len(asked):
                mine = logits[asked].float(), answers[asked]
                of_kind = (
                    self._counted(*mine, regressed[asked], counts[asked], loss)
                    if kind == self.head.count_type
                    else loss(*mine)
                )
                total = total + weight * of_kind
        return total

    def _counted(
        self, logits: torch.Tensor, answers: torch.Tensor, regressed: torch.Tensor, counts: torch.Tensor, loss: Loss
    ) -> torch.Tensor:
        known, unknown = (mask.nonzero().squeeze(1) for mask in (counts.isfinite(), ~counts.isfinite()))
        total = regressed.sum() * 0
        if len(known):
            error = F.mse_loss(regressed[known].float(), self.head.target(counts[known]))
            total = total + error * len(known) / len(counts)
        if len(unknown):
            total = total + loss(logits[unknown], answers[unknown]) * len(unknown) / len(counts)
        return total
