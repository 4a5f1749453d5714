"""Image encoders: whole networks of timm and torchvision without their heads, with weights that must fit."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from rsbench_timm.encoders import IMAGENET_MEAN, IMAGENET_STD, grid_encoder, vector_encoder

from rsbench.errors import UserError
from rsbench.tasks.context import ModelContext

CONTEXT = ModelContext(task="captioning", channels=3, size=64, classes=())


def images(count: int = 2, size: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("backbone", "strides"),
    [("torchvision:squeezenet1_0", (8, 16)), ("torchvision:resnet18", (16, 32)), ("timm:test_resnet", (16, 32))],
)
def test_encoders_give_the_last_maps_with_their_widths(backbone, strides):
    encoder = grid_encoder(CONTEXT, backbone, maps=2)
    maps = encoder(images(2, 128))
    assert tuple(m.shape[1] for m in maps) == encoder.widths
    assert tuple(2 ** round(math.log2(128 / m.shape[3])) for m in maps) == strides
    assert not any(m.requires_grad for m in maps)


def test_trunks_are_the_libraries_networks_without_their_heads(tmp_path):
    from torchvision import models

    torch.manual_seed(0)
    whole = models.googlenet(weights=None, init_weights=True).eval()
    path = tmp_path / "googlenet.pt"
    torch.save(whole.state_dict(), path)
    whole.transform_input = True  # what its weights expect
    shown = images(2)
    found = []
    whole.inception4e.register_forward_hook(lambda *call: found.append(call[2]))
    whole.inception5b.register_forward_hook(lambda *call: found.append(call[2]))
    with torch.no_grad():
        whole(shown)
        maps = grid_encoder(CONTEXT, "torchvision:googlenet", str(path), maps=2)(shown)
        vector = vector_encoder(CONTEXT, "torchvision:googlenet", str(path)).vectors(shown)
    for ours, theirs in zip(maps, found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(vector, found[1].mean((2, 3)), atol=1e-5, rtol=1e-4)


def test_weights_that_do_not_fit_and_unknown_backbones_are_refused(tmp_path):
    from safetensors.torch import save_file
    from torchvision import models

    state = models.squeezenet1_0(num_classes=7).state_dict()
    path = tmp_path / "seven.safetensors"
    save_file(state, path)
    backbone = "torchvision:squeezenet1_0"
    encoder = grid_encoder(CONTEXT, backbone, str(path))  # the classifier may be another one
    own = {n.removeprefix("trunk.layers."): t for n, t in encoder.state_dict().items()}
    assert all(torch.equal(t, state[f"features.{n}"]) for n, t in own.items())
    with pytest.raises(UserError, match="do not fit"):
        grid_encoder(CONTEXT, "torchvision:squeezenet1_1", str(path))
    state.pop("features.3.squeeze.weight")
    save_file(state, path)
    with pytest.raises(UserError, match=r"features\.3\.squeeze\.weight is missing"):
        grid_encoder(CONTEXT, backbone, str(path))
    save_file(state | {"odd": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="and 1 more"):
        grid_encoder(CONTEXT, backbone, str(path))
    with pytest.raises(UserError, match="no weights file"):
        grid_encoder(CONTEXT, backbone, str(tmp_path / "absent.npz"))
    for wrong in ("resnet18", "timm:nothing", "torchvision:vit_b_16"):
        with pytest.raises(UserError):
            grid_encoder(CONTEXT, wrong)


def test_images_are_resized_inside_the_model():
    small, resized = (grid_encoder(CONTEXT, "timm:test_resnet", input_size=n) for n in (0, 96))
    resized.load_state_dict(small.state_dict())
    shown = images(2, 64)
    larger = F.interpolate(shown, (96, 96), mode="bilinear")
    torch.testing.assert_close(resized(shown)[0], small(larger)[0])


@pytest.mark.parametrize(("backbone", "half"), [("timm:tf_efficientnet_lite0", True), ("timm:resnet10t", False)])
def test_images_are_normalized_as_the_backbone_wants_wherever_its_weights_come_from(backbone, half, tmp_path):
    """A network is built again with the weights that a run kept, and not with those that it started from."""
    raw = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    encoder = grid_encoder(CONTEXT, backbone)
    wanted = encoder.trunk((raw - 0.5) / 0.5 if half else (raw - mean) / std)
    torch.testing.assert_close(encoder((raw - mean) / std)[-1], wanted[-1], atol=1e-4, rtol=1e-4)
