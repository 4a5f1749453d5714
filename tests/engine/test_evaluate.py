"""Weights trained elsewhere: what they say of themselves, how they are loaded, what their record holds."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rsbench.cli import main
from rsbench.data.prepare import prepare
from rsbench.data.store import find
from rsbench.engine.launch.run_result import Outcome, of_record
from rsbench.engine.run import build as setup
from rsbench.engine.run.run import execute
from rsbench.engine.tasks import sanity
from rsbench.errors import UserError, UserErrors
from rsbench.evaluation import EvaluationRequest, expand_evaluation
from rsbench.leaderboard.board import build
from rsbench.plan import RunRequest, expand
from rsbench.records.store import load_all
from rsbench.records.verify import verify
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.weights import read_metadata


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=12)
    prepare(spec, folder / "files", folder)
    return folder


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A record of a short training, with the folder it lies in."""
    request = RunRequest(
        models=(("timm:resnet10t", {"weights": "none"}),),
        dataset="eurosat",
        data_root=root,
        out=str(tmp_path_factory.mktemp("trained")),
        seeds=(3,),
        changes={"precision": "fp32", "epochs": 2, "batch": 8, "augmentation": {}},
        threads=1,
        device="cpu",
    )
    (plan,) = expand(request)
    return execute(plan, lambda e: None) | {"folder": Path(plan.out) / plan.run_id}


def evaluate(root: Path, out: Path, checkpoint: Path, **fields: Any) -> dict[str, Any]:
    where = {"out": str(out), "data_root": root, "device": "cpu", "threads": 1}
    request = {"checkpoint": checkpoint, "dataset": "eurosat", "precision": "fp32", **where, **fields}
    plan = expand_evaluation(EvaluationRequest(**request))
    return execute(plan, lambda e: None)


def call(*arguments: str) -> int:
    """Run a command in this process and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["rsbench", *arguments])
        patch.setattr("rsbench.cli.heed_signals", lambda: None)
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def test_metadata_says_what_one_must_know(root: Path, trained: dict[str, Any]) -> None:
    path = trained["folder"] / "model.safetensors"
    with safe_open(path, "pt") as file:
        facts = file.metadata()
    assert facts == read_metadata(path)
    plan = trained["plan"]
    assert facts["run_id"] == trained["run_id"]
    assert facts["fingerprint"] == plan["protocol"]["fingerprint"]
    assert json.loads(facts["options"]) == plan["model"]["options"]
    assert json.loads(facts["classes"]) == plan["dataset"]["classes"]
    assert json.loads(facts["bands"]) == plan["dataset"]["bands"]
    assert (facts["unit"], facts["input_size"]) == ("uint8", "64")
    assert str(root) not in json.dumps(facts)
    norm = json.loads(facts["normalization"])
    assert norm["name"] == plan["model"]["accepts"]["normalisation"]
    if norm["name"] == "dataset":
        stored = find(root, registry().get("dataset", "eurosat"))
        assert len(norm["mean"]) == stored.images.shape[1]


def test_own_checkpoint_gives_the_same_predictions(root: Path, tmp_path: Path, trained: dict[str, Any]) -> None:
    record = evaluate(root, tmp_path, trained["folder"] / "model.safetensors")
    assert record["status"] == "ok", record["error"]
    assert record["metrics"] == trained["metrics"]
    assert record["artifacts"]["predictions"]["sha256"] == trained["artifacts"]["predictions"]["sha256"]
    assert record["train"] is None
    assert record["perf"]["train_samples_per_s"] is None
    assert record["perf"]["params"] == trained["perf"]["params"]
    plan = record["plan"]
    assert (plan["division"], plan["recipe"]["epochs"], plan["checkpoint"]) == ("external", 0, "model.safetensors")
    assert plan["model"]["label"] == "timm:resnet10t (model.safetensors)"
    assert plan["model"]["weights_sha256"] == trained["artifacts"]["checkpoint"]["sha256"]
    (loaded,) = load_all([tmp_path])
    assert verify(loaded) == []
    board = build([loaded])
    assert [(r.system, r.division, r.train_seconds) for r in board.tables[0].rows] == [
        ("timm:resnet10t (model.safetensors)", "external", None)
    ]


@pytest.mark.parametrize("kind", ["pt", "npz", "wrapped", "safetensors"])
def test_foreign_files(root: Path, tmp_path: Path, trained: dict[str, Any], kind: str) -> None:
    """Without rsbench's metadata, under names of DataParallel or of the bare backbone."""
    state = load_file(trained["folder"] / "model.safetensors")
    bare = {k.removeprefix("network."): v for k, v in state.items()}
    path = tmp_path / f"net.{kind if kind != 'wrapped' else 'pth'}"
    if kind == "npz":
        np.savez(path, **{k: v.numpy() for k, v in bare.items()})
    elif kind == "safetensors":
        save_file(bare, path)
    elif kind == "wrapped":
        torch.save({"state_dict": {f"module.{k}": v for k, v in bare.items()}, "epoch": 3}, path)
    else:
        torch.save(bare, path)
    with pytest.raises(UserError, match="name it with --model"):
        evaluate(root, tmp_path / "out", path)
    record = evaluate(root, tmp_path / "out", path, model="timm:resnet10t", system="ours")
    assert record["metrics"] == trained["metrics"]
    assert record["plan"]["model"]["label"] == "ours"


def test_normalization_is_that_of_training(root: Path, tmp_path: Path, trained: dict[str, Any]) -> None:
    path = trained["folder"] / "model.safetensors"
    other = tmp_path / "other.safetensors"
    norm = {"name": "dataset", "mean": [0.0, 0.0, 0.0], "std": [1000.0, 1000.0, 1000.0]}
    save_file(load_file(path), other, read_metadata(path) | {"normalization": json.dumps(norm)})
    kept = evaluate(root, tmp_path / "a", other)
    told = evaluate(root, tmp_path / "b", other, normalization=trained["plan"]["model"]["accepts"]["normalisation"])
    assert told["metrics"] == trained["metrics"]
    assert kept["metrics"]["nll"]["value"] != trained["metrics"]["nll"]["value"]


def test_what_does_not_fit(root: Path, tmp_path: Path, trained: dict[str, Any]) -> None:
    path = trained["folder"] / "model.safetensors"
    record = evaluate(root, tmp_path, path, model="timm:resnet18")
    assert record["status"] == "failed"
    assert record["error"]["stage"] == "build"
    assert "does not fit" in record["error"]["message"]
    assert "missing conv1.weight" in record["error"]["message"]
    facts = read_metadata(path)
    other = tmp_path / "other.safetensors"
    classes = json.loads(facts["classes"])[::-1]
    save_file(load_file(path), other, facts | {"classes": json.dumps(classes), "bands": '["B8", "B4", "B3"]'})
    with pytest.raises(UserErrors) as caught:
        evaluate(root, tmp_path, other)
    assert "for the bands B8, B4, B3" in caught.value.problems[0]
    assert "other classes" in caught.value.problems[1]
    with pytest.raises(UserError, match="no weights file"):
        evaluate(root, tmp_path, tmp_path / "gone.safetensors", model="tiny-cnn")
    with pytest.raises(UserError, match="has no weights to load"):
        evaluate(root, tmp_path, path, model="majority-class")
    with pytest.raises(UserErrors, match="'zscore' is not one of"):
        evaluate(root, tmp_path, path, normalization="zscore")
    (tmp_path / "torn.safetensors").write_bytes(path.read_bytes()[:20])
    with pytest.raises(UserError, match="cannot be read"):
        evaluate(root, tmp_path, tmp_path / "torn.safetensors", model="tiny-cnn")
    pickled = tmp_path / "code.pt"
    torch.save({"weight": Path("x")}, pickled)
    record = evaluate(root, tmp_path, pickled, model="tiny-cnn")
    assert "cannot be read as weights" in record["error"]["message"]


def say(**facts: Any) -> str:
    return json.dumps(facts)


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ({"options": "["}, "'options' of .* cannot be read as JSON"),
        ({"options": "[1]"}, "'options' of .* are no object"),
        ({"classes": "3"}, "'classes' of .* are no texts"),
        ({"bands": "[1, 2, 3]"}, "'bands' of .* are no texts"),
        ({"normalization": say(mean=[0, 0, 0], std=[0, 1, 1])}, "no 'mean' and 'std'"),
        ({"normalization": '{"mean": [NaN, 0, 0], "std": [1, 1, 1]}'}, "no 'mean' and 'std'"),
        ({"normalization": say(mean=[10**400, 0, 0], std=[1, 1, 1])}, "no 'mean' and 'std'"),
        ({"normalization": say(mean=[0], std=[1])}, "another number of bands"),
        ({"model": "os:system"}, "no model 'os:system'"),
    ],
)
def test_metadata_of_others_are_not_trusted(
    root: Path, tmp_path: Path, trained: dict[str, Any], facts: dict[str, str], named: str
) -> None:
    path = trained["folder"] / "model.safetensors"
    save_file(load_file(path), tmp_path / "w.safetensors", read_metadata(path) | facts)
    with pytest.raises(UserError, match=named):
        evaluate(root, tmp_path, tmp_path / "w.safetensors")


def test_command_says_what_was_taken_before_anything_runs(
    root: Path, tmp_path: Path, trained: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    state = load_file(trained["folder"] / "model.safetensors")
    torch.save({"state_dict": {k: v * 0 for k, v in state.items()}, "state_dict_ema": state}, tmp_path / "last.ckpt")
    torch.save({"model": {k: v for k, v in state.items() if "layer1" not in k}}, tmp_path / "less.pth")
    common = ["--data-root", str(root), "--out", str(tmp_path / "out"), "--dry-run", "--json"]
    command = ["evaluate", str(tmp_path / "last.ckpt"), "eurosat", "--model", "timm:resnet10t", *common]
    assert call(*command) == 0
    shown = capsys.readouterr()
    (averaged,) = json.loads(shown.out)
    assert "last.ckpt: taken from 'state_dict_ema', and not from 'state_dict'." in shown.err
    assert call(*command, "--state", "state_dict") == 0
    shown = capsys.readouterr()
    (raw,) = json.loads(shown.out)
    assert "last.ckpt: taken from 'state_dict'." in shown.err
    assert averaged["run_id"] != raw["run_id"]
    assert raw["model"]["label"] == "timm:resnet10t (last.ckpt, state_dict)"
    assert call("evaluate", str(tmp_path / "less.pth"), *command[2:]) == 2
    assert "less.pth (taken from 'model') does not fit" in (said := capsys.readouterr().err)
    assert "missing layer1.0.conv1.weight" in said
    assert call("run", "timm:resnet10t", "eurosat", "--weights", str(tmp_path / "less.pth"), *common) == 2
    assert "less.pth does not fit ResNet: missing layer1.0.conv1.weight" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_network_is_built_once_and_what_does_not_fit_is_still_the_users_mistake(
    root: Path, tmp_path: Path, trained: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    state = load_file(trained["folder"] / "model.safetensors")
    torch.save({"state_dict": {k: v * 0 for k, v in state.items()}, "state_dict_ema": state}, tmp_path / "last.ckpt")
    torch.save({"model": {k: v for k, v in state.items() if "layer1" not in k}}, tmp_path / "less.pth")
    built, build_network = list[str](), setup.build_network

    def counted(task: Any, device: Any) -> Any:
        built.append(task.name)
        return build_network(task, device)

    def execute_here(plans: list[Any], on_event: Any, **_: Any) -> list[Outcome]:
        (plan,) = plans
        return [of_record(execute(plan, lambda event: on_event({"run_id": plan.run_id} | event)))]

    monkeypatch.setattr(setup, "build_network", counted)
    monkeypatch.setattr("rsbench.api.execute", execute_here)
    where = ["--model", "timm:resnet10t", "--data-root", str(root), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert call("evaluate", str(tmp_path / "last.ckpt"), "eurosat", *where, "--threads", "1") == 0
    assert built == ["timm:resnet10t"]
    assert "warning: last.ckpt: taken from 'state_dict_ema', and not from 'state_dict'" in capsys.readouterr().err
    assert call("evaluate", str(tmp_path / "less.pth"), "eurosat", *where, "--threads", "1", "--quiet") == 2
    assert len(built) == 2
    assert "less.pth (taken from 'model') does not fit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b'{"accuracy": 0.25}', 0.25),
        (b"null", None),
        (b"\xda", None),
        (b'{"accuracy": 7.5}', None),
        (b"{}", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_floor_that_was_kept_and_is_damaged_is_made_anew(tmp_path: Path, content: bytes, kept: float | None) -> None:
    assert sanity._kept(tmp_path / "floor.json") is None
    (tmp_path / "floor.json").write_bytes(content)
    assert sanity._kept(tmp_path / "floor.json") == kept
    os.mkfifo(tmp_path / "pipe.json")
    assert sanity._kept(tmp_path / "pipe.json") is None
