"""What a run that is over can still do: its network predicts new images as it has predicted those of the test split."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from one_run import one_run
from PIL import Image
from typer.testing import CliRunner, Result

import rsbench
from rsbench.api import make_plans, make_requests
from rsbench.cli.app import build
from rsbench.data.images import resized
from rsbench.data.new_images import image_files, read_image
from rsbench.engine.input.run_data import open_data
from rsbench.engine.run import trained
from rsbench.engine.run.checkpoint_run import try_loading
from rsbench.engine.run.run import execute
from rsbench.errors import UserError
from rsbench.plan import RunPlan, RunRequest, expand
from rsbench.records.store import LoadedRecord, load
from rsbench.records.verify import verify
from rsbench.tasks.arrays import ArrayTask
from rsbench.tasks.task import get_task

SMALL = {"dim": 32, "depth": 1, "heads": 2, "mlp": 64, "input_size": 32, "text_layers": 1, "dropout": 0.0}
ROUNDED = 2.0**-11  # of a probability that is kept as float16


@pytest.fixture(scope="module")
def run(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    """A classifier that was trained for two epochs."""
    plan = one_run(tiny_root, tmp_path_factory.mktemp("run"), {"epochs": 2, "batch": 8, "lr": 0.01})
    assert execute(plan, lambda event: None)["error"] is None
    return plan


@pytest.fixture(scope="module")
def pictures(run: RunPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images of its test split as PNG, called by their ids."""
    return written(run, tmp_path_factory.mktemp("pictures"))


def written(plan: RunPlan, folder: Path) -> Path:
    data = open_data(plan)
    store = data.store
    for number, sample in enumerate(data.test):  # so that they are read in the order of the split
        image = store.images[store.image_index[sample]]
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number:04d}+{store.ids[sample]}.png")
    return folder


def name_of(row: dict[str, Any]) -> str:
    return Path(row["file"]).stem.partition("+")[2]


def stored(plan: RunPlan) -> Any:
    return get_task(plan.task).read(Path(plan.out) / plan.run_id / "predictions.parquet").predictions


def record_of(plan: RunPlan) -> LoadedRecord:
    path = Path(plan.out) / plan.run_id / "record.json"
    return LoadedRecord(path, load(path))


def test_test_images_as_files_give_the_predictions_of_the_run(run: RunPlan, pictures: Path, tmp_path: Path) -> None:
    """Without the prepared data, which the weights do not need."""
    rows = rsbench.predict(run.run_id, pictures, out=run.out, top=3, device="cpu", data_root=tmp_path)
    kept, classes = stored(run), run.dataset["classes"]
    assert [name_of(row) for row in rows] == list(kept.ids)
    assert [row["label"] for row in rows] == [classes[k] for k in kept.labels]
    found = np.array([[row["probability"], row["probability_2"], row["probability_3"]] for row in rows])
    np.testing.assert_allclose(found, -np.sort(-kept.probabilities, axis=1)[:, :3], rtol=2 * ROUNDED, atol=1e-6)
    assert len({row["label"] for row in rows}) > 1


def test_arrays_and_single_images_give_them_too(run: RunPlan) -> None:
    data = open_data(run)
    model = rsbench.load_model(record_of(run), device="cpu")
    rows = rsbench.predict(model, data.store.images[data.test])
    assert [row["label"] for row in rows] == [run.dataset["classes"][k] for k in stored(run).labels]
    (one,) = rsbench.predict(model, data.store.images[data.test[3]])
    assert (one["file"], one["label"]) == ("0", rows[3]["label"])
    assert one["probability"] == pytest.approx(rows[3]["probability"], rel=1e-5)


def test_a_loaded_model_says_how_it_is_used(run: RunPlan) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    model = rsbench.load_model(Path(run.out) / run.run_id, device="cpu")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # type: ignore[index]
    known: Any = model.rsbench
    assert not model.training
    assert (known.shape, known.dtype, known.size, known.notes) == ((3, 64, 64), "uint8", 64, ())
    assert known.bands == ("red", "green", "blue")
    data = open_data(run)
    images = data.store.images[data.test]
    floats = known.preprocess(images)
    mean, std = (np.array(values)[:, None, None] for values in (known.mean, known.std))
    np.testing.assert_allclose(floats.numpy(), (images - mean) / std, atol=1e-4)
    with torch.inference_mode():
        labels = model(floats).argmax(1)
    assert labels.tolist() == stored(run).labels.tolist()
    with pytest.raises(UserError, match=r"float64 \[1, 3, 64, 64\].*uint8 \[N, 3, 64, 64\]"):
        known.preprocess(images[:1] / 255)


def test_a_file_without_the_context_needs_the_data(
    run: RunPlan, tmp_path: Path, tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = trained.read_metadata
    monkeypatch.setattr(trained, "read_metadata", lambda p: {k: v for k, v in read(p).items() if k != trained.CONTEXT})
    data = open_data(run)
    model = rsbench.load_model(record_of(run), device="cpu", data_root=tiny_root)
    rows = rsbench.predict(model, data.store.images[data.test])
    assert [row["label"] for row in rows] == [run.dataset["classes"][k] for k in stored(run).labels]
    with pytest.raises(UserError, match="prepare"):
        rsbench.load_model(record_of(run), device="cpu", data_root=tmp_path)


def text_run(root: Path, out: Path, dataset: str, model: str = "spatialnet-vit", **options: Any) -> RunPlan:
    changes = {"precision": "fp32", "epochs": 1, "batch": 8, "warmup": 0.0}
    request = RunRequest(
        models=((model, options),), dataset=dataset, data_root=str(root), out=str(out), seeds=(0,), changes=changes,
        threads=1, device="cpu",
    )  # fmt: skip
    (plan,) = expand(request)
    assert execute(plan, lambda event: None)["error"] is None
    return plan


def test_captions_are_those_of_the_run(text_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")  # no Java
    plan = text_run(text_root, tmp_path, "ucm-captions", **SMALL)
    (tmp_path / "png").mkdir()
    rows = rsbench.predict(plan.run_id, written(plan, tmp_path / "png"), out=tmp_path, data_root=tmp_path, device="cpu")
    kept = stored(plan)
    assert {name_of(row): row["caption"] for row in rows} == dict(zip(kept.ids, kept.captions, strict=True))
    with pytest.raises(UserError, match="asks no questions: leave question out"):
        rsbench.predict(plan.run_id, tmp_path / "png", out=tmp_path, device="cpu", question="What?")


def test_answers_are_those_of_the_run(text_root: Path, tmp_path: Path) -> None:
    plan = text_run(text_root, tmp_path, "rsvqa-lr", **SMALL)
    data, kept = open_data(plan), stored(plan)
    model = rsbench.load_model(plan.run_id, out=tmp_path, data_root=tmp_path, device="cpu")
    store, answers = data.store, dict(zip(kept.ids, kept.answers, strict=True))
    for sample in data.test:
        (row,) = rsbench.predict(
            model,
            store.images[store.image_index[sample]],
            question=store.columns["question"][sample],
            question_type=store.columns["kind"][sample],
        )
        assert row["answer"] == plan.dataset["classes"][answers[store.ids[sample]]]
    image = store.images[0]
    long = "is there a " + "small " * 200 + "road"
    assert rsbench.predict(model, image, question=long, question_type="presence")[0]["answer"]
    with pytest.raises(UserError, match="Give a question"):
        rsbench.predict(model, image)
    with pytest.raises(UserError, match="one of rural_urban, presence, count, comp; 'size' is not"):
        rsbench.predict(model, image, question="How large is it?", question_type="size")


@pytest.fixture
def command(run: RunPlan, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("RSBENCH_OUT", run.out)
    return lambda *arguments: CliRunner().invoke(build(), ["predict", *map(str, arguments), "--device", "cpu"])


def test_the_command_writes_csv_or_json(
    run: RunPlan, pictures: Path, tmp_path: Path, command: Callable[..., Result]
) -> None:
    rows = rsbench.predict(run.run_id, pictures, out=run.out, device="cpu")
    short = run.run_id[-8:]
    done = command(short, pictures)
    assert [(r["file"], r["label"], float(r["probability"])) for r in csv.DictReader(io.StringIO(done.stdout))] == [
        (row["file"], row["label"], row["probability"]) for row in rows
    ]
    some = command(short, f"{pictures}/000*.png", "--json")
    assert json.loads(some.stdout) == rows[:10]
    told = command(short, pictures / Path(rows[4]["file"]).name, "--output", tmp_path / "out.csv", "--top", "2")
    assert told.stdout == ""
    assert "Wrote 1 predictions" in told.stderr
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "file,label,probability,label_2,probability_2"


def test_images_that_do_not_fit_are_named(
    pictures: Path, tmp_path: Path, run: RunPlan, command: Callable[..., Result]
) -> None:
    large = tmp_path / "large.PNG"
    first = min(pictures.iterdir())
    with Image.open(first) as image:
        image.resize((128, 96), Image.Resampling.NEAREST).save(large)
    assert "large.PNG is 128x96 pixels; the run was trained on 64x64" in str(command(run.run_id, tmp_path).exception)
    same, original = (command(run.run_id, path, "--resize", "--json").stdout for path in (large, first))
    assert json.loads(same)[0]["label"] == json.loads(original)[0]["label"]
    deep = np.arange(2 * 6 * 8, dtype=np.uint16).reshape(2, 6, 8)
    assert (resized(deep, (6, 8)) == deep).all()
    assert resized(deep, (3, 4)).dtype == np.uint16
    assert abs(float(resized(deep, (3, 4)).mean()) - deep.mean()) < 1
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    assert "broken.jpg cannot be read as an image" in str(command(run.run_id, tmp_path / "broken.jpg").exception)
    assert "no image at" in str(command(run.run_id, tmp_path / "none*").exception)


def test_bands_are_those_of_the_dataset(tmp_path: Path) -> None:
    import rasterio

    pixels = np.arange(13 * 4 * 5, dtype=np.uint16).reshape(13, 4, 5)
    path = tmp_path / "tile.tif"
    with rasterio.open(path, "w", driver="GTiff", count=13, height=4, width=5, dtype="uint16") as file:
        file.write(pixels)
    np.testing.assert_array_equal(read_image(path, 13, "uint16"), pixels)
    with pytest.raises(UserError, match="13 bands of uint16, not 4 of uint16"):
        read_image(path, 4, "uint16")
    with pytest.raises(UserError, match="no JPEG, TIFF or PNG of 8 bits"):
        read_image(path, 3, "uint8")


def test_folders_are_searched_and_each_file_is_read_once(tmp_path: Path) -> None:
    for name in ("b/x.TIF", "a.jpg", "b/y.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = image_files([tmp_path / "b" / "y.png", tmp_path, str(tmp_path / "**" / "*.png")])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["b/y.png", "a.jpg", "b/x.TIF"]


def test_weights_are_those_of_the_record_or_none(run: RunPlan, tiny_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / run.run_id
    shutil.copytree(Path(run.out) / run.run_id, folder)
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-4] + b"\0\0\0\0")
    with pytest.raises(UserError, match="its digest is another"):
        rsbench.load_model(run.run_id, out=tmp_path)
    weights.unlink()
    with pytest.raises(UserError, match=r"model.safetensors of .* is missing: put it beside"):
        rsbench.load_model(run.run_id, out=tmp_path)
    baseline = one_run(tiny_root, tmp_path, {}, "majority-class")
    execute(baseline, lambda event: None)
    with pytest.raises(UserError, match="has kept no weights"):
        rsbench.load_model(baseline.run_id, out=tmp_path)
    failed = one_run(tiny_root, tmp_path, {"epochs": 1, "batch": 8, "optimizer": "sgd", "lr": 1e12})
    assert execute(failed, lambda event: None)["status"] == "failed"
    with pytest.raises(UserError, match="did not finish"):
        rsbench.load_model(failed.run_id, out=tmp_path)


def test_changed_code_is_said(run: RunPlan) -> None:
    loaded = record_of(run)
    plan = loaded.record["plan"]
    changed = {**loaded.record, "plan": {**plan, "model": {**plan["model"], "source_sha256": "0" * 64}}}
    model = trained.load(LoadedRecord(loaded.file, changed), "cpu")
    assert model.rsbench.notes == ("The code of model 'tiny-cnn' has changed since the run; predictions may differ.",)  # type: ignore[union-attr]


def test_numbers_are_columns() -> None:
    class Heights(ArrayTask):
        name = "heights"

    task = Heights()
    assert task.blank_columns(2, 3, {}) == {"target": [[0.0, 0.0, 0.0]] * 2}
    assert task.blank_columns(2, 1, {}) == {"target": [0.0, 0.0]}
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert task.predicted(task.outcome(["a", "b"], values, values), (), 1) == {
        "value_1": [1.0, 3.0],
        "value_2": [2.0, 4.0],
    }
    assert task.predicted(task.outcome(["a", "b"], values[:, 0], values[:, 0]), (), 1) == {"value": [1.0, 3.0]}


def test_a_run_starts_from_the_weights_of_another(run: RunPlan, tiny_root: Path, tmp_path: Path) -> None:
    plain, *_ = make_plans(again(run, tiny_root, tmp_path))
    (plan,) = make_plans(again(run, tiny_root, tmp_path, start=Path(run.out) / run.run_id))
    assert plan.run_id != plain.run_id
    assert (plan.division, plan.seed, plan.model["parent"]) == ("open", run.seed, run.run_id)
    record = execute(plan, lambda event: None)
    assert record["error"] is None
    first, own = record_of(run), record_of(plan)
    assert own.record["plan"]["model"]["weights_sha256"] == first.record["artifacts"]["checkpoint"]["sha256"]
    assert own.record["plan"]["model"]["label"] == f"tiny-cnn from {run.run_id[-8:]}"
    assert verify(own) == []
    after, before = (dict(rsbench.load_model(r, device="cpu").named_parameters()) for r in (own, first))
    for name, weights in before.items():  # a learning rate of nothing leaves them what they were
        torch.testing.assert_close(after[name], weights, rtol=0, atol=1e-6)
    assert str(tmp_path) not in json.dumps(own.record)
    table = rsbench.leaderboard([run.out, tmp_path]).tables[0]
    assert sorted(row.system for row in table.rows) == ["tiny-cnn", f"tiny-cnn from {run.run_id[-8:]}"]


def again(run: RunPlan, root: Path, out: Path, **more: Any) -> list[RunRequest]:
    changes = {"epochs": 1, "batch": 8, "lr": 1e-12, "weight_decay": 0.0, "precision": "fp32", "augmentation": {}}
    how = {"data_root": root, "out": out, "device": "cpu", "threads": 1}
    return make_requests("tiny-cnn", "eurosat", changes=changes, **{"seeds": None, **how, **more})


def test_a_start_that_would_be_unfair_or_cannot_be_is_refused(run: RunPlan, tiny_root: Path, tmp_path: Path) -> None:
    start = Path(run.out) / run.run_id
    with pytest.raises(UserError, match="trained on another split of 'eurosat'"):
        make_plans(again(run, tiny_root, tmp_path, start=start, protocol="helber-80-20"))
    request = {"data_root": tiny_root, "out": tmp_path, "start": start, "seeds": 3}
    with pytest.raises(UserError, match="'majority-class' has no weights to start from"):
        make_plans(make_requests("majority-class", "eurosat", **request))
    (plan,) = make_plans(make_requests("baseline-cnn", "eurosat", **request, device="cpu"))
    with pytest.raises(UserError, match="does not fit"):
        try_loading(plan)


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["scenes", "scenes-captions"])
def test_generated_scenes_as_files_give_the_predictions_of_the_run(
    tmp_path: Path, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsbench.api import prepare_generated

    monkeypatch.setenv("PATH", "/nonexistent")  # no Java
    prepare_generated(dataset, tmp_path)
    if dataset == "scenes":
        plan = one_run(tmp_path, tmp_path / "runs", {"epochs": 1}, dataset=dataset)
        execute(plan, lambda event: None)
    else:
        plan = text_run(tmp_path, tmp_path / "runs", dataset, **SMALL)
    (tmp_path / "png").mkdir()
    rows = rsbench.predict(plan.run_id, written(plan, tmp_path / "png"), out=plan.out, device="cpu")
    kept = stored(plan)
    said = kept.captions if plan.task == "captioning" else [plan.dataset["classes"][k] for k in kept.labels]
    column = "caption" if plan.task == "captioning" else "label"
    assert {name_of(row): row[column] for row in rows} == dict(zip(kept.ids, said, strict=True))
