from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rsbench_eurosat.datasets import CLASSES, COUNTS
from rsbench_eurosat.protocols import author_split

from rsbench.data import splits
from rsbench.data.images import decode_rgb
from rsbench.data.prepare import prepare
from rsbench.data.source import SampleError
from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import load_attribute

EUROSAT = registry().get("dataset", "eurosat")
MULTISPECTRAL = registry().get("dataset", "eurosat-ms")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    load_attribute(EUROSAT.fake)(folder, EUROSAT, per_class=3)
    return folder


def test_author_split_has_the_published_counts() -> None:
    """BMTA's split from class sizes alone: counts per part of all ten classes, and the first test indices."""
    labels = np.repeat(np.arange(10), COUNTS)
    parts = author_split([""] * 27_000, {}, sizes=[18_900, 4_050, 4_050], seed=42)
    assert parts["train"][:5].tolist() == [4542, 1781, 1366, 19963, 16858]
    assert parts["test"][:5].tolist() == [6824, 13600, 25556, 6040, 9978]
    assert np.bincount(labels[parts["train"]]).tolist() == [2062, 2127, 2097, 1728, 1770, 1392, 1733, 2096, 1743, 2152]
    assert np.bincount(labels[parts["val"]]).tolist() == [466, 431, 445, 381, 352, 309, 388, 454, 382, 442]
    assert np.bincount(labels[parts["test"]]).tolist() == [472, 442, 458, 391, 378, 299, 379, 450, 375, 406]
    with pytest.raises(UserError, match="incomplete"):
        author_split([""] * 100, {}, sizes=[18_900, 4_050, 4_050], seed=42)


def test_published_accuracies_are_whole_counts_of_the_split() -> None:
    reported = [95.55, 98.64, 98.25, 96.68, 98.68, 97.66, 94.46, 97.78, 96.27, 98.28]
    support = [472, 442, 458, 391, 378, 299, 379, 450, 375, 406]
    correct = [round(r / 100 * n) for r, n in zip(reported, support, strict=True)]
    assert [round(100 * k / n, 2) for k, n in zip(correct, support, strict=True)] == reported
    assert sum(correct) == 3938


def test_metrics_on_the_published_confusion_totals() -> None:
    """Accuracy .972346; kappa .9692 where the errors keep the margins."""
    from rsbench_metrics.confusion import CohenKappa, OverallAccuracy

    from rsbench.metrics.contract import MetricContext

    assert OverallAccuracy(MetricContext("c")).from_totals(np.array([3938.0]), 4050) == pytest.approx(
        0.972346, abs=1e-6
    )
    support = np.array([472, 442, 458, 391, 378, 299, 379, 450, 375, 406])
    correct = np.array([451, 436, 450, 378, 373, 292, 358, 440, 361, 399])
    matrix = np.diag(correct).astype(float)
    for k in range(10):
        matrix[k, (k + 1) % 10] += support[k] - correct[k]
    totals = np.concatenate([correct, support, matrix.sum(axis=0)]).astype(float)
    kappa = CohenKappa(MetricContext("c", CLASSES)).from_totals(totals, 4050)
    assert float(kappa) == pytest.approx(0.9692, abs=2e-4)


@pytest.mark.parametrize("layout", ["folder", "class folders", "zip", "folder with zip"])
def test_every_layout_gives_the_same_data(files: Path, tmp_path: Path, layout: str) -> None:
    expected = prepare(EUROSAT, files, tmp_path / "one").manifest["fingerprint"]
    source = files
    if layout == "class folders":
        source = files / "2750"
        for path in files.glob("*.txt"):
            shutil.copy(path, source)
    elif layout != "folder":
        source = tmp_path / "packed"
        source.mkdir()
        with zipfile.ZipFile(source / "EuroSAT.zip", "w") as archive:
            for path in sorted(files.rglob("*.jpg")):
                archive.write(path, path.relative_to(files))
        for path in files.glob("*.txt"):
            shutil.copy(path, source)
        source = source / "EuroSAT.zip" if layout == "zip" else source
    made = prepare(EUROSAT, source, tmp_path / "two")
    assert made.manifest["fingerprint"] == expected
    assert made.ids[:4] == ["AnnualCrop_1", "AnnualCrop_2", "AnnualCrop_3", "Forest_1"]


def test_official_lists(files: Path, tmp_path: Path) -> None:
    made = prepare(EUROSAT, files, tmp_path)
    split = splits.resolve(made, registry().get("protocol", "in-domain-60-20-20"))
    assert split.sizes == {"train": 10, "val": 10, "test": 10}
    assert {made.ids[i].rpartition("_")[2] for i in split.test} == {"1"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "\ufeff" + text.replace("\n", "\r\n") + "\r\n\r\n", None),
        (lambda text: text.replace("Forest_2.jpg", "2750\\Forest\\Forest_2.jpg"), None),
        (lambda text: text + "\nRiver_1.jpg", "lists train and test of .* both name River_1.jpg"),
        (lambda text: text + "\nRiver_99.jpg", "name River_99.jpg, of which there is no image"),
        (lambda text: text.replace("Forest_2.jpg", ""), r"No list of .* names 2750/Forest/Forest_2\.jpg"),
        (lambda text: "\udcff" + text, "line 1 is not UTF-8 text"),
    ],
)
def test_lists_that_do_not_fit_the_images_are_refused(
    files: Path, tmp_path: Path, change: Callable[[str], str], said: str | None
) -> None:
    path = files / "eurosat-train.txt"
    path.write_bytes(change(path.read_text()).encode(errors="surrogateescape"))
    if said:
        with pytest.raises(UserError, match=said):
            prepare(EUROSAT, files, tmp_path)
        return
    made = prepare(EUROSAT, files, tmp_path)
    assert splits.resolve(made, registry().get("protocol", "in-domain-60-20-20")).sizes["train"] == 10


def test_neither_folders_above_classes_nor_extensions_move_an_image(files: Path, tmp_path: Path) -> None:
    """A split that counts by position gets the same images from train and test folders as from one."""
    plain = prepare(EUROSAT, files, tmp_path / "one")
    parted = tmp_path / "parted"
    for k, path in enumerate(sorted((files / "2750").rglob("*.jpg"))):
        folder = parted / ("train", "test")[k % 2] / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f"{path.stem}{('.jpg', '.JPG', '.jpeg')[k % 3]}")
    (parted / ".Trash-0" / "Forest").mkdir(parents=True)
    shutil.copy(path, parted / ".Trash-0" / "Forest" / "Forest_9.jpg")
    for path in files.glob("*.txt"):
        shutil.copy(path, parted)
    assert prepare(EUROSAT, parted, tmp_path / "two").manifest["fingerprint"] == plain.manifest["fingerprint"]
    shutil.copy(files / "2750/Forest/Forest_1.jpg", parted / "test/Forest/Forest_2.jpg")
    with pytest.raises(UserError, match="two files for 'Forest_2' that differ"):
        prepare(EUROSAT, parted, tmp_path / "three")


def test_without_lists_the_official_protocol_says_what_to_do(files: Path, tmp_path: Path) -> None:
    (files / "eurosat-val.txt").unlink()
    made = prepare(EUROSAT, files, tmp_path)
    with pytest.raises(UserError, match="split lists were missing"):
        splits.resolve(made, registry().get("protocol", "in-domain-60-20-20"))


def test_missing_and_empty_class_folders(files: Path, tmp_path: Path) -> None:
    shutil.rmtree(files / "2750" / "River")
    (files / "2750" / "River").mkdir()
    shutil.rmtree(files / "2750" / "Forest")
    with pytest.raises(UserError, match="no images of class Forest, River"):
        prepare(EUROSAT, files, tmp_path)
    with pytest.raises(UserError, match="No EuroSAT images"):
        prepare(EUROSAT, files / "2750" / "Pasture", tmp_path / "x")


def test_truncated_jpeg_is_named(files: Path, tmp_path: Path) -> None:
    path = files / "2750" / "Highway" / "Highway_2.jpg"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(UserError, match=r"1 image of 'eurosat' .* 2750/Highway/Highway_2.jpg .*truncated"):
        prepare(EUROSAT, files, tmp_path)
    assert not list((tmp_path / "prepared").glob("*/complete"))


def test_damaged_archive(tmp_path: Path) -> None:
    (tmp_path / "EuroSAT.zip").write_bytes(b"PK not a zip")
    with pytest.raises(UserError, match="not a readable zip"):
        prepare(EUROSAT, tmp_path, tmp_path / "root")


def test_wrong_size_is_named(files: Path, tmp_path: Path) -> None:
    Image.new("RGB", (32, 64)).save(files / "2750" / "River" / "River_1.jpg")
    with pytest.raises(UserError, match=r"River_1.jpg is 32x64 pixels"):
        prepare(EUROSAT, files, tmp_path)


def test_grayscale_decodes_and_garbage_does_not() -> None:
    stream = io.BytesIO()
    Image.new("L", (8, 8), 77).save(stream, "JPEG")
    assert decode_rgb(stream.getvalue(), "x").shape == (8, 8, 3)
    with pytest.raises(SampleError, match="x cannot be read as an image"):
        decode_rgb(b"\xff\xd8 nothing \xff\xd9", "x")


@pytest.mark.real_data
def test_real_pixels_equal_pillows(real_data: Path) -> None:
    with zipfile.ZipFile(real_data / "eurosat" / "EuroSAT.zip") as archive:
        for name in archive.namelist()[::700]:
            data = archive.read(name)
            assert np.array_equal(decode_rgb(data, name), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.real_data
def test_real_set(real_data: Path, tmp_path: Path) -> None:
    made = prepare(EUROSAT, real_data / "eurosat", tmp_path)
    assert made.images.shape == (27_000, 3, 64, 64)
    assert np.bincount(made.labels).tolist() == list(COUNTS)
    sample = made.images[::9].astype(np.float64) / 255
    assert sample.mean((0, 2, 3)) == pytest.approx([0.3444, 0.3803, 0.4078], abs=0.002)
    assert sample.std((0, 2, 3)) == pytest.approx([0.2027, 0.1369, 0.1156], abs=0.002)
    sizes = {
        "in-domain-60-20-20": (16_200, 5_400, 5_400),
        "bmta-70-15-15": (18_900, 4_050, 4_050),
        "helber-80-20": (21_600, 0, 5_400),
        "focal-50-50": (12_150, 1_350, 13_500),
    }
    for name, expected in sizes.items():
        split = splits.resolve(made, registry().get("protocol", name))
        assert tuple(split.sizes.values()) == expected
    halves = np.bincount(made.labels[split.test]).tolist()
    assert sorted(set(halves)) == [1000, 1250, 1500]


@pytest.mark.real_data
def test_real_multispectral_tiles_equal_torchgeo(real_data: Path, tmp_path: Path) -> None:
    from torchgeo.datasets import EuroSAT

    with zipfile.ZipFile(real_data / "eurosat_ms" / "EuroSATallBands_5.zip") as archive:
        archive.extractall(tmp_path / "ms")
        names = [Path(n).with_suffix(".jpg").name for n in archive.namelist()]
    for part, listed in {"train": names, "val": [], "test": []}.items():
        (tmp_path / "ms" / f"eurosat-{part}.txt").write_text("\n".join(listed))
    made = prepare(MULTISPECTRAL, tmp_path / "ms", tmp_path)
    assert made.images.shape == (5, 13, 64, 64)
    assert made.images.dtype == np.uint16
    theirs = EuroSAT(root=str(tmp_path / "ms"), split="train")
    order = {Path(p).stem: i for i, (p, _) in enumerate(theirs.samples)}
    for i, name in enumerate(made.ids):
        assert np.array_equal(made.images[i].astype(np.float32), theirs[order[name]]["image"].numpy())
    assert [b["name"] for b in made.manifest["bands"]] == list(EuroSAT.all_band_names)


def test_multispectral_keeps_the_largest_values(tmp_path: Path) -> None:
    load_attribute(MULTISPECTRAL.fake)(tmp_path / "ms", MULTISPECTRAL, per_class=3)
    made = prepare(MULTISPECTRAL, tmp_path / "ms", tmp_path)
    assert made.images[:, 0, 0, 0].tolist() == [65535] * 30
    assert splits.resolve(made, registry().get("protocol", "ms-in-domain-60-20-20")).sizes["test"] == 10


def torchgeo_eurosat(root: Path, tiles: dict[str, np.ndarray]) -> None:
    """Write tiles [H, W] as all 13 bands in torchgeo's layout, of each class the first for training and so on."""
    from torchgeo.datasets import EuroSAT

    for name, pixels in tiles.items():
        path = root / EuroSAT.base_dir / name.rpartition("_")[0] / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 13, "dtype": pixels.dtype.name}
        with rasterio.open(path, "w", **profile) as opened:
            opened.write(np.broadcast_to(pixels, (13, 64, 64)))
    for k, part in enumerate(("train", "val", "test"), 1):
        (root / f"eurosat-{part}.txt").write_text("\n".join(f"{n}.jpg" for n in tiles if n.endswith(f"_{k}")))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("first", "others", "stored"),
    [(200, 1900, "uint16"), (1900, 200, "uint16"), (200, 255, "uint8"), (0.0, 0.25, "float32")],
)
def test_no_single_image_decides_the_type(tmp_path: Path, first: float, others: float, stored: str) -> None:
    kind = np.uint16 if isinstance(first, int) else np.float32
    values = {f"{c}_{k}": first if (c, k) == ("Forest", 1) else others for c in ("Forest", "River") for k in (1, 2, 3)}
    torchgeo_eurosat(tmp_path / "files", {n: np.full((64, 64), v, kind) for n, v in values.items()})
    made = prepare(registry().get("dataset", "torchgeo:EuroSAT"), tmp_path / "files", tmp_path)
    assert made.images.dtype == stored
    assert {i.partition("/")[2]: v for i, v in zip(made.ids, made.images[:, 7, 5, 5].tolist(), strict=True)} == {
        f"{n}.tif": v for n, v in values.items()
    }


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_any_torchgeo_dataset(tmp_path: Path) -> None:
    """UC Merced in torchgeo's layout: class folders of TIFFs and split lists, two images of another size."""
    from torchgeo.datasets import UCMerced

    rng = np.random.default_rng(0)
    names = []
    for k, name in enumerate(("agricultural", "airplane", "beach")):
        folder = tmp_path / "files" / UCMerced.base_dir / name
        folder.mkdir(parents=True)
        for n in range(6):
            size = (250, 256) if (k, n) in ((0, 0), (1, 1)) else (256, 256)
            Image.fromarray(rng.integers(0, 255, (*size, 3)).astype(np.uint8)).save(folder / f"{name}{n:02d}.tif")
            names.append(f"{name}{n:02d}.tif")
    for i, part in enumerate(("train", "val", "test")):
        (tmp_path / "files" / f"uc_merced-{part}.txt").write_text("\n".join(names[i::3]))
    spec = registry().get("dataset", "torchgeo:UCMerced")
    made = prepare(spec, tmp_path / "files", tmp_path)
    assert made.images.shape == (18, 3, 256, 256)
    assert made.images.dtype == np.uint8
    assert made.manifest["classes"][:3] == ["agricultural", "airplane", "beach"]
    split = splits.resolve(made, registry().get("protocol", "official-split"))
    assert split.sizes == {"train": 6, "val": 6, "test": 6}
    assert all("/" in i for i in made.ids)
    deep = tmp_path / "files" / UCMerced.base_dir / "beach" / "beach03.tif"
    with rasterio.open(deep, "w", driver="GTiff", count=3, height=256, width=256, dtype="uint16") as opened:
        opened.write(np.ones((3, 256, 256), np.uint16))
    with pytest.raises(UserError, match=r"1 image of 'torchgeo:UCMerced' .* beach03\.tif .* 8 bits"):
        prepare(spec, tmp_path / "files", tmp_path, force=True)


def test_unknown_torchgeo_dataset_suggests() -> None:
    with pytest.raises(UserError, match="torchgeo:UCMerced"):
        registry().get("dataset", "torchgeo:UCMerceed")
