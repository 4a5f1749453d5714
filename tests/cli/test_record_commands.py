"""A record's command makes the same runs again: it keeps an option if and only if the option changes a run's id."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from safetensors.torch import save_file
from typer.testing import CliRunner

from rsbench.cli.app import build
from rsbench.plan import RunPlan

Ids = Callable[[list[str]], tuple[set[str], str]]

RAY = ("--launcher", "ray")
# Every option, with a value that is not its default.  Those of HERE show the plans instead of running them.
RUN: dict[str, list[str]] = {
    "--protocol": ["helber-80-20"],
    "--recipe": ["eurosat-short"],
    "--seeds": ["3"],
    "--set": ["lr=0.5"],
    "--option": ["input_size=96"],
    "--weights": ["WEIGHTS"],
    "--epochs": ["2"],
    "--batch": ["32"],
    "--lr": ["0.25"],
    "--device": ["cpu"],
    "--precision": ["bf16"],
    "--overfit": ["8"],
    "--train-fraction": ["0.5"],
    "--shots": ["4"],
    "--devices": ["2"],
    "--nodes": ["1"],
    "--strategy": ["ddp"],
    "--compile": ["default"],
    "--checkpoint-activations": [],
    "--threads": ["1"],
    "--out": ["elsewhere"],
    "--data-root": ["ROOT"],
    "--launcher": ["ray"],
    "--parallel": ["2"],
    "--ray-address": ["auto", *RAY],
    "--cpus-per-run": ["1", *RAY],
    "--gpus-per-run": ["0", *RAY],
    "--observer": ["mllog"],
    "--quiet": [],
}
MULTITASK = {
    "--weight": ["eurosat@helber-80-20=0.5"],
    "--steps-per-epoch": ["3"],
    "--single-task": [],
    "--recipe": ["spatialnet-short"],
    "--option": ["input_size=32"],
} | {o: v for o, v in RUN.items() if o in {"--seeds", "--set", "--device", "--precision", "--overfit", "--threads"}}
MULTITASK |= {o: RUN[o] for o in ("--out", "--data-root", "--launcher", "--parallel", "--ray-address", "--quiet")}
MULTITASK |= {o: RUN[o] for o in ("--cpus-per-run", "--gpus-per-run", "--observer")}
EVALUATE = {
    "--model": ["timm:resnet34"],
    "--system": ["theirs"],
    "--normalization": ["unit"],
    "--state": ["state_dict"],
    "--set": ["batch=2"],
    "--recipe": ["spatialnet-short"],
} | {o: RUN[o] for o in ("--protocol", "--option", "--device", "--precision", "--threads", "--out")}
EVALUATE |= {o: RUN[o] for o in ("--data-root", "--observer", "--quiet")}
HERE = {"--dry-run", "--json", "--measure"}
ELSEWHERE = {"--suite", "--backbone", "--from"}  # a file of runs; an option that the model here has not; a finished run
COMMANDS = {
    "run": (["run", "timm:resnet18", "eurosat"], RUN),
    "multitask": (["multitask", "spatialnet-vit", "eurosat", "eurosat@helber-80-20"], MULTITASK),
    "evaluate": (["evaluate", "WEIGHTS", "eurosat", "--model", "timm:resnet18"], EVALUATE),
}


@pytest.fixture(scope="module")
def root(root: Path) -> Path:
    save_file({"weight": torch.zeros(1)}, root / "net.safetensors")
    return root


@pytest.fixture
def ids(root: Path, monkeypatch: pytest.MonkeyPatch) -> Ids:
    """Ids of the runs of a command, and the command that their records would hold."""
    monkeypatch.setenv("RSBENCH_DATA", str(root))
    monkeypatch.chdir(root)
    monkeypatch.setattr("rsbench.cli.dry_run.try_weights", lambda plans: None)  # one file for several networks
    monkeypatch.setattr("rsbench_ray.cluster.require_ray", lambda: None)

    def plans(arguments: list[str]) -> tuple[set[str], str]:
        words = [{"WEIGHTS": str(root / "net.safetensors"), "ROOT": str(root)}.get(word, word) for word in arguments]
        monkeypatch.setattr(sys, "argv", ["rsbench", *words])
        done = CliRunner().invoke(build(), [*words, "--dry-run", "--json"])
        assert done.exit_code == 0, done.output
        found = [RunPlan(**plan) for plan in json.loads(done.stdout)]
        (command,) = {plan.public_dict()["command"] for plan in found}
        assert command.startswith("rsbench ")
        return {plan.run_id for plan in found}, command.removeprefix("rsbench ")

    return plans


def parameters(command: str) -> set[str]:
    found: Any = typer.main.get_command(build()).commands[command]  # type: ignore[attr-defined]
    return {next(o for o in p.opts if o.startswith("--")) for p in found.params if p.param_type_name == "option"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_case(command: str) -> None:
    assert parameters(command) - HERE - ELSEWHERE == set(COMMANDS[command][1])


@pytest.mark.parametrize(
    ("command", "option"), [(command, option) for command, (_, options) in COMMANDS.items() for option in options]
)
def test_a_command_keeps_an_option_that_changes_the_run(command: str, option: str, ids: Ids) -> None:
    base, options = COMMANDS[command]
    plain, without = ids(base)
    runs, kept = ids([*base, option, *options[option]])
    assert (kept != without) == (runs != plain)
    assert ids(shlex.split(kept))[0] == runs  # beside its file of weights, wherever that lies


def test_all_options_at_once(ids: Ids) -> None:
    # An overfit batch cannot be shared and is all that trains; not with --compile.
    alone = {"--devices", "--train-fraction", "--shots", "--checkpoint-activations"}
    words = [word for option, values in RUN.items() if option not in alone for word in (option, *values)]
    runs, kept = ids(["run", "timm:resnet18", "eurosat", *words])
    assert kept == (
        "run timm:resnet18 eurosat --protocol helber-80-20 --recipe eurosat-short --seeds 3 --set lr=0.5 "
        "--option input_size=96 --weights net.safetensors --epochs 2 --batch 32 --lr 0.25 --device cpu "
        "--precision bf16 --overfit 8"
    )
    assert ids(shlex.split(kept))[0] == runs


def test_a_suite_is_kept(root: Path, ids: Ids) -> None:
    (root / "suite.yaml").write_text("runs: [{model: tiny-cnn, dataset: eurosat}]")
    runs, kept = ids(["run", "--suite", "suite.yaml", "--threads", "1", "--device", "cpu"])
    assert kept == "run --suite suite.yaml --device cpu"
    assert ids(shlex.split(kept))[0] == runs


def test_a_measurement_of_speed_keeps_what_speed_depends_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[RunPlan] = []
    monkeypatch.setattr("rsbench_throughput.command._execute", lambda plans, quiet: made.extend(plans) or [])
    monkeypatch.setattr("rsbench_throughput.command._show", lambda *_: None)
    base = ["throughput", "timm:resnet18"]
    options: dict[str, list[str]] = {
        "--task": ["classification"],  # the default
        "--classes": ["3"],
        "--size": ["32"],
        "--channels": ["4"],
        "--batch": ["1,8"],
        "--mode": ["training"],
        "--option": ["weights=imagenet"],
        "--compile": ["max-autotune-no-cudagraphs"],
        "--quick": [],
    } | {o: RUN[o] for o in ("--device", "--precision", "--threads", "--out", "--data-root", "--quiet")}
    assert parameters("throughput") - {"--json"} == set(options)

    def measured(words: list[str]) -> tuple[str, str]:
        words = [str(root) if word == "ROOT" else word for word in words]
        monkeypatch.setattr(sys, "argv", ["rsbench", *words])
        done = CliRunner().invoke(build(), words)
        assert done.exit_code == 0, done.output
        return made[-1].run_id.rpartition("-")[2], made[-1].public_dict()["command"].removeprefix("rsbench ")

    plain, without = measured(base)
    for option, values in options.items():
        found, kept = measured([*base, option, *values])
        assert measured(shlex.split(kept))[0] == found
        if option != "--task":
            assert (kept != without) == (found != plain), option
