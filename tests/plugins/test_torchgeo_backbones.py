"""Backbones of torchgeo: what the table says of them is what torchgeo says, and images reach them as torchgeo's would."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from rsbench_torchgeo import table
from rsbench_torchgeo.bands import SENTINEL2, common_name, places
from rsbench_torchgeo.build import Banded, backbone
from rsbench_torchgeo.specs import known, members
from torchgeo.models import get_model, get_model_weights
from torchvision.transforms import v2

from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.tasks.context import ModelContext

MS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11", "B12", "B8A")  # EuroSAT's order
RGB = ("red", "green", "blue")
ARCHITECTURES = sorted({row["architecture"] for row in known().values()})


def context(bands: tuple[str, ...], unit: str, size: int = 64, **more: str | None) -> ModelContext:
    units = (unit,) * len(bands)
    return ModelContext("classification", len(bands), size, ("a", "b"), bands=bands, units=units, **more)  # type: ignore[arg-type]


def test_the_table_is_torchgeos() -> None:
    found = {row["name"]: row for row in table.rows()}
    shared = known().keys() & found.keys()
    assert {name: found[name] for name in shared} == {name: known()[name] for name in shared}
    assert len(shared) > 90  # another version has a few more or less
    assert len(known()) == 100


def test_what_a_list_says_of_them() -> None:
    spec = registry().get("model", "torchgeo:resnet50.sentinel2_all_moco")
    assert (spec.pretrained_on, spec.citation) == ("SSL4EO-S12", "https://arxiv.org/abs/2211.07044")
    assert spec.summary == "resnet50 for 13 bands of sentinel2 (s2_dn), moco."
    assert members("vit_small*dino") == ["vit_small_patch16_224.sentinel2_all_dino"]
    assert known()["resnet50.sentinel2_mi_ms_satlas"]["units"] == ["uint8"] * 3 + ["s2_dn"] * 6
    assert [known()[f"resnet50.sentinel1_{kind}"]["units"][0] for kind in ("all_moco", "grd_closp")] == ["db", "any"]


@pytest.mark.parametrize("name", ["B8A", "B08", "SR_B8", "b8"])
def test_a_band_has_one_name(name: str) -> None:
    assert common_name(name) == ("nir08" if name == "B8A" else "nir")
    assert len({*SENTINEL2.values()}) == 13


def test_landsats_bands_are_not_those_of_sentinel_2_of_the_same_number() -> None:
    numbers, picture = ("s2_dn",) * 13, ("uint8",) * 3
    oli = ("SR_B4", "SR_B5", "SR_B7")
    assert places(MS, numbers, "landsat_oli", oli) == [3, 12, 11]  # red, near infrared, short wave
    assert places(MS, ("landsat_dn",) * 13, "landsat_oli", oli) == [None] * 3  # whose B04 is it?
    assert places(RGB, picture, "landsat_tm", ("B3", "B1", "B4")) == [0, 2, None]
    assert places(("VV", "VH"), ("db", "db"), "sentinel1", ("VH", "VV")) == [1, 0]


@pytest.mark.parametrize(
    "name", ["resnet18.sentinel2_all_moco", "resnet50.sentinel2_all_softcon", "resnet18.sentinel2_rgb_seco"]
)
def test_a_network_sees_what_torchgeo_would_show_it(name: str) -> None:
    row = known()[name]
    unit = row["units"][0]
    bands = MS if unit == "s2_dn" else RGB
    drawn = np.random.default_rng(0).integers(0, 200, (2, len(bands), 64, 64))
    images = torch.from_numpy(drawn.astype(np.float32))
    made = backbone(context(bands, unit), backbone=name)
    assert isinstance(made, Banded)
    made.network = torch.nn.Identity()
    (weights,) = (w for w in get_model_weights(row["architecture"]) if w.name == row["weights"])
    steps = [step for step in weights.transforms.modules() if isinstance(step, v2.Normalize)]
    assert steps
    order = [0, 1, 2]
    if bands == MS:
        order = [MS.index({"B8a": "B8A"}.get(b, b if len(b) == 3 else "B0" + b[1:])) for b in row["bands"]]
    wanted = images[:, order]
    for step in steps:
        mean, std = (torch.as_tensor(v).float().view(-1, 1, 1) for v in (step.mean, step.std))
        wanted = (wanted - mean) / std
    assert made(images).allclose(wanted, rtol=1e-5, atol=1e-4)


def test_bands_that_lack() -> None:
    name = "resnet18.sentinel2_all_moco"
    with pytest.raises(UserError, match=r"takes B1, B5, B6, B7, B8, B8a, \.\.\. of sentinel2, which the data \(red, "):
        backbone(context(RGB, "s2_dn"), backbone=name)
    images = torch.full((1, 3, 64, 64), 5_000.0)
    for missing, left in (("zero", 0.0), ("mean", 0.0)):
        made = backbone(context(RGB, "s2_dn"), backbone=name, missing=missing)
        made.network = torch.nn.Identity()
        assert made(images)[0, :, 0, 0].tolist() == [left, 0.5, 0.5, 0.5] + [left] * 9
    softcon = {}
    for missing in ("zero", "mean"):
        made = backbone(context(RGB, "s2_dn"), backbone="resnet50.sentinel2_all_softcon", missing=missing)
        made.network = torch.nn.Identity()
        softcon[missing] = float(made(images)[0, 0, 0, 0])
    assert softcon == {"zero": pytest.approx(-1612.9 / 791.0), "mean": 0.0}


def test_values_of_another_unit_are_refused() -> None:
    with pytest.raises(UserError, match=r"was trained on red in s2_dn, and the data are in uint8: .*units=any"):
        backbone(context(RGB, "uint8"), backbone="resnet18.sentinel2_rgb_moco")
    assert backbone(context(RGB, "uint8"), backbone="resnet18.sentinel2_rgb_moco", units="any")
    with pytest.raises(UserError, match="red in uint8, and the data are in s2_dn"):
        backbone(context(MS, "s2_dn"), backbone="resnet50.sentinel2_si_rgb_satlas")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Address of a server of the files in ``tmp_path / "www"``."""
    (tmp_path / "www").mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def test_weights_are_downloaded_and_checked(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (weights,) = (w for w in get_model_weights("resnet18") if w.name == "SENTINEL2_RGB_MOCO")
    source = get_model("resnet18", weights=None, in_chans=3, num_classes=0).state_dict()
    path = tmp_path / "www" / "plain.pth"
    torch.save(source, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(weights.value, "url", f"{server}/resnet18-{digest}.pth")
    path.rename(path.with_name(f"resnet18-{digest}.pth"))
    place = context(RGB, "s2_dn", weights_dir=str(tmp_path / "hub"))
    made = backbone(place, backbone="resnet18.sentinel2_rgb_moco", weights="pretrained")
    own = made.network.state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(own[name], value) for name, value in source.items())
    assert own["fc.weight"].shape == (2, 512)
    (kept,) = (tmp_path / "hub").rglob("*.pth")
    local = backbone(place, backbone="resnet18.sentinel2_rgb_moco", weights=str(kept))
    assert torch.equal(local.network.conv1.weight, source["conv1.weight"])  # type: ignore[union-attr]
    monkeypatch.setattr(weights.value, "url", f"{server}/other-00000000.pth")
    (tmp_path / "www" / "other-00000000.pth").write_bytes(b"not these")
    with pytest.raises(UserError, match=r"weights of torchgeo:resnet18.sentinel2_rgb_moco cannot be downloaded"):
        backbone(place, backbone="resnet18.sentinel2_rgb_moco", weights="pretrained")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_backbone_takes_a_batch_of_its_bands(architecture: str) -> None:
    rows = {len(row["bands"]): row for row in known().values() if row["architecture"] == architecture}
    for count, row in rows.items():
        place = ModelContext("classification", count, 64, ("a", "b", "c"))
        made = backbone(place, backbone=row["name"], units="any").eval()
        with torch.inference_mode():
            assert made(torch.rand(1, count, 64, 64)).shape == (1, 3)


def test_the_table_is_in_order() -> None:
    assert json.loads(table.FILE.read_text()) == sorted(known().values(), key=lambda row: row["name"])
