"""SpatialNet-ViT: sizes of the paper, cached steps, heads by type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rsbench_spatialnet.questions import NEVER, bucket_edges, own_answers
from torch import nn

from rsbench.engine.input.loader import map_state
from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR, bucket
from rsbench.tasks.captioning import CaptionTargets
from rsbench.tasks.context import ModelContext
from rsbench.tasks.vqa import Questions

SMALL = {"dim": 32, "depth": 2, "heads": 4, "mlp": 64, "input_size": 32, "dropout": 0.0}
WORDS = tuple(map(str, range(40)))


def build(task: str, name: str = "spatialnet-vit", **options: Any) -> nn.Module:
    spec = registry().get("model", name)
    values = {k: o.default for k, o in spec.options.items()} | options
    classes = ANSWERS_LR if task == "vqa" else tuple("abcdefg")
    context = ModelContext(task, 3, 256, classes, vocabulary=WORDS, max_length=12, question_types=TYPES_LR)
    torch.manual_seed(0)
    return load_attribute(spec.factory)(context, **values)


def questions() -> Questions:
    kind = torch.tensor([0, 1, 2, 3, 2, 1])
    return Questions(torch.randint(1, 40, (6, 7)), torch.tensor([0, 0, 0, 1, 1, 2]), kind)


def test_the_encoder_has_the_papers_size() -> None:
    """By hand: patches 393,728 + positions 131,584 + class 512 + 12 layers of 3,152,384 + norm 1,024."""
    encoder = build("classification").encoder
    assert (
        sum(p.numel() for p in encoder.parameters()) == 393_728 + 131_584 + 512 + 12 * 3_152_384 + 1_024 == 38_355_456
    )
    assert encoder.eval()(torch.zeros(1, 3, 256, 256)).shape == (1, 257, 512)
    assert isinstance(encoder.layers.layers[0].activation, type(F.relu))
    assert encoder.layers.layers[0].norm_first is False


def test_layers_start_differently() -> None:
    first, second = build("classification", **SMALL).encoder.layers.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


@torch.no_grad()
def test_cached_steps_equal_the_whole_pass() -> None:
    model = build("captioning", **SMALL).eval()
    images, tokens = torch.randn(2, 3, 64, 64), torch.randint(4, 40, (6, 9))
    whole = model(images, tokens)
    state = map_state(model.start(images), lambda t: t.repeat_interleave(3, 0))
    for place in range(9):
        logits, state = model.step(tokens[:, place], state)
        torch.testing.assert_close(logits, whole[:, place], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_words_do_not_see_later_ones() -> None:
    model = build("captioning", **SMALL).eval()
    images, tokens = torch.randn(1, 3, 32, 32), torch.randint(4, 40, (1, 8))
    other = tokens.clone()
    other[:, 5:] = 39 - other[:, 5:].clamp(max=30)
    assert torch.equal(model(images, tokens)[:, :5], model(images, other)[:, :5])
    assert not torch.equal(model(images, tokens)[:, 5:], model(images, other)[:, 5:])


def test_land_use_is_a_weighted_term() -> None:
    images = torch.randn(2, 3, 32, 32)
    targets = CaptionTargets(torch.tensor([[1, 5, 6, 2], [1, 7, 2, 0]]), torch.tensor([0, 3]))
    totals = {}
    for weight in (0.0, 1.0, 2.0):
        model = build("captioning", land_use_weight=weight, **SMALL)
        totals[weight] = float(model.training_loss(images, targets, F.cross_entropy).detach())
    assert totals[2.0] - totals[1.0] == pytest.approx(math.log(7), rel=0.3)
    plain = build("captioning", land_use_weight=0.0, **SMALL)
    logits = plain(images, targets.tokens)
    by_hand = [
        -logits[b, t].log_softmax(0)[targets.tokens[b, t + 1]] for b, t in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1))
    ]
    assert totals[0.0] == pytest.approx(float(torch.stack(by_hand).mean().detach()), rel=1e-5)


@torch.no_grad()
def test_each_type_answers_with_its_own() -> None:
    model = build("vqa", **SMALL).eval()
    logits, counts = model(torch.randn(3, 3, 64, 64), questions())
    own = [(2, 3), (0, 1), (4, 5, 6, 7, 8), (0, 1)]
    for row, kind in zip(logits, questions().question_type.tolist(), strict=True):
        assert {k for k in range(9) if row[k] > NEVER / 2} <= set(own[kind])
        assert int(row.argmax()) in own[kind]
    assert torch.equal(counts, counts.round())
    assert [own_answers(kind, ANSWERS_LR) for kind in TYPES_LR] == [list(o) for o in own]


@torch.no_grad()
def test_regressed_counts_fall_into_their_buckets() -> None:
    head = build("vqa", **SMALL).head
    counts = torch.tensor([0, 1, 5, 10, 11, 50, 100, 101, 900, 1000, 1001, 5000.0])
    chosen = head.bucket_logits(counts.log1p()).argmax(1)
    assert [ANSWERS_LR[4 + int(k)] for k in chosen] == [bucket(int(c)) for c in counts]
    assert bucket_edges("0") == (-math.inf, math.log1p(0.5))


LAMBDAS = {"rural_urban_weight": 2.0, "presence_weight": 0.5, "comp_weight": 3.0}


@pytest.mark.parametrize("count", ["regression", "mse", "buckets"])
@pytest.mark.parametrize("lambdas", [{}, LAMBDAS, {"count_weight": 0.0}])
def test_the_loss_is_a_weighted_sum_over_types_of_question(count: str, lambdas: dict[str, float]) -> None:
    """Equations 6 to 8, question by question; one count of three is known by its bucket alone."""
    model = build("vqa", count=count, **SMALL, **lambdas)
    kinds, true = [0, 1, 1, 2, 2, 2, 3], torch.tensor([math.nan] * 3 + [7.0, 30.0, math.nan, math.nan])
    q = Questions(torch.randint(1, 40, (7, 5)), torch.tensor([0, 0, 1, 0, 1, 1, 0]), torch.tensor(kinds))
    images, answers = torch.randn(2, 3, 32, 32), torch.tensor([2, 0, 1, 5, 6, 8, 1])
    loss = model.training_loss(images, q, answers, true, F.cross_entropy)

    cls = model.encoder(images)[:, 0]
    fused = torch.tanh(model.from_image(cls))[q.image] * torch.tanh(model.from_words(model.text(q.tokens)))
    logits = model._outputs(images, q)[0].log_softmax(1)
    each: dict[int, list[torch.Tensor]] = {kind: [] for kind in range(4)}
    for k, kind in enumerate(kinds):
        if count == "buckets" or true[k].isnan():
            each[kind].append(-logits[k, answers[k]])
        else:
            regressed = model.head.heads[2](fused[k])[0]
            each[kind].append((regressed - (true[k].log1p() if count == "regression" else true[k])) ** 2)
    expected = sum(
        lambdas.get(f"{TYPES_LR[kind]}_weight", 1.0) * torch.stack(losses).mean() for kind, losses in each.items()
    )
    torch.testing.assert_close(loss, expected)


@torch.no_grad()
def test_regressed_counts_are_answered_as_they_are_learned() -> None:
    images, q = torch.randn(1, 3, 32, 32), Questions(torch.tensor([[5, 6]]), torch.tensor([0]), torch.tensor([2]))
    for count, bias in (("regression", math.log1p(57)), ("mse", 57.2)):
        model = build("vqa", count=count, **SMALL).eval()
        model.head.heads[2].weight.zero_()
        model.head.heads[2].bias.fill_(bias)
        logits, counts = model(images, q)
        assert (counts.tolist(), ANSWERS_LR[int(logits[0].argmax())]) == ([57.0], bucket(57))


@torch.no_grad()
def test_padding_changes_nothing_and_blindness_is_complete() -> None:
    images, q = torch.randn(3, 3, 32, 32), questions()
    padded = Questions(F.pad(q.tokens, (0, 3)), q.image, q.question_type)
    other = Questions(q.tokens.flip(0), q.image, q.question_type)
    seeing, blind = (
        build("vqa", count="buckets", **SMALL).eval(),
        build("vqa", "spatialnet-vit-blind", count="buckets", **SMALL).eval(),
    )
    torch.testing.assert_close(seeing(images, q), seeing(images, padded), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(seeing(images, q), seeing(images, other))
    assert torch.equal(blind(images, q), blind(images, other))


@pytest.mark.parametrize(
    ("options", "named"), [({"heads": 7}, "multiple of heads"), ({"input_size": 250}, "whole patches")]
)
def test_impossible_sizes_are_one_sentence(options: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        build("classification", **options)


@pytest.mark.parametrize("task", ["classification", "captioning", "vqa"])
def test_gradient_reaches_every_parameter(task: str) -> None:
    model, images = build(task, **SMALL), torch.randn(3, 3, 32, 32)
    if task == "classification":
        model(images).square().mean().backward()
    elif task == "captioning":
        tokens = torch.randint(4, 40, (3, 12))
        model.training_loss(images, CaptionTargets(tokens, torch.tensor([0, 1, 2])), F.cross_entropy).backward()
    else:
        answers, counts = torch.tensor([2, 0, 5, 1, 4, 0]), torch.tensor([np.nan, np.nan, 3, np.nan, 0, np.nan])
        model.training_loss(images, questions(), answers, counts, F.cross_entropy).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
