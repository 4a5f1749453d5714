"""UCM-captions from its layouts, and every mistake in its files."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rsbench_ucm_captions.specs import CLASSES

from rsbench.data import splits
from rsbench.data.audit import audit
from rsbench.data.prepare import prepare
from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import load_attribute

UCM = registry().get("dataset", "ucm-captions")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ucm")
    load_attribute(UCM.fake)(folder, UCM, per_class=3)
    return folder


def test_prepared_images_sentences_and_labels(files: Path, tmp_path: Path) -> None:
    store = prepare(UCM, files, tmp_path)
    assert store.images.shape == (63, 3, 256, 256)
    assert store.ids[:4] == ["ucm-0001", "ucm-0002", "ucm-0003", "ucm-0101"]
    assert store.labels.tolist() == np.repeat(np.arange(21), 3).tolist()
    assert store.columns["sentences"][5][0] == "There is a airplane in the image ."
    with Image.open(files / "imgs" / "2.tif") as opened:
        assert np.array_equal(store.images[1], np.asarray(opened).transpose(2, 0, 1))
    with Image.open(files / "imgs" / "1.tif") as opened:
        assert opened.size == (256, 250)
    split = splits.resolve(store, registry().get("protocol", "ucm-captions-standard"))
    assert split.sizes == {"train": 21, "val": 21, "test": 21}
    report = audit(store, split)
    assert report["sentences"]["test_in_train"] == report["sentences"]["test"] == 105
    assert report["identical_images"] == 0


def test_archive_and_uc_merced_layout_give_the_same(files: Path, tmp_path: Path) -> None:
    plain = prepare(UCM, files, tmp_path / "plain")
    packed = tmp_path / "UCM_captions.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in files.rglob("*.*"):
            archive.write(path, f"UCM_captions/{path.relative_to(files)}")
    merced = tmp_path / "merced"
    (merced / "Images").mkdir(parents=True)
    shutil.copy(files / "dataset.json", merced)
    for path in (files / "imgs").iterdir():
        label, index = divmod(int(path.stem) - 1, 100)
        (merced / "Images" / CLASSES[label]).mkdir(exist_ok=True)
        shutil.copy(path, merced / "Images" / CLASSES[label] / f"{CLASSES[label]}{index:02d}.tif")
    for place in (packed, tmp_path, merced):
        assert (
            prepare(UCM, place, tmp_path / f"root-{place.name}").manifest["fingerprint"]
            == plain.manifest["fingerprint"]
        )


def first(content: dict[str, Any]) -> dict[str, Any]:
    return content["images"][0]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: c["images"].append(first(c)), "'1.tif' twice"),
        (lambda c: first(c).update(split="tain"), "'1.tif' in split 'tain'.*Did you mean 'train'"),
        (lambda c: first(c).update(split="restval"), "'restval', .* write 'train'"),
        (lambda c: first(c).update(filename="9" * 5000 + ".tif"), "'999.* is not called 1.tif"),
        (lambda c: first(c).update(split={"a": [1]}), "'1.tif' in split '{'a'"),
        (lambda c: c.update(images=None), "has no list 'images'"),
        (lambda c: first(c).update(sentences=[]), "no sentence for image '1.tif'"),
        (lambda c: first(c)["sentences"][2].update(raw="  "), "empty sentence, number 3 of image '1.tif'"),
        (lambda c: first(c)["sentences"][0].update(raw=" . ,"), "without words, ' . ,', number 1 of image '1.tif'"),
        (lambda c: first(c).update(filename="99.tif"), "'99.tif' is listed .* but is not in"),
        (lambda c: first(c).update(filename="x.tif"), "'x.tif' .* is not called"),
        (lambda c: c["images"].append({"split": "train"}), "without a filename, number 64"),
        (lambda c: c["images"].insert(1, None), "without a filename, number 2 "),
        (lambda c: first(c).update(filename=1), "without a filename, number 1 "),
        (lambda c: first(c).pop("split"), "'1.tif' in split 'None'"),
        (lambda c: first(c).update(sentences="There is a airplane ."), "no sentence for image '1.tif'"),
        (lambda c: first(c)["sentences"].append("a text"), "empty sentence, number 6 of image '1.tif'"),
        (lambda c: first(c)["sentences"][4].pop("raw"), "empty sentence, number 5 of image '1.tif'"),
    ],
)
def test_mistakes_in_the_list_are_named(
    files: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    shutil.copytree(files, tmp_path / "files")
    path = tmp_path / "files" / "dataset.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=named) as caught:
        prepare(UCM, tmp_path / "files", tmp_path)
    assert "\n" not in str(caught.value)


def test_damaged_files_are_named(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files, tmp_path / "files")
    path = tmp_path / "files" / "imgs" / "102.tif"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"102\.tif cannot be read"):
        prepare(UCM, tmp_path / "files", tmp_path)
    (tmp_path / "files" / "dataset.json").write_text('{"images": [')
    with pytest.raises(UserError, match="cannot be read as JSON: line 1"):
        prepare(UCM, tmp_path / "files", tmp_path)
    with pytest.raises(UserError, match=r"no dataset\.json"):
        prepare(UCM, tmp_path / "files" / "imgs", tmp_path)


def test_other_extensions_and_copies_are_read_and_other_pixels_are_not(files: Path, tmp_path: Path) -> None:
    plain = prepare(UCM, files, tmp_path / "plain").manifest["fingerprint"]
    copied = tmp_path / "files"
    shutil.copytree(files, copied)
    (copied / "backup").mkdir()
    shutil.copy(copied / "imgs" / "1.tif", copied / "backup")
    (copied / "imgs" / "2.tif").rename(copied / "imgs" / "2.TIFF")
    listed = (copied / "dataset.json").read_bytes()
    (copied / "dataset.json").write_bytes(b"\xef\xbb\xbf" + listed.replace(b"\n", b"\r\n"))
    assert prepare(UCM, copied, tmp_path / "copied").manifest["fingerprint"] == plain
    shutil.copy(copied / "imgs" / "3.tif", copied / "backup" / "1.tif")
    with pytest.raises(UserError, match=r"two files for '1' that differ: backup/1\.tif and imgs/1\.tif"):
        prepare(UCM, copied, tmp_path / "two")


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"images": "\\ud800"}', b'{"images": 1' + b"0" * 5000 + b"}"])
def test_no_list_ends_in_more_than_a_sentence(files: Path, tmp_path: Path, content: bytes) -> None:
    shutil.copytree(files, tmp_path / "files")
    (tmp_path / "files" / "dataset.json").write_bytes(content)
    with pytest.raises(UserError, match=r"dataset\.json cannot be read as JSON: "):
        prepare(UCM, tmp_path / "files", tmp_path)


@pytest.mark.real_data
def test_real_files(real_data: Path, tmp_path: Path) -> None:
    """Counts, the published split, the 44 odd sizes, and what test and training sentences share."""
    source = load_attribute(UCM.source)(real_data / "ucm_captions", UCM)
    assert len(source.image_ids) == 2100
    parts = np.array(source.columns["official_split"])
    assert {p: int((parts == p).sum()) for p in ("train", "val", "test")} == {"train": 1680, "val": 210, "test": 210}
    assert {len(s) for s in source.columns["sentences"]} == {5}
    known = {t for s, p in zip(source.columns["sentences"], parts, strict=True) if p == "train" for t in s}
    test = [t for s, p in zip(source.columns["sentences"], parts, strict=True) if p == "test" for t in s]
    assert sum(t in known for t in test) == 573
    out = np.zeros((4, 3, 256, 256), np.uint8)
    source.read(0, 4, out)
    assert (out.reshape(4, -1).std(1) > 10).all()
