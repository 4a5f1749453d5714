"""BMTA's three networks against the figures of their author's code."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from rsbench.engine.training.optimizers import parameter_groups
from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.context import ModelContext

NAMES = ("baseline-cnn", "cbam-cnn", "bmta", "bmta-paper-dropblock")


def build(name: str, *, seed: int = 0, size: int = 64, **options: object) -> nn.Module:
    torch.manual_seed(seed)
    spec = registry().get("model", name)
    context = ModelContext(task="classification", channels=3, size=size, classes=tuple("abcdefghij"), seed=seed)
    defaults = {k: o.default for k, o in spec.options.items()}
    return load_attribute(spec.factory)(context, **(defaults | options))


@pytest.fixture(scope="module")
def bmta() -> nn.Module:
    return build("bmta")


@pytest.mark.parametrize(
    ("name", "count"), list(zip(NAMES, (4_293_642, 9_912_212, 13_115_813, 13_115_813), strict=True)), ids=NAMES
)
def test_parameter_counts(name, count):
    assert sum(p.numel() for p in build(name).parameters()) == count
    assert registry().get("model", name).params == count


def test_bmta_parts_have_the_published_sizes(bmta):
    def count(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    stages = (bmta.blocks[0:3], bmta.blocks[3:6], bmta.blocks[6:9], bmta.blocks[9:11])
    assert count(bmta.stem) == 1_856
    assert [count(s) for s in stages] == [228_147, 845_667, 3_378_883, 8_656_130]
    assert count(bmta.classifier) == 5_130
    attention = bmta.attention_blocks()
    assert sum(count(a.coordinate) for a in attention) == 293_968
    assert sum(count(a.squeeze) for a in attention) == 97_792
    assert sum(count(a) for a in attention) == 391_771


@pytest.mark.parametrize("name", NAMES)
def test_logits_gradients_and_state_dict(name):
    """Logits [2, 10]; a finite gradient reaches every parameter; a copy with the same state predicts the same."""
    network = build(name)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    logits = network.train()(images)
    assert logits.shape == (2, 10)
    assert logits.dtype == torch.float32
    nn.functional.cross_entropy(logits, torch.tensor([3, 7])).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())

    copy = build(name, seed=9)
    with torch.no_grad():
        expected = network.eval()(images)
        assert not torch.equal(copy.eval()(images), expected)
        copy.load_state_dict(network.state_dict())
        assert torch.equal(copy(images), expected)


def test_same_seed_same_network_and_same_drops():
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    first, second = build("bmta", seed=5), build("bmta", seed=5)
    with torch.no_grad():
        torch.manual_seed(3)
        one = first.train()(images)
        torch.manual_seed(3)
        assert torch.equal(second.train()(images), one)
        torch.manual_seed(4)
        assert not torch.equal(second(images), one)


def test_the_guard_leaves_the_random_state_alone():
    torch.manual_seed(5)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    load_attribute("rsbench_convnets.bmta:check_dropblock")("author", 64)
    assert torch.equal(torch.rand(3), drawn)


@torch.no_grad()
def test_initialization(bmta):
    """Convolutions Kaiming fan-out, also within attention; linear layers and the SE squeeze N(0, .01)."""
    assert bmta.classifier.weight.std() == pytest.approx(0.01, rel=0.1)
    assert bmta.classifier.bias.abs().max() == 0
    block = bmta.blocks[10]
    assert block.conv2.weight.std() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    assert block.attention.squeeze.fc1.weight.std() == pytest.approx(0.01, rel=0.05)
    assert block.attention.coordinate.conv1.weight.std() == pytest.approx((2 / 64) ** 0.5, rel=0.05)
    assert block.bn2.weight.eq(1).all()


def test_baseline_is_linear_between_its_last_two_layers():
    kinds = [type(m).__name__ for m in build("baseline-cnn")]
    assert kinds[-3:] == ["Linear", "Dropout", "Linear"]


def test_cbam_attention_by_its_definition():
    """Shared MLP on mean and max, then a 7x7 convolution over [mean, max], without bias or BatchNorm."""
    from rsbench_convnets.cbam import CBAM

    torch.manual_seed(0)
    module, x = CBAM(32), torch.randn(2, 32, 9, 9)
    down, up = module.mlp[0].weight, module.mlp[2].weight
    pooled = [x.flatten(2).mean(2), x.flatten(2).max(2).values]
    gate = torch.sigmoid(sum(torch.relu(p @ down.T) @ up.T for p in pooled))
    y = torch.einsum("bchw,bc->bchw", x, gate)
    maps = torch.stack([y.mean(1), y.max(1).values], 1)
    expected = y * torch.sigmoid(nn.functional.conv2d(maps, module.spatial.weight, padding=3))
    torch.testing.assert_close(module(x), expected)
    assert sum(p.numel() for p in module.parameters()) == 2 * 32 * 2 + 98


def test_balanced_attention_by_its_definition():
    """timm's modules compute the SE and coordinate attention of the author's widths, and the mix is s : 1 - s."""
    from rsbench_convnets.bmta import BalancedAttention

    torch.manual_seed(0)
    module, x = BalancedAttention(64, 0.5).eval(), torch.randn(2, 64, 6, 5)
    se, ca = module.squeeze, module.coordinate
    assert (se.fc1.out_channels, ca.conv1.out_channels) == (4, 8)
    hidden = torch.relu(x.mean((2, 3)) @ se.fc1.weight.flatten(1).T)
    squeezed = x * torch.sigmoid(hidden @ se.fc2.weight.flatten(1).T)[:, :, None, None]
    strips = torch.cat([x.mean(3), x.mean(2)], dim=2)  # [B, C, H + W]
    mixed = torch.einsum("mc,bcl->bml", ca.conv1.weight.flatten(1), strips) / (1 + ca.bn1.eps) ** 0.5
    rows, columns = torch.relu(mixed).split([6, 5], dim=2)
    row_gate = torch.sigmoid(torch.einsum("cm,bml->bcl", ca.conv_h.weight.flatten(1), rows))
    column_gate = torch.sigmoid(torch.einsum("cm,bml->bcl", ca.conv_w.weight.flatten(1), columns))
    placed = x * row_gate[:, :, :, None] * column_gate[:, :, None, :]
    share = 1 / (1 + torch.exp(torch.tensor(-0.5)))
    torch.testing.assert_close(module(x), share * placed + (1 - share) * squeezed)


def test_eleven_alphas_are_logged(bmta):
    values = bmta.log_values()
    assert list(values) == [f"alpha_{i:02d}" for i in range(1, 12)] + ["alpha_mean"]
    assert all(v == pytest.approx(0.622459, abs=1e-6) for v in values.values())
    assert build("bmta", alpha_init=0.0).log_values()["alpha_11"] == 0.5


@pytest.mark.parametrize("decay", [True, False])
def test_alpha_decay_option_reaches_the_optimizer(decay):
    network = build("bmta", alpha_decay=decay)
    groups = parameter_groups(network, 0.05, ())
    decayed = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
    alphas = [a.alpha for a in network.attention_blocks()]
    assert len(alphas) == 11
    assert all((id(a) in decayed) is decay for a in alphas)
    assert sum(p.numel() for g in groups for p in g["params"]) == 13_115_813


def test_small_images_are_refused_where_the_papers_dropblock_cannot_work():
    with pytest.raises(UserError, match="at least 49 pixels"):
        build("bmta", size=32, dropblock="paper")
    assert registry().get("model", "bmta-paper-dropblock").accepts.min_size == 49
    with torch.no_grad():
        assert build("bmta", size=16).train()(torch.randn(2, 3, 16, 16)).shape == (2, 10)


def test_without_dropblock_and_dropout_training_is_deterministic():
    network = build("bmta", size=16, dropblock="none", dropout=0.0).train()
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(x), network(x))
        dropped = build("bmta", size=16).train()
        assert not torch.equal(dropped(x), dropped(x))


def test_recipes_of_the_author():
    recipe = registry().get("recipe", "bmta-author")
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.no_decay) == ("adamw", 1e-3, 0.05, ())
    assert (recipe.schedule, dict(recipe.schedule_options)) == ("cosine_restarts", {"first": 15, "multiply": 2})
    assert (recipe.batch, recipe.epochs, recipe.patience, recipe.precision) == (64, 80, 15, "fp16")
    assert dict(recipe.loss_options) == {"class_weights": "bmta-author"}
    assert dict(recipe.augmentation) == {
        "hflip": 0.5,
        "vflip": 0.5,
        "rotation": 90,
        "interpolation": "nearest",
        "color_jitter": [0.3, 0.3, 0.3, 0.1],
        "color_jitter_order": "random",
        "blur": [0.1, 2.0],
    }
    baseline, cbam = registry().get("recipe", "baseline-cnn-author"), registry().get("recipe", "cbam-cnn-author")
    assert (baseline.epochs, baseline.schedule, baseline.patience, baseline.weight_decay) == (30, "plateau", 10, 1e-4)
    assert (cbam.epochs, cbam.schedule, cbam.patience, cbam.weight_decay) == (40, "cosine", 12, 1e-4)
    for name in NAMES:
        for used in registry().get("model", name).recipes:
            assert registry().get("recipe", used)


def test_declaring_them_imports_nothing_heavy():
    code = (
        "import sys, rsbench_convnets as c, rsbench_timm as t;"
        "list(c.rsbench_models()), list(c.rsbench_recipes()), list(t.rsbench_models()), list(t.rsbench_recipes());"
        "from rsbench_timm.specs import resolve_timm, resolve_torchvision;"
        "assert resolve_timm('resnet18') and resolve_torchvision('squeezenet1_0');"
        "heavy = {'torch', 'torchvision', 'timm', 'numpy', 'pandas', 'scipy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
