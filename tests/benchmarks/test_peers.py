"""The peers of the speed comparison: all see the same images, all train, and the table says what was measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.peers import curves, image_folder, networks
from benchmarks.peers.dataset import MEAN, STD, Selection, prepare_store, select
from benchmarks.peers.measure import Job, run
from benchmarks.peers.peer import PEERS, Setting
from benchmarks.peers.table import markdown, rows
from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import load_attribute

TRAIN, VAL, BATCH = 20, 10, 10
# Importing Lightning and torchgeo takes longer than all else here.
NAMES = [pytest.param(n, marks=pytest.mark.slow) if "lightning" in PEERS[n].needs else n for n in PEERS]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of made-up images with split lists, as EuroSAT's own."""
    folder = tmp_path_factory.mktemp("source")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder, spec)
    shutil.make_archive(str(folder / "EuroSAT"), "zip", folder, "2750")
    return folder


@pytest.fixture(scope="module")
def selection(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Selection:
    cache = tmp_path_factory.mktemp("cache")
    prepare_store(source, cache)
    return select(source, cache, TRAIN, VAL)


def skip_without(name: str) -> None:
    if PEERS[name].missing:
        pytest.skip(f"{name} needs {', '.join(PEERS[name].missing)}")


def unflipped(images: torch.Tensor) -> list[bytes]:
    """Pixels of each image as uint8, the flip of it that comes first: equal for all flips of an image."""
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (MEAN, STD))
    pixels = ((images * std + mean) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return [min(np.flip(p, axes).tobytes() for axes in ((), 1, 2, (1, 2))) for p in pixels]


@pytest.mark.parametrize("name", NAMES)
def test_an_epoch_has_every_image_once(selection: Selection, name: str) -> None:
    skip_without(name)
    peer = PEERS[name].load()(Setting(selection, batch=BATCH))
    seen = [image for images in peer.batches() for image in unflipped(images)]
    files = [np.asarray(Image.open(p)) for p in (selection.jpeg / "train").rglob("*.jpg")]
    mean, std = (np.array(x).reshape(3, 1, 1) for x in (MEAN, STD))
    stored = [torch.from_numpy((f.transpose(2, 0, 1) / 255 - mean) / std) for f in files]
    assert len(set(seen)) == TRAIN
    assert sorted(seen) == sorted(unflipped(torch.stack(stored)))


@pytest.mark.parametrize("name", NAMES)
def test_batches_are_flipped_and_shuffled(selection: Selection, name: str) -> None:
    skip_without(name)
    peer = PEERS[name].load()(Setting(selection, batch=BATCH))
    first, second = (torch.cat([b.clone() for b in peer.batches()]) for _ in range(2))
    assert unflipped(first) != unflipped(second)
    pixels = [{image.numpy().round(3).tobytes() for image in images} for images in (first, second)]
    assert len(pixels[0] & pixels[1]) < TRAIN


@pytest.mark.parametrize("name", NAMES)
def test_training_stops_when_told(selection: Selection, name: str) -> None:
    skip_without(name)
    accuracies: list[float] = []

    def after_epoch(accuracy: float) -> bool:
        accuracies.append(accuracy)
        return len(accuracies) == 2

    PEERS[name].load()(Setting(selection, batch=BATCH)).fit(networks.TINY, 5, after_epoch)
    assert len(accuracies) == 2
    assert all(0 <= a <= 1 and (a * VAL) == pytest.approx(round(a * VAL)) for a in accuracies)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_weights_at_first(selection: Selection, name: str) -> None:
    """With a learning rate of nothing, all peers validate the network that the seed gives."""
    skip_without(name)
    found: list[float] = []
    setting = Setting(selection, batch=BATCH, lr=0.0, seed=3)
    PEERS[name].load()(setting).fit(networks.TINY, 1, lambda accuracy: bool(found.append(accuracy)))
    model = networks.build(networks.TINY, 3, setting.layout).eval()
    with torch.inference_mode():
        right = sum(int((model(x).argmax(1) == y).sum()) for x, y in image_folder.loader(setting, "val"))
    assert found == [pytest.approx(right / VAL)]


@pytest.mark.parametrize("measure", ["data", "epoch", "accuracy"])
def test_measures(selection: Selection, measure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.measure.DATA_SECONDS", 0.0)
    threads = torch.get_num_threads()
    folders = (str(selection.root), str(selection.data_root))
    job = Job(measure, "pytorch", *folders, network=networks.TINY, batch=BATCH, epochs=2, target=0.0)
    result = run(job)
    torch.set_num_threads(threads)
    assert result["value"] > 0
    assert result["cpu_value"] > 0


def test_an_accuracy_that_is_not_reached_is_no_number(selection: Selection) -> None:
    folders = (str(selection.root), str(selection.data_root))
    job = Job("accuracy", "pytorch", *folders, network=networks.TINY, batch=BATCH, epochs=1, target=1.1)
    assert run(job)["value"] is None


def made(measure: str, peer: str, round_: int, value: float | None) -> dict[str, object]:
    job = {"measure": measure, "peer": peer, "workers": 0, "network": "net", "target": 0.8}
    return {"job": job, "round": round_, "value": value, "cpu_value": value}


def test_ratios_are_of_rounds_and_point_the_right_way() -> None:
    results = [made("data", "rsbench", n, v) for n, v in enumerate((100.0, 400.0, 300.0))]
    results += [made("data", "timm", n, v) for n, v in enumerate((10.0, 10.0, 10.0))]
    results += [made("epoch", "rsbench", 0, 2.0), made("epoch", "timm", 0, 7.0)]
    by = {(r.title, r.peer): r for r in rows(results)}
    data, epoch = by["data only, images/s", "timm"], by["epoch of net, s", "timm"]
    assert data.ratios == (10.0, 40.0, 30.0)
    assert epoch.ratios == (3.5,)
    assert by["data only, images/s", "rsbench"].median == 300.0
    assert "| 30x | 10x to 40x |" in markdown(results)


def test_a_round_that_did_not_get_there_leaves_no_median() -> None:
    text = markdown([made("accuracy", "rsbench", 0, 3.0), made("accuracy", "timm", 0, None)])
    assert "not reached" in text.splitlines()[-1]


def test_too_many_images_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ask for at most"):
        select(source, tmp_path, 10_000, VAL)


def test_a_plain_loop_trains_and_its_curves_are_compared(source: Path, tmp_path: Path) -> None:
    folder = source / "2750"
    one = [list(curves.fit(folder, seed, epochs=2)) for seed in (0, 0, 1)]
    assert one[0] == one[1] != one[2]  # a seed decides all
    assert all(0 <= epoch["val_accuracy"] <= 1 < epoch["train_loss"] for curve in one for epoch in curve)
    plain = {str(seed): [{"train_loss": 2.0 + seed / 10, "val_accuracy": 0.5}] for seed in range(5)}
    lower = {seed: [{"train_loss": curve[0]["train_loss"] - 1, "val_accuracy": 0.5}] for seed, curve in plain.items()}
    assert "cannot be told apart" in curves.markdown(plain, plain)
    found = curves.markdown(plain, lower)
    assert "| 1 | training loss | 2.2000 ± 0.1581 | 1.2000 ± 0.1581 | -1.0000 | [-1.2306, -0.7694] |" in found
    assert "the two differ" in found
