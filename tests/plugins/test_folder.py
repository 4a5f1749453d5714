"""Folders, archives and lists of one's own images as datasets."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import rsbench_folder.source as folders
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rsbench_folder import listing, splits
from rsbench_folder.naming import cleaned, members, parse, resolve

from rsbench.data.prepare import prepare
from rsbench.data.store import PreparedStore, find
from rsbench.errors import NotPrepared, UserError
from rsbench.registry import registry
from rsbench.specs import DatasetSpec

LONG_AGO = time.time() - 3600
CLASSES = ("forest", "lake", "town")


def picture(path: Path, color: Sequence[int] = (10, 20, 30), size: tuple[int, int] = (16, 16), seed: int = 0) -> None:
    """Write a noisy image of a color, as if an hour ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([seed, *color]).integers(0, 20, (size[1], size[0], 3))
    Image.fromarray((noise + np.array(color)).astype(np.uint8)).save(path)
    os.utime(path, (LONG_AGO, LONG_AGO))


def class_folders(root: Path, each: int = 5, classes: Iterable[str] = CLASSES, ending: str = "png") -> Path:
    for k, name in enumerate(classes):
        for i in range(each):
            picture(root / name / f"{name}_{i}.{ending}", (60 * k, 200 - 60 * k, 90), seed=i)
    return root


def spec_of(path: Path | str, settings: str = "") -> DatasetSpec:
    found = resolve(f"{path}{settings}")
    assert found is not None
    return found


def read(path: Path | str, settings: str = "") -> folders.FolderSource:
    spec = spec_of(path, settings)
    return folders.source(Path(spec.place), spec)


def parts_of(source: folders.FolderSource) -> dict[str, list[str]]:
    return {
        part: [n for n, p in zip(source.image_ids, source.parts, strict=True) if p == part] for part in splits.PARTS
    }


def refusal(path: Path | str, settings: str = "") -> str:
    with pytest.raises(UserError) as caught:
        read(path, settings)
    text = str(caught.value)
    assert text.endswith((".", "?"))
    assert "\n" not in text
    return text


# Names


@pytest.mark.parametrize(
    ("text", "name"),
    [("fields", "fields"), ("my fields (2024)", "my-fields-2024"), ("Äcker", "Acker"), ("田", "data"), ("-x.", "x")],
)
def test_names_are_readable_and_allowed(text: str, name: str, tmp_path: Path) -> None:
    assert cleaned(text) == name
    assert spec_of(class_folders(tmp_path / text)).name == f"folder:{name}"


def test_settings_stand_after_the_path_and_paths_that_are_there_win(tmp_path: Path) -> None:
    assert parse("./a,size=64,seed=3") == ("./a", {"size": 64, "seed": 3})
    (tmp_path / "a,size=64").mkdir()
    assert parse(f"{tmp_path}/a,size=64") == (f"{tmp_path}/a,size=64", {})
    assert spec_of(tmp_path, ",name=my set").name == "folder:my-set"
    for wrong in (",size=0", ",size=x", ",task=regression", ",seed=-1", ",size=4,size=5"):
        with pytest.raises(UserError, match=wrong.split("=")[0].strip(",")):
            resolve(f"{tmp_path}{wrong}")
    with pytest.raises(UserError, match="'color' is no setting"):
        resolve("./fields,color=red")
    with pytest.raises(UserError, match="no folder or file"):
        resolve("./nowhere")


def test_paths_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rsbench.cli.complete import names

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("fields", "fires", "other", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "fi.zip").touch()
    (tmp_path / "fi.md").touch()
    assert names("dataset")("folder:./fi") == ["folder:./fi.zip", "folder:./fields/", "folder:./fires/"]
    assert members("~/o*") == ["~/other/"]


# Folders of classes


def test_folders_of_classes_are_split_by_a_seed(tmp_path: Path) -> None:
    source = read(class_folders(tmp_path / "a", each=10))
    assert (source.classes, source.shape, source.dtype) == (list(CLASSES), (3, 16, 16), "uint8")
    assert source.image_ids[0] == "forest/forest_0.png"
    assert {part: len(names) for part, names in parts_of(source).items()} == {"train": 18, "val": 6, "test": 6}
    other = read(tmp_path / "a", ",seed=1")
    assert parts_of(other) != parts_of(source)
    assert source.notes == ["30 images for classification, folders of classes, split 60/20/20 by seed 0"]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(0, 99), st.randoms())
def test_seeded_splits_are_disjoint_stratified_and_know_no_order(
    counts: list[int], seed: int, shuffled: random.Random
) -> None:
    ids = [f"{k}/{i}" for k, n in enumerate(counts) for i in range(n)]
    strata = [name.split("/")[0] for name in ids]
    made, _ = splits.complete(None, ids, strata, seed)
    for k, n in enumerate(counts):
        sizes = [sum(s == str(k) and p == part for s, p in zip(strata, made, strict=True)) for part in splits.PARTS]
        share = max((20 * n + 50) // 100, 1)
        expected = [n - 2 * share, share, share] if n > 2 else [1, 0, n - 1]
        assert sizes == expected
        assert sizes[0] >= 1
    order = list(range(len(ids)))
    shuffled.shuffle(order)
    again, _ = splits.complete(None, [ids[k] for k in order], [strata[k] for k in order], seed)
    assert dict(zip(ids, made, strict=True)) == {ids[k]: part for k, part in zip(order, again, strict=True)}
    more, _ = splits.complete(None, [*ids, "new/0"], [*strata, "new"], seed)  # other classes change nothing
    assert more[:-1] == made


@pytest.mark.parametrize(
    ("names", "sizes"),
    [(("train", "val", "test"), (9, 9, 9)), (("Training", "validation"), (6, 3, 9)), (("train", "test"), (6, 3, 9))],
)
def test_folders_of_splits_are_followed(tmp_path: Path, names: Sequence[str], sizes: Sequence[int]) -> None:
    for k, name in enumerate(names):
        for j, kind in enumerate(CLASSES):
            for i in range(3):
                picture(tmp_path / name / kind / f"{i}.jpg", (20 * j, 50 * k, 9), seed=i)
    source = read(tmp_path)
    assert {part: len(found) for part, found in parts_of(source).items()} == dict(zip(splits.PARTS, sizes, strict=True))
    said = source.notes[0]
    assert ("that for validation is the test" in said) == (len(names) == 2 and "test" not in names)
    assert ("a fifth of training" in said) == (len(names) == 2)


def test_split_lists_beside_class_folders_are_followed(tmp_path: Path) -> None:
    class_folders(tmp_path / "images", each=3)
    for part, i in (("train", 0), ("val", 1), ("test", 2)):
        (tmp_path / f"fields-{part}.txt").write_text("\n".join(f"{name}_{i}.tif" for name in CLASSES))
    assert parts_of(read(tmp_path))["val"] == [f"{name}/{name}_1.png" for name in CLASSES]
    (tmp_path / "fields-val.txt").write_text("forest_7.png\n")
    assert "names forest_7.png, of which there is no image" in refusal(tmp_path)
    (tmp_path / "fields-val.txt").write_text("forest_0.png\n")
    assert "forest/forest_0.png" in (said := refusal(tmp_path))
    assert "in two splits, train and val" in said


def test_clutter_is_not_seen_and_what_else_lies_there_is_named(tmp_path: Path) -> None:
    class_folders(tmp_path)
    for clutter in ("__MACOSX/forest/._forest_0.png", "forest/._forest_0.png", ".git/x/y.png", "forest/Thumbs.db"):
        path = tmp_path / clutter
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    picture(tmp_path / "overview.png")
    source = read(tmp_path)
    assert len(source.image_ids) == 15
    assert "without 1 that lie in none (overview.png)" in source.notes[0]


def test_an_archive_is_its_folder(tmp_path: Path) -> None:
    class_folders(tmp_path / "fields")
    with zipfile.ZipFile(tmp_path / "fields.zip", "w") as made:
        for path in (tmp_path / "fields").rglob("*.png"):
            made.write(path, f"fields/{path.relative_to(tmp_path / 'fields')}")
        made.writestr("__MACOSX/fields/forest/._forest_0.png", b"x")
    stores = [prepare(spec_of(p), None, tmp_path / "d") for p in (tmp_path / "fields", tmp_path / "fields.zip")]
    assert stores[0].path != stores[1].path
    assert stores[0].manifest["fingerprint"] == stores[1].manifest["fingerprint"]


# Lists


def csv(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("\n".join(",".join(map(str, r)) for r in [rows[0].keys(), *(row.values() for row in rows)]))
    return path


def test_a_list_of_labels_in_each_form_is_the_same_dataset(tmp_path: Path) -> None:
    import pandas as pd

    images = tmp_path / "images"
    rows: list[dict[str, object]] = []
    for i in range(12):
        picture(images / f"{i}.png", (20 * i, 9, 9))
        rows.append({"file_name": f"images/{i}.png", "label": 7 + 3 * (i % 2), "split": ["train", "test"][i % 3 == 0]})
    csv(tmp_path / "labels.csv", rows)
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "labels.json").write_text(json.dumps(rows))
    pd.DataFrame(rows).to_parquet(tmp_path / "labels.parquet")
    found = [read(tmp_path / f"labels.{ending}") for ending in ("csv", "jsonl", "json", "parquet")]
    assert all(source.columns == found[0].columns for source in found)
    assert found[0].classes == ["7", "10"]  # numbers in their order
    assert [len(names) for names in parts_of(found[0]).values()] == [6, 2, 4]
    assert "has several lists" in refusal(tmp_path)


def test_the_hubs_layout_of_metadata_in_folders_of_splits(tmp_path: Path) -> None:
    for part in ("train", "validation", "test"):
        rows = [{"file_name": f"{i}.png", "label": CLASSES[i % 3]} for i in range(6)]
        for i in range(6):
            picture(tmp_path / part / f"{i}.png", (40 * i, len(part), 9))
        if part == "test":
            (tmp_path / part / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
        else:
            csv(tmp_path / part / "metadata.csv", rows)
    source = read(tmp_path)
    assert {part: len(names) for part, names in parts_of(source).items()} == {"train": 6, "val": 6, "test": 6}
    assert source.image_ids[0] == "test/0.png"
    assert [source.classes[k] for k in source.columns["label"][:3]] == list(CLASSES)


def test_lists_called_by_their_split(tmp_path: Path) -> None:
    for part, color in (("train", 10), ("val", 60), ("test", 120)):
        rows = [{"image": f"{part}_{i}.png", "class": CLASSES[i % 2]} for i in range(4)]
        for i in range(4):
            picture(tmp_path / "all" / f"{part}_{i}.png", (color, 10 * i, 9))
        csv(tmp_path / f"{part}.csv", rows)
    assert parts_of(read(tmp_path))["test"] == [f"test_{i}.png" for i in range(4)]


def test_images_may_lie_elsewhere_and_paths_may_be_absolute(tmp_path: Path) -> None:
    class_folders(tmp_path / "pictures")
    paths = sorted((tmp_path / "pictures").rglob("*.png"))
    table = csv(tmp_path / "labels.csv", [{"path": p, "label": p.parent.name} for p in paths])
    assert read(table, f",images={tmp_path / 'pictures'}").image_ids[0] == "forest/forest_0.png"
    assert read(table).image_ids == [f"{p.parent.name}/{p.name}" for p in paths]


def test_captions_of_karpathy_and_of_json_lines_agree(tmp_path: Path) -> None:
    entries, lines = [], []
    for i in range(10):
        picture(tmp_path / "imgs" / f"{i}.tif", (20 * i, 9, 9))
        texts = [f"a field number {i}", f"there are {i} trees"]
        part = "test" if i > 7 else "restval" if i == 7 else "val" if i == 6 else "train"
        entries.append({"filename": f"{i}.tif", "split": part, "sentences": [{"raw": t, "tokens": []} for t in texts]})
        lines += [{"image": f"imgs/{i}.tif", "split": part, "caption": text} for text in texts]
    (tmp_path / "dataset.json").write_text(json.dumps({"images": entries, "dataset": "x"}))
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, lines)))
    one, other = read(tmp_path), read(tmp_path / "c.jsonl")
    assert one.columns == other.columns
    assert one.columns["sentences"][3] == ["a field number 3", "there are 3 trees"]
    assert [len(names) for names in parts_of(one).values()] == [7, 1, 2]
    assert one.tasks == ("captioning",)
    assert list(one.classes) == []


def test_questions_of_an_image_stay_in_one_part(tmp_path: Path) -> None:
    rows = []
    for i in range(10):
        picture(tmp_path / f"{i}.png", (20 * i, 9, 9))
        rows += [
            {"image": f"{i}.png", "question": "How many trees?", "answer": str(i % 3), "type": "count"},
            {
                "image": f"{i}.png",
                "question": "Is there water?",
                "answer": "Yes" if i % 2 else "no.",
                "type": "presence",
            },
        ]
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    store = prepare(spec_of(tmp_path), None, tmp_path / "d")
    assert store.manifest["classes"] == ["0", "1", "2", "no", "yes"]
    assert store.manifest["question_types"] == ["count", "presence"]
    assert store.manifest["tasks"] == ["vqa"]
    assert store.ids[:2] == ["0.png#1", "0.png#2"]
    part = dict(zip(store.ids, store.columns["official_split"], strict=True))
    assert all(part[f"{i}.png#1"] == part[f"{i}.png#2"] for i in range(10))
    from rsbench.tasks.task import get_task

    task = get_task("vqa")  # answers that are numbers are themselves, not the bins of RSVQA-LR
    references = task.references_in(store, np.arange(20))
    made = [{"id": name, "answer": entry["answer"]} for name, entry in references.items()]
    outcome = task.outcome_of(made, references, task.context(store.manifest))
    assert (outcome.predictions.answers == store.labels).all()


def test_the_task_is_found_and_can_be_forced(tmp_path: Path) -> None:
    for i in range(6):
        picture(tmp_path / f"{i}.png", (20 * i, 9, 9))
    csv(tmp_path / "metadata.csv", [{"file_name": f"{i}.png", "label": i % 2, "text": f"field {i}"} for i in range(6)])
    assert read(tmp_path).tasks == ("classification",)
    assert read(tmp_path, ",task=captioning").tasks == ("captioning",)
    assert "no list" in refusal(tmp_path, ",task=vqa")


# Images


def test_sizes_and_kinds_of_images(tmp_path: Path) -> None:
    class_folders(tmp_path / "a")
    picture(tmp_path / "a" / "lake" / "wide.JPEG", size=(20, 16))
    source = read(tmp_path / "a")
    assert source.shape == (3, 16, 16)  # that of most
    assert "are resized to 16x16 pixels; size=N after the path takes another side" in source.notes[1]
    assert read(tmp_path / "a", ",size=24").shape == (3, 24, 24)
    Image.new("L", (16, 16), 77).save(tmp_path / "a" / "lake" / "gray.PNG")
    out = np.empty((1, 3, 16, 16), np.uint8)
    source = read(tmp_path / "a")
    number = source.image_ids.index("lake/gray.PNG")
    source.read(number, number + 1, out)
    assert (out == 77).all()
    for i in range(6):
        picture(tmp_path / "b" / CLASSES[i % 2] / f"{i}.png", size=(30 + i, 20))
    assert read(tmp_path / "b").shape == (3, 224, 224)


@pytest.mark.parametrize("ending", ["tif", "png"])
def test_bands_of_16_bits_are_kept(tmp_path: Path, ending: str) -> None:
    import rasterio

    bands = 5 if ending == "tif" else 3
    values = np.random.default_rng(0).integers(0, 60000, (6, bands, 8, 8)).astype(np.uint16)
    for i, image in enumerate(values):
        path = tmp_path / CLASSES[i % 2] / f"{i}.{ending}"
        path.parent.mkdir(exist_ok=True)
        driver = {"tif": "GTiff", "png": "PNG"}[ending]
        with rasterio.open(path, "w", driver=driver, width=8, height=8, count=bands, dtype="uint16") as file:
            file.write(image)
        for extra in path.parent.glob("*.xml"):
            extra.unlink()
    source = read(tmp_path)
    assert (source.shape, source.dtype) == ((bands, 8, 8), "uint16")
    out = np.empty((6, *source.shape), np.uint16)
    source.read(0, 6, out)
    assert (out == values[[int(Path(n).stem) for n in source.image_ids]]).all()
    assert read(tmp_path, ",size=4").shape == (bands, 4, 4)
    picture(tmp_path / "forest" / "rgb.jpg")
    assert f"{bands} bands of uint16, forest/rgb.jpg has 3 bands of uint8" in refusal(tmp_path)


# Errors


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "There are no images" in refusal(empty)
    (empty / "x.webp").touch()
    assert "those such as x.webp cannot be" in refusal(empty)
    assert "in one folder, 'forest', which is one class only" in refusal(
        class_folders(tmp_path / "one" / "x", classes=["forest"]).parent
    )
    picture(tmp_path / "flat" / "a.png")
    assert "lie in no folder of a class" in refusal(tmp_path / "flat")
    for part, kinds in (("train", ["a", "b"]), ("test", ["a", "b", "c"])):
        for kind in kinds:
            picture(tmp_path / "missing" / part / kind / f"{part}{kind}.png", seed=ord(kind))
    assert "no training image of class c" in refusal(tmp_path / "missing")
    for part in ("train", "test"):
        picture(tmp_path / "copied" / part / "a" / "1.png", seed=1)
        picture(tmp_path / "copied" / part / "b" / "1.png", seed=len(part))
    assert refusal(tmp_path / "copied").startswith("test/a/1.png and train/a/1.png of ")
    class_folders(tmp_path / "beside" / "train")
    class_folders(tmp_path / "beside" / "test")
    picture(tmp_path / "beside" / "more" / "x.png")
    assert "beside more" in refusal(tmp_path / "beside")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"image": "0.png", "label": "a"}, {"image": "9.png", "label": "b"}], "names 9.png, of which there is no"),
        ([{"image": "0.png", "label": "a"}, {"image": "1.png", "label": ""}], "no label for 1.png"),
        ([{"image": "0.png", "label": "a"}, {"image": "0.png", "label": "b"}], "0.png of .* is listed twice"),
        (
            [{"image": "0.png", "label": "a", "split": p} for p in ("train", "test")],
            "0.png of .* is in two splits, train and test",
        ),
        ([{"image": "0.png", "label": "a", "split": "trian"}], "names split 'trian', .* Did you mean 'train'"),
        ([{"image": "0.png", "label": "a", "split": "test"}], "No image is for training"),
        ([{"image": "0.png", "caption": "?!"}], "no sentence with words in it for 0.png"),
        ([{"image": "0.png", "question": "Is it?", "answer": ""}], "no question or no answer for 0.png"),
        ([{"image": "", "label": "a"}], "row 1, names no image"),
        ([{"image": "0.png", "label": "a", "Label": "b"}], "has the columns 'label' and 'Label'"),
        ([{"image": "0.png", "x": "a"}], "no column for label, caption, or question and answer"),
    ],
)
def test_errors_of_lists(tmp_path: Path, rows: list[dict[str, str]], said: str) -> None:
    import re

    for i in range(2):
        picture(tmp_path / f"{i}.png", (9, 9, 50 * i))
    assert re.search(said, refusal(csv(tmp_path / "list.csv", rows)))


def test_a_column_may_begin_late(tmp_path: Path) -> None:
    """In JSON lines a row may be the first to name a split, however many come before it."""
    rows: list[dict[str, str]] = []
    for i in range(1_200):
        picture(tmp_path / f"{i}.png", (9, 9, i % 200))
        rows.append(
            {"image": f"{i}.png", "label": "ab"[i % 2]}
            | ({"split": "train" if i < 1_190 else "test"} if i > 1_100 else {})
        )
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read(tmp_path / "labels.jsonl")
    assert found.parts.count("test") == 10


def test_images_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    class_folders(tmp_path / "a", each=4)
    for i in range(2):
        data = (tmp_path / "a" / "lake" / f"lake_{i}.png").read_bytes()
        (tmp_path / "a" / "lake" / f"lake_{i}.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"2 images of 'folder:a' cannot be read: lake/lake_0.png .*; lake/lake_1.png"):
        prepare(spec_of(tmp_path / "a"), None, tmp_path / "d")
    for path in (tmp_path / "a").rglob("*.png"):
        path.write_bytes(b"no image")
    assert "No image of" in refusal(tmp_path / "a")


# Prepared data


def test_the_fingerprint_is_that_of_the_content_wherever_it_lies(tmp_path: Path) -> None:
    one = class_folders(tmp_path / "here" / "fields")
    other = Path(shutil.copytree(one, tmp_path / "there" / "fields"))
    stores = [prepare(spec_of(p), None, tmp_path / "d") for p in (one, other)]
    assert stores[0].path != stores[1].path
    assert stores[0].manifest["fingerprint"] == stores[1].manifest["fingerprint"]
    (other / "lake" / "lake_0.png").rename(other / "lake" / "lake_9.png")
    assert prepare(spec_of(other), None, tmp_path / "d").manifest["fingerprint"] != stores[0].manifest["fingerprint"]


def test_data_are_prepared_again_when_files_changed_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = class_folders(tmp_path / "fields")
    spec, root, told = spec_of(place), tmp_path / "d", list[str]()

    def prepared() -> PreparedStore:
        return prepare(spec, None, root, tell=told.append)

    first = prepared().manifest["fingerprint"]
    assert len(told) == 1
    assert prepared().manifest["fingerprint"] == first
    assert "written just before" in told[1]
    monkeypatch.setattr("rsbench.states.SETTLED_NS", -(10**18))  # as if files had been left alone for a while
    prepared()
    told.clear()
    assert prepared().manifest["fingerprint"] == first
    assert told == []
    (place / "notes.txt").write_text("of no account")
    assert prepared().manifest["fingerprint"] == first
    assert told == []
    picture(place / "lake" / "new.png", (1, 2, 3))
    assert len(prepared().image_ids) == 16
    assert "15 then, 16 now" in told[0]
    with pytest.raises(UserError, match="leave out --source"):
        prepare(spec, place, root)


def test_prepared_data_are_found_by_name_and_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = class_folders(tmp_path / "a" / "fields"), class_folders(tmp_path / "b" / "fields", each=6)
    stores = [prepare(spec_of(p), None, tmp_path / "d") for p in (one, other)]
    named = registry().get("dataset", "folder:fields")
    assert named.place == ""
    assert find(tmp_path / "d", named).path == stores[1].path
    for store in stores:
        assert find(tmp_path / "d", named, store.manifest["fingerprint"]).path == store.path
    with pytest.raises(NotPrepared, match=r"give its path, as in folder:\./unknown"):
        find(tmp_path / "d", spec_of("unknown"))


def test_no_other_layout_of_eurosat_is_read_otherwise(tmp_path: Path) -> None:
    """The plugin of EuroSAT and this one read the same pixels and lists."""
    spec = registry().get("dataset", "eurosat")
    from rsbench_eurosat.fake import write_rgb

    write_rgb(tmp_path / "files", spec)
    made, known = (
        prepare(s, f, tmp_path / "d") for s, f in ((spec_of(tmp_path / "files"), None), (spec, tmp_path / "files"))
    )
    assert [Path(n).stem for n in made.image_ids] == known.image_ids
    assert (made.images[:] == known.images[:]).all()
    assert made.columns["label"] == known.columns["label"]
    assert made.columns["official_split"] == known.columns["official_split"]


@pytest.mark.slow
def test_real_eurosat_as_a_folder_has_the_same_pixels(real_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(real_data / "eurosat" / "EuroSAT.zip") as archive:
        archive.extractall(tmp_path / "files")
    for path in (real_data / "eurosat").glob("*.txt"):
        shutil.copy(path, tmp_path / "files")
    spec = registry().get("dataset", "eurosat")
    known = prepare(spec, real_data / "eurosat", tmp_path / "d")
    for place in (tmp_path / "files", real_data / "eurosat" / "EuroSAT.zip"):
        made = prepare(spec_of(place), None, tmp_path / "d")
        assert made.manifest["hashes"] == known.manifest["hashes"]
        assert made.columns["label"] == known.columns["label"]
    made = prepare(spec_of(tmp_path / "files"), None, tmp_path / "d")
    assert made.columns["official_split"] == known.columns["official_split"]
    assert listing.read(tmp_path / "files", {}).task == "classification"
