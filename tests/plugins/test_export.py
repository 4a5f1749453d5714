"""Records in the forms of others, read back with the libraries that those forms are for."""

from __future__ import annotations

import copy
import csv
import json
import re
from io import StringIO
from pathlib import Path

import pytest
import yaml
from rsbench_export.exports import export, targets
from rsbench_export.torchgeo_bench import COLUMNS
from typer.testing import CliRunner

from rsbench.cli.app import build as app
from rsbench.data.prepare import prepare
from rsbench.engine.run.run import execute
from rsbench.errors import UserError
from rsbench.plan import RunRequest, expand
from rsbench.records.store import LoadedRecord, load
from rsbench.registry import BLOCK_VARIABLE, registry
from rsbench.specs import load_attribute

RECORDS = Path(__file__).parents[2] / "benchmarks" / "records"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> LoadedRecord:
    """A record whose weights lie beside it."""
    folder = tmp_path_factory.mktemp("trained")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=12)
    prepare(spec, folder / "files", folder)
    request = RunRequest(
        models=(("tiny-cnn", {}),),
        dataset="eurosat",
        data_root=folder,
        out=str(folder / "out"),
        seeds=(0,),
        changes={"precision": "fp32", "epochs": 1, "batch": 8},
        threads=1,
        device="cpu",
    )
    record = execute(expand(request)[0], lambda e: None)
    return LoadedRecord(Path(record["path"]), load(Path(record["path"])))


def of_task(task: str) -> LoadedRecord:
    """A committed record of a task, with weights."""
    for path in sorted(RECORDS.rglob("record.json")):
        record = json.loads(path.read_text())
        if record["plan"]["task"] == task and record["status"] == "ok" and "checkpoint" in record["artifacts"]:
            return LoadedRecord(path, load(path))
    pytest.skip(f"no committed record of {task}")


TASKS = ("classification", "captioning", "vqa")


@pytest.mark.parametrize("task", TASKS)
def test_model_card(task: str) -> None:
    from huggingface_hub import ModelCard

    loaded = of_task(task)
    (text,) = export([loaded], "hf").values()
    card = ModelCard(text)
    results = {r.metric_name: r for r in card.data.eval_results}
    known = {k: m for k, m in loaded.record["metrics"].items() if m["value"] is not None}
    assert {name: r.metric_value for name, r in results.items()} == {k: m["value"] for k, m in known.items()}
    primary = loaded.record["plan"]["protocol"]["primary"]
    result = results[primary]
    assert result.metric_args["ci95"] == known[primary]["ci95"]
    assert result.dataset_args["protocol_fingerprint"] == loaded.record["plan"]["protocol"]["fingerprint"]
    assert (result.dataset_name, result.dataset_split) == (loaded.record["plan"]["dataset"]["name"], "test")
    assert all(f"| {name}" in card.text for name in known)
    assert yaml.safe_load(text.split("---")[1])["model-index"]


def test_cards_of_several_records_lie_in_folders_of_their_own(trained: LoadedRecord) -> None:
    names = list(export([trained, of_task("vqa")], "hf"))
    assert names == [f"{r.record['run_id']}/README.md" for r in (trained, of_task("vqa"))]


@pytest.mark.parametrize("task", TASKS)
def test_stac_item(task: str, trained: LoadedRecord) -> None:
    pystac = pytest.importorskip("pystac")
    schema = pytest.importorskip("stac_model.schema")
    loaded = trained if task == "classification" else of_task(task)
    item = json.loads(next(iter(export([loaded], "stac-mlm").values())))
    pystac.validation.JsonSchemaSTACValidator().validate_core(item, pystac.STACObjectType.ITEM, "1.1.0")
    properties = schema.MLModelProperties.model_validate(item["properties"])
    plan = loaded.record["plan"]
    assert properties.total_parameters == loaded.record["perf"]["params"]
    assert properties.input[0].input.shape[1] == len(plan["protocol"]["bands"] or plan["dataset"]["bands"])
    # What the extension's JSON Schema asks beyond its Python model.
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]", item["properties"]["mlm:name"])
    assert [b["name"] for b in item["properties"]["bands"]] == item["properties"]["mlm:input"][0]["bands"]
    assert "bands" in item["properties"]["mlm:input"][0]["input"]["dim_order"]
    for name, asset in item["assets"].items():
        assert ("mlm:model" in asset["roles"]) == ("mlm:artifact_type" in asset) == (name == "model")
        assert not {"mlm:name", "mlm:input", "mlm:output", "mlm:hyperparameters"} & asset.keys()
    classes = item["properties"]["mlm:output"][0]["classification:classes"]
    assert [c["description"] for c in classes] == ([] if task == "captioning" else plan["dataset"]["classes"])
    assert all(re.fullmatch(r"[0-9A-Za-z_-]+", c["name"]) for c in classes)


def test_stac_item_scales_as_the_weights_were_trained(trained: LoadedRecord) -> None:
    from rsbench.tasks.weights import read_metadata

    item = json.loads(next(iter(export([trained], "stac-mlm").values())))
    path = trained.artifact("checkpoint")
    assert path is not None
    norm = json.loads(read_metadata(path)["normalization"])
    assert item["properties"]["mlm:input"][0]["value_scaling"] == [
        {"type": "z-score", "mean": m, "stddev": s} for m, s in zip(norm["mean"], norm["std"], strict=True)
    ]
    asset = item["assets"]["model"]
    assert (asset["href"], asset["file:size"]) == ("./model.safetensors", path.stat().st_size)
    assert asset["file:checksum"] == "1220" + trained.record["artifacts"]["checkpoint"]["sha256"]


@pytest.mark.parametrize("task", TASKS)
def test_croissant(task: str) -> None:
    mlc = pytest.importorskip("mlcroissant")
    loaded = of_task(task)
    plan = loaded.record["plan"]
    (text,) = export([loaded, loaded], "croissant").values()
    dataset = mlc.Dataset(jsonld=json.loads(text))
    assert dataset.metadata.name == plan["dataset"]["name"]
    splits = {r["splits/name"]: r["splits/samples"] for r in dataset.records("splits")}
    assert splits == plan["protocol"]["split_sizes"]
    if plan["dataset"]["classes"]:
        names = [r["classes/name"] for r in dataset.records("classes")]
        assert names == plan["dataset"]["classes"]
    files = {f.name: f for f in registry().get("dataset", plan["dataset"]["name"]).files if f.sha256 or f.md5}
    described = {f.name: f for f in dataset.metadata.distribution}
    assert {n: f.sha256 or f.md5 for n, f in described.items()} == {n: f.sha256 or f.md5 for n, f in files.items()}


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text)))


def test_torchgeo_bench_rows(trained: LoadedRecord) -> None:
    (text,) = export([trained, of_task("vqa")], "torchgeo-bench").values()
    (row,) = rows_of(text)
    assert list(row) == list(COLUMNS)
    record = trained.record
    accuracy = record["metrics"]["overall_accuracy"]
    assert (row["metric_name"], float(row["metric_value"])) == ("accuracy", accuracy["value"])
    assert [float(row["ci_lower"]), float(row["ci_upper"])] == list(accuracy["ci95"])
    assert (row["dataset"], row["name"], row["bands"], row["image_size"]) == ("eurosat", "tiny-cnn", "rgb", "64")
    assert (row["n_test"], row["best_batch_size"], row["feature_dim"], row["bootstrap"]) == ("40", "8", "", "")


def test_what_cannot_be_said(trained: LoadedRecord) -> None:
    with pytest.raises(UserError, match=r"'croisant' is not a form\. Did you mean 'croissant'"):
        export([trained], "croisant")
    with pytest.raises(UserError, match="none of the records has any"):
        export([of_task("vqa")], "torchgeo-bench")
    bare = LoadedRecord(trained.path, trained.record | {"artifacts": {}})
    with pytest.raises(UserError, match="has left no weights"):
        export([bare], "stac-mlm")
    other = LoadedRecord(trained.path, trained.record | {"created": "2020-01-01T00:00:00Z"})
    assert len(export([trained, trained], "hf")) == 1
    with pytest.raises(UserError, match="names two records that differ"):
        export([trained, other], "hf")
    failed = LoadedRecord(trained.path, trained.record | {"status": "failed"})
    for target in targets():
        with pytest.raises(UserError, match="has failed and holds no results"):
            export([failed], target)


def test_what_cannot_be_exported_is_named_and_the_rest_is_written(trained: LoadedRecord, tmp_path: Path) -> None:
    """A plugin's task, a record without units, a failed run: each costs no more than itself."""
    changed = (
        {"run_id": "theirs", "plan": {**trained.record["plan"], "task": "theirs"}},
        {"run_id": "broken", "status": "failed"},
        {"run_id": "odd", "perf": {"params": "many"}},
    )
    for change in ({}, *changed):
        record = copy.deepcopy(trained.record) | change
        folder = tmp_path / "in" / record["run_id"]
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(record))
    for target in ("hf", "torchgeo-bench"):
        words = ["export", str(tmp_path / "in"), "--to", target, "--output", str(tmp_path / target)]
        done = CliRunner().invoke(app(), words)
        assert done.exit_code == 0, done.output
        assert len([*(tmp_path / target).rglob("*.*")]) == 1
        assert "theirs' is not installed" in done.stderr
        assert "broken is left out: it failed" in done.stderr
        assert "perf.params: Input should be a valid integer" in done.stderr


def test_its_commands_go_with_the_plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(BLOCK_VARIABLE, "export")
    registry.cache_clear()
    (tmp_path / "all.csv").touch()
    try:
        for command in (["export", str(tmp_path), "--to", "hf"], ["import", str(tmp_path / "all.csv")]):
            done = CliRunner().invoke(app(command[0]), command)
            assert (done.exit_code, f"No such command '{command[0]}'" in done.output) == (2, True)
    finally:
        registry.cache_clear()
