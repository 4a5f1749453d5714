"""The compared VQA systems and their baselines, on tiny backbones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rsbench_vqa.baselines import MostFrequentAnswer
from rsbench_vqa.bazi import positions
from rsbench_vqa.specs import MODELS, RECIPES
from rsbench_vqa.yuan import Curriculum, Yuan2022
from torch import nn

from rsbench.specs import load_attribute
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR
from rsbench.tasks.context import ModelContext
from rsbench.tasks.vqa import Questions

SPECS = {spec.name: spec for spec in MODELS}
SYSTEMS = ("lobry2020", "yuan2022", "bazi2022")
NETWORKS = (*SYSTEMS, "question-only", "image-only")
TINY = {"backbone": "timm:test_resnet", "weights": "none", "input_size": 0, "question_width": 64, "growth": 20}
TINY |= {"width": 64, "layers": 1}
WORDS = ("<pad>", "<start>", "<end>", "<unk>", "is", "it", "red", "blue", "what", "color")
TOY = ModelContext("vqa", 3, 32, ("yes", "no", "red", "blue"), vocabulary=WORDS, question_types=("presence", "color"))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def build(name: str, context: ModelContext = TOY, **options: object) -> nn.Module:
    torch.manual_seed(0)
    spec = SPECS[name]
    chosen = {k: TINY.get(k, o.default) for k, o in spec.options.items()}
    return load_attribute(spec.factory)(context, **(chosen | options))


def toy() -> tuple[torch.Tensor, Questions, torch.Tensor]:
    """Sixteen noisy red or blue images with four questions each; every answer needs the image.

    From the words alone half of the answers can be right; from the image and the type alone three quarters.
    """
    generator = torch.Generator().manual_seed(0)
    color = torch.arange(16) % 2
    images = 0.3 * torch.randn(16, 3, 32, 32, generator=generator)
    images[color == 0, 0] += 2
    images[color == 1, 2] += 2
    tokens = torch.tensor([[4, 5, 6, 0], [4, 5, 7, 0], [8, 9, 0, 0], [8, 9, 4, 5]]).repeat(16, 1)
    image, asked = torch.arange(16).repeat_interleave(4), torch.arange(4).repeat(16)
    answers = torch.where(asked < 2, (color[image] != asked).long(), 2 + color[image])
    return images, Questions(tokens, image, asked // 2), answers


def loss_of(network: nn.Module, images: torch.Tensor, questions: Questions, answers: torch.Tensor) -> torch.Tensor:
    if hasattr(network, "training_loss"):
        counts = torch.full((len(answers),), torch.nan)
        return network.training_loss(images, questions, answers, counts, F.cross_entropy)
    return F.cross_entropy(network(images, questions), answers)


@torch.no_grad()
def accuracy(network: nn.Module, images: torch.Tensor, questions: Questions, answers: torch.Tensor) -> float:
    return (network.eval()(images, questions).argmax(1) == answers).double().mean().item()


def fitted(network: nn.Module, steps: int) -> float:
    """Best accuracy on the toy questions while they are learned, looked at every ten steps."""
    images, questions, answers = toy()
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 1e-3)
    best = 0.0
    for step in range(steps):
        loss = loss_of(network.train(), images, questions, answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            best = max(best, accuracy(network, images, questions, answers))
        if best == 1:
            break
    return best


@pytest.mark.parametrize("name", SYSTEMS)
def test_system_learns_what_needs_image_and_words(name: str) -> None:
    assert fitted(build(name), 100) == 1.0


@pytest.mark.parametrize(("name", "most"), [("question-only", 0.5), ("image-only", 0.75)])
def test_control_reaches_what_it_can_see_and_no_more(name: str, most: float) -> None:
    assert fitted(build(name), 40) == most


@pytest.mark.parametrize("backbone", ["timm:test_resnet", "timm:test_vit"])
@pytest.mark.parametrize("name", [*SYSTEMS, "image-only"])
@torch.no_grad()
def test_an_image_may_be_shared_or_repeated(name: str, backbone: str) -> None:
    images, questions, _ = toy()
    network = build(name, backbone=backbone).eval()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    mixed = Questions(questions.tokens[order], questions.image[order], questions.question_type[order])
    alone = Questions(mixed.tokens, torch.arange(64), mixed.question_type)
    logits = network(images, mixed)
    torch.testing.assert_close(logits, network(images[mixed.image], alone), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits, network(images, questions)[order], rtol=1e-4, atol=1e-5)
    assert logits.shape == (64, 4)
    assert logits.std(0).min() > 1e-3


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_padding_changes_nothing(name: str) -> None:
    images, questions, _ = toy()
    network = build(name).eval()
    longer = Questions(F.pad(questions.tokens, (0, 7)), questions.image, questions.question_type)
    torch.testing.assert_close(network(images, questions), network(images, longer), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [*SYSTEMS, "question-only"])
@torch.no_grad()
def test_order_of_words_matters(name: str) -> None:
    images, questions, _ = toy()
    network = build(name).eval()
    turned = Questions(questions.tokens[:, [1, 0, 2, 3]], questions.image, questions.question_type)
    assert (network(images, questions) - network(images, turned)).abs().max() > 1e-3


@torch.no_grad()
def test_controls_are_blind() -> None:
    images, questions, _ = toy()
    other = Questions(questions.tokens.flip(0).clamp(min=1), questions.image, questions.question_type)
    image_only, question_only = build("image-only").eval(), build("question-only").eval()
    assert torch.equal(image_only(images, questions), image_only(images, other))
    assert torch.equal(question_only(images, questions), question_only(-images, questions))


@pytest.mark.parametrize("freeze", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_reaches_what_is_trained_and_nothing_else(name: str, freeze: bool) -> None:
    images, questions, answers = toy()
    options = {} if name == "question-only" else {"freeze": freeze, "backbone": "timm:test_vit"}
    network = build(name, **options).train()
    body = getattr(network, "encoder", nn.Identity())
    before = {k: v.clone() for k, v in body.state_dict().items()}
    loss_of(network, images, questions, answers).backward()
    reached = {k for k, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert reached == {k for k, _ in network.named_parameters() if not (freeze and k.startswith("encoder."))}
    assert body.training is not freeze or name == "question-only"
    if freeze:
        assert all(torch.equal(v, before[k]) for k, v in body.state_dict().items())


def test_frozen_stays_frozen_where_a_recipe_trains_everything() -> None:
    images, questions, answers = toy()
    network = build("lobry2020").requires_grad_(True).train()
    loss_of(network, images, questions, answers).backward()
    assert all(p.grad is None for p in network.encoder.parameters())


def test_lobry_has_the_sizes_of_the_paper() -> None:
    """By hand, at 256 pixels with 8 x 8 places of F channels."""
    context = ModelContext("vqa", 3, 256, ANSWERS_LR, vocabulary=WORDS, question_types=TYPES_LR)
    network = build("lobry2020", context, question_width=2400)
    features = network.encoder.widths[-1]
    assert network.encoder.shape(context) == (features, 8, 8)
    trained = sum(p.numel() for k, p in network.named_parameters() if not k.startswith(("encoder.", "words.")))
    assert trained == 32 * features + 32 + 2049 * 1200 + 2401 * 1200 + 1201 * 256 + 257 * 9
    assert sum(p.numel() for p in network.words.parameters()) == 10 * 620 + 3 * 2400 * (620 + 2400 + 2)


@torch.no_grad()
def test_yuan_answers_as_its_authors_network() -> None:
    """One question to one image at 256 pixels, by loops over places, from the published facts (faithful but for the
    encoders of image and question)."""
    context = ModelContext("vqa", 3, 256, ("a", "b", "c"), vocabulary=WORDS, question_types=("count",))
    network = build("yuan2022", context).eval()
    assert isinstance(network, Yuan2022)
    assert (network.encoder.shape(context)[1:], network.attended_to_joint.in_features) == ((8, 8), 1024)
    images = torch.randn(1, 3, 256, 256)
    questions = Questions(torch.tensor([[4, 5, 6]]), torch.tensor([0]), torch.tensor([0]))
    maps, state = network.encoder(images)[-1], network.words(questions.tokens)[0]

    linear_q = network.words_to_joint[1](state)
    q = network.lead(linear_q)
    q = q / (q.pow(2).sum().sqrt() + 1e-5)
    spots = [network.places(maps)[0, :, r, c] for r in range(8) for c in range(8)]
    kernel = network.scale.weight[:, :, 0, 0]
    keys = [v / ((kernel @ v).pow(2).sum().sqrt() + 1e-5) for v in spots]
    x = [network.mix.weight[:, :, 0, 0] @ (k + q).clamp(min=0) + network.mix.bias for k in keys]
    rows = []
    for query in x:
        shares = torch.stack([query @ key for key in keys]).div(16).softmax(0)
        rows.append(sum(s * value for s, value in zip(shares, x, strict=True)))
    table = torch.stack(rows)  # 64 places of 256 channels
    pooled = torch.stack([table[r : r + 4, c : c + 4].mean() for r in range(0, 64, 4) for c in range(0, 256, 4)])
    linear_v = network.image_to_joint[1](network.squeeze(maps).flatten())
    joint = (torch.tanh(linear_v) + network.attended_to_joint(pooled)) * torch.tanh(linear_q)
    expected = network.answer[4](torch.tanh(network.answer[1](joint)))
    torch.testing.assert_close(network(images, questions)[0], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_lobry_answers_as_its_authors_network() -> None:
    images, questions, _ = toy()
    network = build("lobry2020").eval()
    maps, states = network.encoder(images)[-1], network.words(questions.tokens)
    seen = torch.tanh(network.image_to_joint[1](network.squeeze(maps).flatten(1)))[questions.image]
    joint = torch.tanh(seen * torch.tanh(network.words_to_joint[1](states)))
    expected = network.answer[4](torch.tanh(network.answer[1](joint)))
    torch.testing.assert_close(network(images, questions), expected)


LENGTHS = ("<pad>", "<start>", "<end>", "<unk>", "word", "a")  # five characters with a space, and two


def asked(types: list[int], words: list[int], token: int = 4) -> Questions:
    tokens = (torch.arange(20) < torch.tensor(words)[:, None]).long() * token
    return Questions(tokens, torch.zeros(len(types), dtype=torch.long), torch.tensor(types))


def test_difficulty_is_of_characters() -> None:
    """rural_urban, presence, count and comp weigh 1, 1, 4 and 3; "word word?" has ten characters."""
    curriculum = Curriculum(TYPES_LR, LENGTHS, growth=2)
    difficulty = curriculum.difficulty(asked([0, 1, 2, 3], [2, 2, 2, 2]))
    torch.testing.assert_close(difficulty, torch.tensor([10.0, 10.0, 40.0, 30.0]) / 50)
    assert curriculum.difficulty(asked([0], [3], token=5)).item() == pytest.approx(len("a a a?") / 50)


def test_curriculum_opens_from_easy_to_hard() -> None:
    """Difficulties .1, .1, .8, .9; the threshold is .1 + .8 * (.6, .8, 1)."""
    curriculum = Curriculum(TYPES_LR, LENGTHS, growth=2)
    questions = asked([0, 1, 2, 3], [1, 1, 2, 3])
    torch.testing.assert_close(curriculum.difficulty(questions), torch.tensor([0.1, 0.1, 0.8, 0.9]))
    shares, chosen = [], []
    for _ in range(4):
        shares.append(curriculum.share().item())
        chosen.append(curriculum.choose(questions).tolist())
    assert shares == pytest.approx([0.6, 0.8, 1.0, 1.0])
    assert chosen == [[True, True, False, False]] * 2 + [[True] * 4] * 2


def test_curriculum_remembers_the_range() -> None:
    """Difficulties from .1 to 1.2 were met: questions below .1 + .6 * 1.1 = .76 are open, or the easiest of a batch."""
    curriculum = Curriculum(TYPES_LR, LENGTHS, growth=10**9)
    curriculum.choose(asked([0, 2], [1, 2]))
    curriculum.choose(asked([1, 3], [2, 4]))
    torch.testing.assert_close(torch.stack([curriculum.low, curriculum.high]), torch.tensor([0.1, 1.2]))
    assert curriculum.choose(asked([2, 3, 2], [1, 2, 2])).tolist() == [True, True, False]
    assert curriculum.choose(asked([2, 2], [2, 3])).tolist() == [True, False]
    assert {"step", "low", "high"} == set(curriculum.state_dict())


def test_yuan_learns_from_the_chosen_alone() -> None:
    """Two easy and two hard questions: the loss is that of the easy ones, then that of all."""
    context = ModelContext("vqa", 3, 32, ("a", "b"), vocabulary=WORDS, question_types=TYPES_LR)
    network = build("yuan2022", context, growth=1).eval()
    images, questions = torch.randn(1, 3, 32, 32), asked([0, 2, 1, 2], [5, 20, 5, 20])
    answers = torch.tensor([0, 1, 0, 0])
    with torch.no_grad():
        network.answer[-1].bias.copy_(torch.tensor([1.0, -1.0]))
        each = F.cross_entropy(network(images, questions), answers, reduction="none")
        first, second = (loss_of(network, images, questions, answers) for _ in range(2))
    assert first.item() == pytest.approx(each[[0, 2]].mean().item(), abs=1e-5)
    assert second.item() == pytest.approx(each.mean().item(), abs=1e-5)
    assert abs(first - second) > 0.1


@torch.no_grad()
def test_bazi_averages_the_probabilities_of_two_heads() -> None:
    images, questions, _ = toy()
    network = build("bazi2022").eval()
    heard: list[torch.Tensor] = []
    for head in (network.image_answer, network.word_answer):
        head.register_forward_hook(lambda _module, _inputs, output: heard.append(output.softmax(1)))
    probabilities = network(images, questions).exp()
    torch.testing.assert_close(probabilities, (heard[0] + heard[1]) / 2)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(64))
    assert (heard[0] - heard[1]).abs().max() > 1e-3


def test_positions() -> None:
    table = positions(3, 4)
    expected = [[np.sin(p), np.sin(p / 100), np.cos(p), np.cos(p / 100)] for p in range(3)]
    assert np.allclose(table.numpy(), expected, atol=1e-6)


def test_most_frequent_answer_per_type() -> None:
    context = ModelContext("vqa", 3, 32, ANSWERS_LR, question_types=TYPES_LR)
    kinds, answers = np.array([0, 0, 0, 2, 2, 3]), np.array([2, 3, 3, 4, 4, 1])
    baseline = MostFrequentAnswer(context)
    baseline.fit([], Questions(None, None, kinds), answers)
    given = baseline.answer(np.zeros((1, 3, 2, 2), np.uint8), Questions(None, None, np.array([0, 1, 2, 3])))
    assert given.dtype == np.int64
    assert given.tolist() == [3, 3, 4, 1]


@pytest.mark.real_data
@torch.no_grad()
def test_real_weights(real_data: Path) -> None:
    """ImageNet's SqueezeNet in lobry2020, against torchvision's own features."""
    from torchvision.models import squeezenet1_0

    path = real_data / "weights" / "squeezenet1_0_imagenet_tvnorm.npz"
    network = build("lobry2020", backbone="torchvision:squeezenet1_0", weights=str(path), input_size=64)
    whole = squeezenet1_0()
    with np.load(path) as archive:
        whole.load_state_dict({k: torch.from_numpy(archive[k]) for k in archive.files})
    images, questions, _ = toy()
    expected = whole.eval().features(F.interpolate(images, size=(64, 64), mode="bilinear"))
    torch.testing.assert_close(network.encoder(images)[-1], expected)
    assert network(images, questions).shape == (64, 4)


def test_specs_name_what_there_is() -> None:
    recipes = {recipe.name for recipe in RECIPES}
    for spec in MODELS:
        assert spec.tasks == ("vqa",)
        assert spec.tags[0] in ("reconstruction", "baseline")
        assert bool(spec.citation) is ("reconstruction" in spec.tags)
        assert set(spec.recipes) <= recipes
