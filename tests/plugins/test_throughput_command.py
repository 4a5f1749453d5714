"""``rsbench throughput`` as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rsbench_throughput.plan import ThroughputRequest, expand, parse_batches, parse_mode
from typer.testing import CliRunner, Result

from rsbench.cli.app import build
from rsbench.errors import UserError, UserErrors


def rsbench(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "160", "RSBENCH_DATA": str(cwd)}
    command = [sys.executable, "-m", "rsbench", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=280)


def within(*arguments: str) -> Result:
    """Call a command in this process."""
    return CliRunner().invoke(build(), arguments)


def test_measure_board_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ["--quick", "--batch", "1,2", "--mode", "inference", "--size", "16", "--threads", "1", "--device", "cpu"]
    done = rsbench(tmp_path, "throughput", "tiny-cnn", *quick)
    assert done.returncode == 0, done.stderr
    assert "inference, batch 2" in done.stderr
    assert "tiny-cnn" in done.stdout
    (path,) = tmp_path.glob("rsbench-results/throughput-tiny-cnn-*/record.json")
    record = json.loads(path.read_text())
    assert record["plan"]["command"].startswith("rsbench throughput tiny-cnn")
    assert [p["batch"] for p in record["perf"]["inference"]["points"]] == [1, 2]
    rows = json.loads(within("leaderboard", "--throughput", "--format", "json").stdout)["rows"]
    assert [(r["system"], r["mode"]) for r in rows] == [("tiny-cnn", "inference")]
    assert within("verify", "rsbench-results").exit_code == 0
    accuracy = within("leaderboard")
    assert "No finished runs to rank." in accuracy.stdout
    assert "--throughput" in accuracy.stderr
    written = ["leaderboard", "--throughput", "--format", "markdown", "--output", "speeds.md"]
    assert within(*written).exit_code == 0
    assert within(*written, "--check").exit_code == 0
    (tmp_path / "speeds.md").write_text("old")
    assert within(*written, "--check").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tiny-cm"], "There is no model 'tiny-cm'. Did you mean 'tiny-cnn'"),
        (["tiny-cnn", "--task", "vqa"], "Model 'tiny-cnn' is for classification, not for vqa."),
        (["majority-class"], "fitted in one go"),
        (["tiny-cnn", "--batch", "0,4"], "--batch takes auto or whole numbers"),
        (["tiny-cnn", "--mode", "train"], "--mode is one of inference, training, both"),
        (["tiny-cnn", "--compile", "fast"], "--compile is one of none, default"),
        (["vgg19-lstm", "--size", "8"], "takes images of at least 32 pixels, not 8."),
    ],
)
def test_mistakes_are_one_sentence_and_exit_with_two(tmp_path: Path, arguments: list[str], expected: str) -> None:
    done = rsbench(tmp_path, "throughput", *arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_processes_that_would_share_a_device_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun starts one for each GPU, and all would measure the first."""
    names = {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    for name, value in (names | {"MASTER_ADDR": "127.0.0.1"}).items():
        monkeypatch.setenv(name, value)
    done = rsbench(tmp_path, "throughput", "tiny-cnn", "--quick", "--device", "cpu")
    assert done.returncode == 2
    assert "Throughput is that of one device" in done.stderr
    assert not list(tmp_path.glob("rsbench-results"))


def test_help_has_examples(tmp_path: Path) -> None:
    done = rsbench(tmp_path, "throughput", "--help")
    assert "rsbench throughput tiny-cnn bmta timm:resnet18" in done.stdout


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(UserErrors) as caught:
        expand(ThroughputRequest(models=("no-such", "majority-class"), precision="fp8"))
    assert len(caught.value.problems) == 3


def test_words() -> None:
    assert parse_batches("auto") is None
    assert parse_batches("64,1, 8,8") == (1, 8, 64)
    assert parse_mode("both") == ("inference", "training")
    with pytest.raises(UserError):
        parse_batches("-1")


def test_a_plan_has_the_shapes_of_the_shipped_datasets_and_random_weights() -> None:
    first, second, third = expand(
        ThroughputRequest(models=("resnet18-class-focal", "vgg19-lstm", "lobry2020"), channels=3, threads=1)
    )
    assert [p.dataset["image_shape"] for p in (first, second, third)] == [[3, 64, 64], [3, 256, 256], [3, 256, 256]]
    assert [len(p.dataset["classes"]) for p in (first, second, third)] == [10, 21, 9]
    assert first.model["options"]["weights"] == "none"
    assert first.model["label"] == "resnet18-class-focal"
    assert {p.division for p in (first, second, third)} == {"throughput"}
    assert len({p.protocol["fingerprint"] for p in (first, second, third)}) == 3  # one a task


def test_planning_is_light() -> None:
    code = "import sys, rsbench_throughput.plan, rsbench.leaderboard.render; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
