"""The families timm:* and torchvision:*, their weights, and the two named systems."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rsbench.engine.training.trainer import freeze
from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.context import ModelContext


def build(name: str, *, size: int = 64, channels: int = 3, classes: int = 10, **options: object) -> nn.Module:
    torch.manual_seed(0)
    spec = registry().get("model", name)
    labels = tuple(f"c{i}" for i in range(classes))
    context = ModelContext(task="classification", channels=channels, size=size, classes=labels)
    defaults = {k: o.default for k, o in spec.options.items()}
    return load_attribute(spec.factory)(context, **(defaults | options))


def images(size: int = 64, channels: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def logits(network: nn.Module, size: int = 64) -> torch.Tensor:
    return network.eval()(images(size))


def timms_own(pattern: str = "") -> list[str]:
    """What timm itself has; other tests register models of theirs."""
    from timm.models import list_models, model_entrypoint

    return sorted(name for name in list_models(pattern) if model_entrypoint(name).__module__.startswith("timm."))


def test_names_read_from_the_source_are_those_of_the_libraries():
    from rsbench_timm.specs import timm_names, torchvision_names
    from torchvision import models

    assert timm_names() == timms_own()
    assert torchvision_names() == sorted(models.list_models(module=models))
    assert timm_names("resnet18*") == timms_own("resnet18*")


def test_wrong_names_are_answered_with_near_ones():
    with pytest.raises(UserError, match="timm:resnet18"):
        registry().get("model", "timm:resnt18")
    with pytest.raises(UserError, match="torchvision:squeezenet1_0"):
        registry().get("model", "torchvision:squeezenet1_00")
    with pytest.raises(UserError, match=r"no weights 'resnet18.tv_in1'.*'resnet18.tv_in1k'"):
        build("timm:resnet18.tv_in1")
    with pytest.raises(UserError):
        registry().get("model", "torchvision:resnet18.tv_in1k")


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("timm:resnet18", 13),
        ("timm:vit_tiny_patch16_224", 3),
        ("timm:swin_tiny_patch4_window7_224", 3),
        ("timm:mobilenetv3_small_050.lamb_in1k", 4),
        ("torchvision:squeezenet1_0", 3),
        ("torchvision:vit_b_16", 3),
        ("torchvision:googlenet", 3),
    ],
)
def test_backbones_give_logits_at_64_pixels_in_training(name, channels):
    network = build(name, channels=channels, classes=7)
    assert network.training
    assert network(images(channels=channels)).shape == (2, 7)


def test_settings_that_cannot_be_are_one_sentence():
    with pytest.raises(UserError, match="does not work for images of 64 pixels"):
        build("timm:inception_v3")
    with pytest.raises(UserError, match="drop_path_rate"):
        build("timm:vgg11", drop_path_rate=0.1)
    with pytest.raises(UserError, match="takes 3 bands, not 13"):
        build("torchvision:resnet18", channels=13)
    assert build("timm:resnet18", drop_rate=0.3, drop_path_rate=0.1).drop_rate == 0.3
    assert [m.p for m in build("torchvision:squeezenet1_0", drop_rate=0.2).modules() if isinstance(m, nn.Dropout)] == [
        0.2
    ]


def test_input_size_resizes_inside_the_model():
    plain, larger = build("timm:resnet18"), build("timm:resnet18", input_size=96)
    resized = nn.functional.interpolate(images(), size=(96, 96), mode="bilinear")
    with torch.no_grad():
        torch.testing.assert_close(larger.eval()(images()), plain.eval()(resized))
    assert type(build("timm:resnet18", input_size=64)) is type(plain)
    assert build("timm:inception_v3", input_size=96).eval()(images()).shape == (2, 10)


def test_weights_made_for_other_statistics_get_them():
    """The engine gives (x - m) / s with ImageNet's m and s; the network wants another mean and deviation."""
    from rsbench_timm.backbones import Adapted

    raw = torch.rand(2, 3, 4, 4)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    given = (raw - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    adapted = Adapted(nn.Identity(), mean=(0.5, 0.4, 0.3), std=(0.5, 0.25, 0.2))
    expected = (raw - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 0.25, 0.2]).view(3, 1, 1)
    torch.testing.assert_close(adapted(given), expected)
    assert adapted.state_dict() == {}


def test_adapted_network_keeps_its_exemptions_from_decay():
    names = build("timm:vit_tiny_patch16_224", input_size=32).no_weight_decay()
    assert {"network.pos_embed", "network.cls_token"} <= names


@pytest.mark.parametrize(
    "name",
    [
        "timm:resnet18",
        "timm:mobilenetv3_small_050",
        "timm:xception41",
        "torchvision:squeezenet1_0",
        "torchvision:vit_b_32",
    ],
)
def test_head_pattern_of_the_recipes_finds_the_classifier(name):
    network = build(name, size=96)
    pattern = registry().get("recipe", "finetune").phases[0].train_only
    assert pattern == registry().get("recipe", "resnet50-finetune").phases[0].train_only
    freeze(network, pattern)
    trained = [n for n, p in network.named_parameters() if p.requires_grad]
    assert any(p.shape[0] == 10 for n, p in network.named_parameters() if n in trained)
    assert len(trained) < len(list(network.parameters())) / 2


def test_head_pattern_covers_every_classifier_that_timm_declares():
    import timm

    pattern = registry().get("recipe", "finetune").phases[0].train_only
    for name in timms_own():
        declared = timm.get_pretrained_cfg(name).classifier or ()
        for classifier in (declared,) if isinstance(declared, str) else declared:
            assert re.search(pattern, f"{classifier}.weight"), (name, classifier)


def _save(state: dict[str, torch.Tensor], path) -> str:
    if path.suffix == ".npz":
        np.savez(path, **{k: v.numpy() for k, v in state.items()})
    elif path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, path)
    return str(path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt", ".pth"])
def test_weights_from_a_file(tmp_path, suffix):
    """All tensors but the classifier's are the file's; with the same classes the classifier's are, too."""
    other = build("timm:resnet18", classes=5)
    for p in other.parameters():
        nn.init.normal_(p, std=0.05)
    state = {k: v for k, v in other.state_dict().items() if suffix != ".npz" or "num_batches" not in k}
    file = _save(state, tmp_path / f"w{suffix}")
    loaded = build("timm:resnet18", weights=file).state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in state.items() if not k.startswith("fc."))
    assert loaded["fc.weight"].shape == (10, 512)
    torch.testing.assert_close(logits(build("timm:resnet18", weights=file, classes=5)), logits(other))


def test_checkpoint_of_a_resized_network_is_taken_up(tmp_path):
    trained = build("timm:resnet18", input_size=96)
    file = _save(trained.state_dict(), tmp_path / "w.safetensors")
    assert torch.equal(logits(build("timm:resnet18", input_size=96, weights=file)), logits(trained))


def test_weights_that_do_not_fit_are_refused(tmp_path):
    state = build("timm:resnet18").state_dict()
    without = _save({k: v for k, v in state.items() if k != "layer1.0.conv1.weight"}, tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"a.npz does not fit ResNet: missing layer1.0.conv1.weight\."):
        build("timm:resnet18", weights=without)
    more = _save(state | {"neck.weight": torch.zeros(3)}, tmp_path / "b.safetensors")
    with pytest.raises(UserError, match=r"unexpected neck.weight\."):
        build("timm:resnet18", weights=more)
    with pytest.raises(
        UserError, match=r"another shape conv1.weight \(64x3x7x7 in the file, 64x4x7x7 in the network\)\."
    ):
        build("timm:resnet18", channels=4, weights=_save(state, tmp_path / "c.npz"))
    strange = _save({"a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "d.npz")
    with pytest.raises(UserError, match=r"missing conv1.weight, .* and \d+ more; unexpected a, b"):
        build("timm:resnet18", weights=strange)


def test_files_that_are_no_weights_are_refused(tmp_path):
    with pytest.raises(UserError, match="There is no weights file"):
        build("timm:resnet18", weights=str(tmp_path / "none.pt"))
    (tmp_path / "w.onnx").write_bytes(b"")
    with pytest.raises(UserError, match="cannot be read as weights"):
        build("timm:resnet18", weights=str(tmp_path / "w.onnx"))
    for name in ("w.npz", "w.safetensors", "w.pt"):
        (tmp_path / name).write_bytes(b"damaged")
        with pytest.raises(UserError, match="cannot be read as weights"):
            build("timm:resnet18", weights=str(tmp_path / name))


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self):
        return open, (self.target, "w")


def test_a_torch_file_cannot_run_code(tmp_path):
    torch.save({"x": Payload(str(tmp_path / "trace"))}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="cannot be read as weights"):
        build("timm:resnet18", weights=str(tmp_path / "w.pt"))
    assert not (tmp_path / "trace").exists()


@pytest.mark.real_data
def test_real_squeezenet_is_the_same_in_every_format(real_data, tmp_path):
    """ImageNet's SqueezeNet as .npz, .safetensors and .pt gives the same outputs; with 1000 classes, its own head."""
    source = real_data / "weights" / "squeezenet1_0_imagenet_tvnorm.npz"
    with np.load(source) as archive:
        state = {k: torch.from_numpy(archive[k]) for k in archive.files}
    files = [str(source)] + [_save(state, tmp_path / f"w{suffix}") for suffix in (".safetensors", ".pt")]
    outputs = [logits(build("torchvision:squeezenet1_0", weights=f)) for f in files]
    assert outputs[0].shape == (2, 10)
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
    assert not torch.equal(outputs[0], logits(build("torchvision:squeezenet1_0")))
    whole = build("torchvision:squeezenet1_0", classes=1000, weights=str(source)).state_dict()
    assert whole.keys() == state.keys()
    assert all(torch.equal(whole[k], v) for k, v in state.items())
    with pytest.raises(UserError, match="does not fit SqueezeNet"):
        build("torchvision:squeezenet1_1", weights=str(source))


def test_download_without_a_network_is_one_sentence(monkeypatch, tmp_path):
    """No retries, no partial model: the sentence names both ways out."""
    from rsbench_timm import hub

    monkeypatch.setattr(hub, "_reachable", lambda url: False)
    monkeypatch.setattr(
        "torch.hub.load_state_dict_from_url", lambda *a, **k: (_ for _ in ()).throw(OSError("no route"))
    )
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", torch.hub.load_state_dict_from_url)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("resnet18-class-focal", "resnet50-finetuned"):
        context = ModelContext(
            task="classification", channels=3, size=64, classes=tuple("abc"), weights_dir=str(tmp_path)
        )
        with pytest.raises(UserError, match=r"cannot be downloaded .* local file .* weights=none\.") as caught:
            load_attribute(registry().get("model", name).factory)(context)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot be downloaded"):
        build("torchvision:squeezenet1_0", weights="imagenet")
    with pytest.raises(UserError, match="offers no pretrained weights"):
        build(_untrained(), weights="imagenet")


def _untrained() -> str:
    import timm

    return "timm:" + next(n for n in timm.list_models("resnet*") if not timm.get_pretrained_cfg(n).has_weights)


@pytest.mark.parametrize(("name", "count"), [("resnet18-class-focal", 11_181_642), ("resnet50-finetuned", 23_528_522)])
def test_named_systems(name, count):
    spec, network = registry().get("model", name), build(name, weights="none")
    assert sum(p.numel() for p in network.parameters()) == spec.params == count
    assert "reconstruction" in spec.tags
    assert spec.options["weights"].default == "imagenet"
    assert network(images()).shape == (2, 10)
    assert all(registry().get("recipe", r).reconstruction for r in spec.recipes)
    assert network.drop_rate == (0.25 if "focal" in name else 0.0)


def test_recipes_of_the_named_systems():
    for variant, name in (("multiplicative", "class-focal"), ("exponent", "class-focal-exponent")):
        recipe = registry().get("recipe", name)
        assert (recipe.optimizer, recipe.lr, recipe.batch, recipe.epochs) == ("adam", 6e-4, 64, 30)
        assert dict(recipe.loss_options) == {"gamma": 0.5, "variant": variant}
        assert dict(recipe.augmentation) == {"rotation": 20, "scale": [0.9, 1.1]}
    recipe = registry().get("recipe", "resnet50-finetune")
    head, whole = recipe.phases
    assert (head.epochs, head.overrides["lr"], recipe.optimizer_options["momentum"]) == (5, 0.01, 0.9)
    assert (whole.epochs, recipe.lr, recipe.lr * recipe.schedule_options["min_ratio"]) == (30, 1e-3, 1e-4)
    assert recipe.epochs == head.epochs + whole.epochs


def real_weights(real_data):
    return str(real_data / "weights" / "tf_efficientnet_lite0_imagenet.safetensors")


@torch.no_grad()
def test_a_network_gets_the_statistics_of_its_own_configuration_with_a_file_of_weights(real_data):
    """Mean and std .5 for this one: with ImageNet's it loses points, and nothing says so."""
    import timm

    name, file = "timm:tf_efficientnet_lite0", real_weights(real_data)
    raw = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    given = (raw - mean.view(3, 1, 1)) / std.view(3, 1, 1)  # what a run gives
    reference = timm.create_model("tf_efficientnet_lite0", num_classes=1000, checkpoint_path=file).eval()
    own, plain = (build(name, classes=1000, weights=file, normalization=kind).eval() for kind in ("own", "given"))
    torch.testing.assert_close(own(given), reference((raw - 0.5) / 0.5), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(plain(given), reference(given), atol=1e-4, rtol=1e-4)
    assert (own(given) - plain(given)).abs().max() > 0.1


def test_tags_of_pretrained_weights_are_those_of_timm():
    from rsbench_timm.specs import timm_names
    from timm.models import list_models

    known = {*list_models(pretrained=True)}
    found = {*timm_names("*.*")}
    assert len(known & found) > 0.9 * len({name for name in known if "." in name})
    assert "tf_efficientnet_lite0.in1k" in timm_names("tf_efficientnet_lite0.*")


@pytest.mark.slow
def test_the_wrong_twin_and_the_wrong_statistics_cost_points_on_real_images(real_data, tmp_path):
    from rsbench.data.prepare import prepare
    from rsbench.engine.run.run import execute
    from rsbench.plan import RunRequest, expand

    prepare(registry().get("dataset", "eurosat"), real_data / "eurosat", tmp_path)
    file, found = real_weights(real_data), []
    for name, options in (
        ("tf_efficientnet_lite0", {}),
        ("efficientnet_lite0", {}),
        ("tf_efficientnet_lite0", {"normalization": "given"}),
    ):
        model = (f"timm:{name}", {"weights": file, **options})
        how = {"device": "cpu", "threads": 1, "data_root": str(tmp_path), "out": str(tmp_path / "out")}
        request = RunRequest(
            models=(model,), dataset="eurosat", recipe="linear-probe", train_fraction=0.1, seeds=(0,), **how
        )
        record = execute(expand(request)[0], lambda event: None)
        found.append(record["metrics"]["overall_accuracy"]["value"])
    right, twin, other = found
    assert right > 0.89
    assert right > twin + 0.01
    assert right > other
