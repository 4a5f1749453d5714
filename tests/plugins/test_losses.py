from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from rsbench_eurosat.datasets import CLASSES, COUNTS

from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.context import LossContext

CONTEXT = LossContext(num_classes=10, class_counts=COUNTS, classes=CLASSES)


def build(name: str, **options: object) -> torch.nn.Module:
    return load_attribute(registry().get("loss", name).factory)(CONTEXT, **options)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(32, 10, generator=generator, dtype=torch.float64) * 3
    return logits, torch.randint(0, 10, (32,), generator=generator)


def test_gamma_zero_is_cross_entropy(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    expected = F.cross_entropy(*batch)
    assert torch.allclose(build("focal", gamma=0.0)(*batch), expected)
    assert torch.allclose(build("cross-entropy")(*batch), expected)
    assert torch.allclose(build("class-focal", gamma=0.0, variant="exponent")(*batch), expected)
    assert torch.allclose(build("class-balanced", beta=0.0)(*batch), expected)


def test_focal_equals_kornia_summed_over_classes(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    from kornia.losses import focal_loss

    theirs = focal_loss(*batch, alpha=None, gamma=2.0, reduction="none").sum(1).mean()
    assert torch.allclose(build("focal", gamma=2.0)(*batch), theirs, rtol=1e-6)


def test_class_focal_by_its_formula(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, targets = batch
    p = logits.softmax(1)[torch.arange(32), targets]
    beta = torch.tensor(COUNTS, dtype=torch.float64) / sum(COUNTS)
    assert beta.sum() == pytest.approx(1)
    a = (-((1 - p) ** 0.5) * beta[targets] * p.log()).mean()
    b = (-((1 - p) ** (0.5 * beta[targets])) * p.log()).mean()
    assert build("class-focal")(*batch).item() == pytest.approx(a.item(), rel=1e-6)
    assert build("class-focal", variant="exponent")(*batch).item() == pytest.approx(b.item(), rel=1e-6)


def test_effective_number_equals_timm_and_the_paper() -> None:
    from rsbench_losses.losses import effective_number

    counts = torch.tensor([2100.0, 1750.0, 1400.0]).repeat_interleave(torch.tensor([5, 4, 1])).double()
    weights = effective_number(counts, 0.9999)
    assert weights.mean().item() == pytest.approx(1)
    assert weights[[0, 5, 9]].tolist() == pytest.approx([0.895, 1.056, 1.298], abs=6e-4)
    timm_loss = pytest.importorskip("timm.loss")
    if hasattr(timm_loss, "compute_class_weights"):
        _, theirs = timm_loss.compute_class_weights(counts, int(counts.sum()), "effective_num", beta=0.9999)
        assert torch.allclose(torch.as_tensor(theirs).float(), weights, atol=1e-5)


def test_class_weights(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    author = torch.tensor([1.0, 0.8, 1.3, 1.0, 1.3, 1.0, 1.3, 0.8, 1.0, 0.8])
    loss = build("cross-entropy", class_weights="bmta-author", label_smoothing=0.1)
    assert torch.equal(loss.weight, author)
    listed = build("cross-entropy", class_weights=[2.0] * 10)
    logits, targets = batch
    assert torch.allclose(listed(logits.float(), targets), F.cross_entropy(logits.float(), targets))
    inverse = build("cross-entropy", class_weights="inverse").weight
    assert (inverse * torch.tensor(COUNTS)).std() < 1e-3


@pytest.mark.parametrize("name", ["cross-entropy", "focal", "class-focal", "class-balanced"])
def test_gradients_against_finite_differences(name: str, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, targets = batch
    loss = build(name).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, targets[:4]), logits[:4].clone().requires_grad_())


def test_certain_predictions_are_finite() -> None:
    logits = torch.full((1, 10), -200.0)
    logits[0, 3] = 200.0
    for target in (3, 4):
        for name in ("focal", "class-focal"):
            x = logits.clone().requires_grad_()
            value = build(name, gamma=0.5)(x, torch.tensor([target]))
            value.backward()
            assert torch.isfinite(value)
            assert torch.isfinite(x.grad).all()


def test_half_precision_logits_lose_nothing_near_certainty() -> None:
    """Autocast hands over float16 logits: 1 - p must not stop at float16's smallest number."""
    logits = torch.zeros(1, 10)
    logits[0, 3] = 14.0  # 1 - p is about 7e-6, below the smallest normal float16
    target = torch.tensor([3])
    negative_log = F.cross_entropy(logits, target)
    for g in (0.5, 2.0):
        expected = (-torch.expm1(-negative_log)) ** g * negative_log
        with torch.autocast("cpu", dtype=torch.float16):
            value = build("focal", gamma=g)(logits.half(), target)
        assert value.item() == pytest.approx(expected.item(), rel=1e-3)


def test_a_class_without_training_samples_leaves_the_other_weights_alone() -> None:
    counts = (2100, 1400, 0, 1750)
    context = LossContext(num_classes=4, class_counts=counts, classes=tuple("abcd"))
    without = LossContext(num_classes=3, class_counts=(2100, 1400, 1750), classes=tuple("abd"))
    for kind in ("inverse", "effective-number"):
        make = load_attribute("rsbench_losses.losses:cross_entropy")
        weights = make(context, class_weights=kind).weight
        assert weights[2] == 1
        assert torch.allclose(weights[[0, 1, 3]], make(without, class_weights=kind).weight)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cross-entropy", {"label_smoothing": 1.0}, "label_smoothing"),
        ("cross-entropy", {"label_smoothing": -0.1}, "label_smoothing"),
        ("cross-entropy", {"class_weights": [1.0] * 9 + [-1.0]}, "0 or more"),
        ("cross-entropy", {"class_weights": [1.0] * 9 + ["high"]}, "class_weights=high"),
        ("cross-entropy", {"class_weights": [0.0] * 10}, "all 0"),
        ("focal", {"gamma": -1.0}, "gamma"),
        ("class-focal", {"gamma": float("nan")}, "gamma"),
        ("class-focal", {"variant": "product"}, "variant"),
        ("class-balanced", {"beta": -0.5}, "beta"),
    ],
)
def test_values_that_cannot_be(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(name, **options)


def test_mistakes() -> None:
    with pytest.raises(UserError, match="10 classes"):
        build("cross-entropy", class_weights=[1.0])
    with pytest.raises(UserError, match="not known"):
        build("cross-entropy", class_weights="equal")
    with pytest.raises(UserError, match=r"not in \[0, 1\)"):
        build("class-balanced", beta=1.0)
    other = LossContext(num_classes=2, class_counts=(1, 2), classes=("cat", "dog"))
    with pytest.raises(UserError, match="EuroSAT's classes"):
        load_attribute("rsbench_losses.losses:cross_entropy")(other, class_weights="bmta-author")
    with pytest.raises(UserError, match="number of training samples"):
        load_attribute("rsbench_losses.losses:class_focal")(LossContext(num_classes=3))
