"""The shipped observers, read back with the clients they are for."""

from __future__ import annotations

import json
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from rsbench.data.prepare import prepare
from rsbench.engine.run.run import execute
from rsbench.plan import RunPlan, RunRequest, expand
from rsbench.registry import registry
from rsbench.specs import load_attribute

NAMES = ("mlflow", "mllog", "tensorboard", "wandb")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=12)
    prepare(spec, folder / "files", folder)
    return folder


def run(root: Path, out: Path, monkeypatch: pytest.MonkeyPatch, observer: str, **changes: Any) -> tuple[RunPlan, dict]:
    """Run two epochs with one observer, in a home of their own."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(out))
    monkeypatch.setenv("RSBENCH_OBSERVERS", observer)
    request = RunRequest(
        models=(("tiny-cnn", {}),),
        dataset="eurosat",
        data_root=root,
        out=str(out),
        seeds=(0,),
        changes={"precision": "fp32", "epochs": 2, "batch": 8, "lr": 0.01, **changes},
        threads=1,
        device="cpu",
    )
    (plan,) = expand(request)
    return plan, execute(plan, lambda e: None)


def test_names_are_those_of_the_entry_points() -> None:
    points = {e.name: e.load() for e in metadata.entry_points(group="rsbench") if e.value.startswith("rsbench_obs")}
    assert {name: plugin.name for name, plugin in points.items()} == {name: name for name in NAMES}
    assert set(NAMES) <= set(registry().observers())


def test_silent_until_switched_on(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, _ = run(root, tmp_path, monkeypatch, "")
    names = sorted(p.name for p in (tmp_path / plan.run_id).iterdir())
    assert names == ["model.safetensors", "predictions.parquet", "record.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [plan.run_id]


def test_tensorboard(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    plan, record = run(root, tmp_path, monkeypatch, "tensorboard")
    assert [c for c in record["checks"] if c["name"] == "observer"] == []
    events = EventAccumulator(str(tmp_path / plan.run_id / "tensorboard"))
    events.Reload()
    losses = [(e.step, e.value) for e in events.Scalars("epoch/train_loss")]
    assert losses == [(k, pytest.approx(c["train_loss"])) for k, c in enumerate(record["train"]["curve"], 1)]
    (score,) = events.Scalars("test/overall_accuracy")
    assert (score.step, score.value) == (2, pytest.approx(record["metrics"]["overall_accuracy"]["value"]))
    assert "plan/text_summary" in events.Tags()["tensors"]


def test_mlflow(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    plan, record = run(root, tmp_path, monkeypatch, "mlflow")
    assert [c for c in record["checks"] if c["name"] == "observer"] == []
    client = mlflow.MlflowClient(tracking_uri=(tmp_path / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("rsbench/eurosat/in-domain-60-20-20")
    (kept,) = client.search_runs([experiment.experiment_id])
    assert (kept.info.run_name, kept.info.status) == (plan.run_id, "FINISHED")
    assert kept.data.params["recipe.lr"] == "0.01"
    assert kept.data.metrics["test.overall_accuracy"] == record["metrics"]["overall_accuracy"]["value"]
    history = [(m.step, m.value) for m in client.get_metric_history(kept.info.run_id, "train_loss")]
    assert history == [(k, c["train_loss"]) for k, c in enumerate(record["train"]["curve"], 1)]
    failed, _ = run(root, tmp_path, monkeypatch, "mlflow", lr=1e12, optimizer="sgd")
    states = {r.info.run_name: r.info.status for r in client.search_runs([experiment.experiment_id])}
    assert states == {plan.run_id: "FINISHED", failed.run_id: "FAILED"}


def wandb_entries(data: bytes) -> list[bytes]:
    """Entries of a log in LevelDB's format, which starts with seven bytes of W&B's own."""
    block, header, entries, parts, place = 32768, 7, [], b"", 7
    while place + header <= len(data):
        if block - place % block < header:  # the rest of a block is too short for a header
            place += block - place % block
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        parts += data[place + header : place + header + length]
        place += header + length
        if kind in (1, 4):  # whole, or last part
            entries.append(parts)
            parts = b""
    return entries


def finished(path: Path, kind: Any) -> list[Any]:
    """Return the entries of a log once its writer, a process of W&B's own, has said that the run is over."""
    for _ in range(600):
        entries = [kind.FromString(data) for data in wandb_entries(path.read_bytes())]
        if any(entry.HasField("exit") for entry in entries):
            return entries
        time.sleep(0.1)
    raise TimeoutError(path)


def test_wandb(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    plan, record = run(root, tmp_path, monkeypatch, "wandb")
    assert [c for c in record["checks"] if c["name"] == "observer"] == []
    (path,) = (tmp_path / plan.run_id / "wandb").glob("offline-run-*/*.wandb")
    rows, summary, settings, code = [], {}, {}, None
    for entry in finished(path, wandb_internal_pb2.Record):
        if entry.HasField("history"):
            rows.append({i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in entry.history.item})
        summary |= {i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in entry.summary.update}
        settings |= {i.key: json.loads(i.value_json) for i in entry.run.config.update}
        code = entry.exit.exit_code if entry.HasField("exit") else code
    assert [row["train_loss"] for row in rows] == [c["train_loss"] for c in record["train"]["curve"]]
    assert summary["test/overall_accuracy"] == record["metrics"]["overall_accuracy"]["value"]
    assert settings["recipe.lr"] == 0.01
    assert code == 0


def test_mllog(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, record = run(root, tmp_path, monkeypatch, "mllog")
    text = (tmp_path / plan.run_id / "mllog.txt").read_text().splitlines()
    assert all(line.startswith(":::MLLOG {") for line in text)
    lines = [json.loads(line.removeprefix(":::MLLOG ")) for line in text]
    assert all(list(x) == ["namespace", "time_ms", "event_type", "key", "value", "metadata"] for x in lines)
    values = {x["key"]: x["value"] for x in lines if x["event_type"] == "POINT_IN_TIME"}
    assert (values["seed"], values["global_batch_size"], values["opt_base_learning_rate"]) == (0, 8, 0.01)
    assert values["eval_accuracy"] == record["metrics"]["overall_accuracy"]["value"]
    opened = [x["key"] for x in lines if x["event_type"] == "INTERVAL_START"]
    closed = [x["key"] for x in lines if x["event_type"] == "INTERVAL_END"]
    assert opened == ["run_start", "epoch_start", "epoch_start"]
    assert closed == ["epoch_stop", "epoch_stop", "run_stop"]
    assert [x["time_ms"] for x in lines] == sorted(x["time_ms"] for x in lines)
    assert lines[-1]["metadata"]["status"] == "success"


def test_mllog_is_read_by_mlperf(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = pytest.importorskip("mlperf_logging.compliance_checker.mlp_parser")
    constants = pytest.importorskip("mlperf_logging.mllog.constants")
    plan, _ = run(root, tmp_path, monkeypatch, "mllog")
    lines, failed = parser.parse_file(str(tmp_path / plan.run_id / "mllog.txt"), ruleset="4.1.0")
    assert failed == []
    known = {value for name, value in vars(constants).items() if name.isupper()}
    assert {line.key for line in lines} <= known
