"""RSVQA-LR from its files, and every mistake in them."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsbench.data import splits
from rsbench.data.prepare import prepare
from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR

RSVQA = registry().get("dataset", "rsvqa-lr")
WORDS_ONLY = registry().get("dataset", "rsvqa-lr-questions")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rsvqa")
    load_attribute(RSVQA.fake)(folder, RSVQA)
    return folder


def test_questions_share_images_and_counts_are_binned(files: Path, tmp_path: Path) -> None:
    store = prepare(RSVQA, files, tmp_path)
    assert store.images.shape == (12, 3, 256, 256)
    assert len(store.ids) == 48
    assert store.image_index.tolist() == np.repeat(np.arange(12), 4).tolist()
    assert store.manifest["question_types"] == list(TYPES_LR)
    asked = json.loads((files / "LR_split_train_answers.json").read_text())["answers"]
    for row in (r for r in asked if r["active"] and r["answer"].isdigit()):
        sample, count = store.ids.index(str(row["id"])), int(row["answer"])
        assert store.columns["count"][sample] == count
        edges = [0, 10, 100, 1000]
        assert store.labels[sample] == 4 + sum(count > e for e in edges)
    split = splits.resolve(store, registry().get("protocol", "rsvqa-lr-official"))
    assert split.sizes == {"train": 24, "val": 12, "test": 12}


def test_archives_in_the_folder_are_read(files: Path, tmp_path: Path) -> None:
    plain = prepare(RSVQA, files, tmp_path / "plain")
    folder = tmp_path / "files"
    folder.mkdir()
    for path in files.glob("*.json"):
        shutil.copy(path, folder)
    with zipfile.ZipFile(folder / "Images_LR.zip", "w") as archive:
        for path in (files / "Images_LR").iterdir():
            archive.write(path, f"Images_LR/{path.name}")
    assert prepare(RSVQA, folder, tmp_path / "packed").manifest["fingerprint"] == plain.manifest["fingerprint"]


def test_words_alone_need_no_image(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files, tmp_path / "files", ignore=shutil.ignore_patterns("Images_LR"))
    store = prepare(WORDS_ONLY, tmp_path / "files", tmp_path)
    assert store.images.shape == (12, 3, 1, 1)
    split = splits.resolve(store, registry().get("protocol", "rsvqa-lr-val-to-test"))
    assert split.sizes == {"train": 12, "val": 0, "test": 12}
    assert {store.columns["official_split"][i] for i in split.train} == {"val"}


def edit(what: str, change: Callable[[list[Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / f"LR_split_val_{what}.json"
        content = json.loads(path.read_text())
        change(content[what])
        path.write_text(json.dumps(content))

    return apply


def cut(name: str) -> Callable[[Path], None]:
    """Leave the first half of a file."""

    def apply(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return apply


def cut_archive(folder: Path) -> None:
    shutil.make_archive(str(folder / "Images_LR"), "zip", folder, "Images_LR")
    shutil.rmtree(folder / "Images_LR")
    cut("Images_LR.zip")(folder)


def backup(folder: Path) -> None:
    (folder / "backup").mkdir()
    shutil.copy(folder / "Images_LR" / "6.tif", folder / "backup" / "7.TIF")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (edit("answers", lambda rows: rows[0].update(answer="many")), "answer 'many' to question 24 of split val"),
        (edit("answers", lambda rows: rows[2].update(answer="-3")), "answer '-3' to question 26"),
        (edit("answers", lambda rows: rows.pop(1)), "question 25 of split val has no answer"),
        (edit("questions", lambda rows: rows[0].update(answers_ids=[])), "question 24 of split val has no answer"),
        (edit("questions", lambda rows: rows[0].update(img_id=999)), "question 24 of split val is about image 999"),
        (edit("questions", lambda rows: rows[0].update(type="counts")), "question 24 .* type 'counts'"),
        (edit("answers", lambda rows: rows[0].update(answer=None)), "question 24 of split val has no answer"),
        (edit("answers", lambda rows: rows[2].update(answer=2.5)), "answer '2.5' to question 26"),
        (edit("answers", lambda rows: rows[0].pop("id")), r"Entry 1 of LR_split_val_answers.json \(id None\).* 'id'"),
        (edit("questions", lambda rows: rows[1].pop("img_id")), r"_questions.json \(id 25\) has no valid 'img_id'"),
        (edit("questions", lambda rows: rows[1].update(img_id="6")), r"\(id 25\) has no valid 'img_id'"),
        (edit("questions", lambda rows: rows[0].update(question=None)), r"\(id 24\) has no valid 'question'"),
        (edit("questions", lambda rows: rows[0].update(answers_ids=24)), r"\(id 24\) has no valid 'answers_ids'"),
        (edit("questions", lambda rows: rows.insert(0, 7)), "Entry 1 of LR_split_val_questions.json is not an object"),
        (edit("questions", lambda rows: rows.append(rows[0])), "ids that occur twice"),
        (cut("LR_split_test_answers.json"), "LR_split_test_answers.json cannot be read as JSON: line 1"),
        (cut("LR_split_val_questions.json"), "LR_split_val_questions.json cannot be read as JSON: line 1"),
        (cut("Images_LR/7.tif"), "7.tif cannot be read"),
        (cut_archive, "Images_LR.zip is not a readable zip archive"),
        (lambda folder: (folder / "LR_split_test_answers.json").unlink(), "LR_split_test_answers.json is missing"),
        (edit("questions", lambda rows: rows[0].update(answers_ids=[[24]])), "question 24 of split val has no answer"),
        (backup, "two files for '7' that differ: Images_LR/7.tif and backup/7.TIF"),
        (lambda folder: (folder / "Images_LR" / "7.tif").unlink(), "is about image 7, which has no file"),
        (lambda folder: (folder / "Images_LR" / "7.tif").write_bytes(b"II*"), "7.tif cannot be read"),
        (lambda folder: [p.unlink() for p in folder.glob("*questions.json")], "no LR_split_<split>_questions.json"),
    ],
)
def test_mistakes_are_named(files: Path, tmp_path: Path, damage: Callable[[Path], object], named: str) -> None:
    folder = tmp_path / "files"
    shutil.copytree(files, folder)
    damage(folder)
    with pytest.raises(UserError, match=named) as caught:
        prepare(RSVQA, folder, tmp_path)
    assert "\n" not in str(caught.value)


def test_published_rows_follow_from_the_test_counts_and_one_cannot() -> None:
    """AA and OA from per-type accuracies: three rows are right to .01, SpatialNet-ViT's is not."""
    counts = {"count": 2947, "presence": 2955, "comp": 4002, "rural_urban": 100}
    rows = {
        "Lobry 2020": ((67.01, 87.46, 81.50, 90.00), 81.49, 79.08),
        "Yuan 2022": ((68.53, 90.13, 86.91, 92.00), 84.39, 82.50),
        "Bazi 2022": ((72.22, 91.06, 91.16, 92.66), 86.78, 85.56),
    }

    def averages(values: tuple[float, ...]) -> tuple[float, float]:
        n = np.array(list(counts.values()))
        return float(np.mean(values)), float(np.dot(values, n) / n.sum())

    for values, aa, oa in rows.values():
        found = averages(values)
        assert found[0] == pytest.approx(aa, abs=0.0101)
        assert found[1] == pytest.approx(oa, abs=0.0101)
    aa, oa = averages((80.22, 94.53, 92.50, 96.00))
    assert aa == pytest.approx(90.81, abs=0.01)
    assert oa == pytest.approx(89.52, abs=0.01)
    assert abs(aa - 92.81) > 1.9
    assert abs(oa - 90.18) > 0.6


@pytest.mark.real_data
def test_real_mini_set(real_data: Path, tmp_path: Path) -> None:
    shutil.copy(real_data / "rsvqa_lr" / "RSVQA_LR_mini.zip", tmp_path)
    store = prepare(RSVQA, tmp_path, tmp_path / "root")
    assert len(store.images) == 12
    assert splits.resolve(store, registry().get("protocol", "rsvqa-lr-official")).sizes == {
        "train": 300,
        "val": 500,
        "test": 400,
    }
    assert (store.images.reshape(12, -1).std(1) > 3).all()


@pytest.mark.real_data
def test_real_annotations(real_data: Path, tmp_path: Path) -> None:
    shutil.copy(real_data / "rsvqa_lr" / "RSVQA_LR_val_test_annotations.zip", tmp_path)
    store = prepare(WORDS_ONLY, tmp_path, tmp_path / "root")
    split = splits.resolve(store, registry().get("protocol", "rsvqa-lr-val-to-test"))
    assert split.sizes == {"train": 10_005, "val": 0, "test": 10_004}
    kinds = np.array(store.columns["kind"])[split.test]
    assert {k: int((kinds == k).sum()) for k in TYPES_LR} == {
        "rural_urban": 100,
        "presence": 2955,
        "count": 2947,
        "comp": 4002,
    }
    assert len(ANSWERS_LR) == 9
