"""The command line as a user meets it: exit codes, one-sentence errors; whole processes where signals, installed
plugins or what a process imports make a difference."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from rsbench import __version__
from rsbench.cli.app import build
from rsbench.registry import registry

FAST = ["--set", "epochs=2", "--set", "batch=8", "--threads", "1", "--device", "cpu"]


def start(root: Path, cwd: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "RSBENCH_DATA": str(root), "COLUMNS": "160", **variables}
    command = [sys.executable, "-m", "rsbench", *arguments]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    heeded = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would theirs
    try:
        return subprocess.Popen(command, cwd=cwd, env=environment, **options)  # type: ignore[call-overload]
    finally:
        signal.signal(signal.SIGINT, heeded)


def rsbench(root: Path, cwd: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    process = start(root, cwd, *arguments, **variables)
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def within(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call a command in this process, whose server of workers has imported torch for all tests."""
    monkeypatch.setenv("RSBENCH_DATA", str(root))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(build(), arguments)


def test_run_leaderboard_verify_and_cached(root: Path, within: Callable[..., Result], tmp_path: Path) -> None:
    done = rsbench(root, tmp_path, "run", "tiny-cnn,majority-class", "eurosat", "--seeds", "0-1", *FAST)
    assert done.returncode == 0, done.stderr
    assert "[1/3]" in done.stderr
    assert "epoch 2/2" in done.stderr
    board = rsbench(root, tmp_path, "leaderboard")
    assert "tiny-cnn" in board.stdout
    assert "baseline" in board.stdout
    assert within("verify", "rsbench-results").stdout.startswith("3 records verified (fields: ")
    again = within("run", "tiny-cnn", "eurosat", "--seeds", "0-1", "--json", *FAST)
    assert [o["status"] for o in json.loads(again.stdout)] == ["cached", "cached"]
    dry = within("run", "tiny-cnn", "eurosat", "--seeds", "0", "--dry-run", *FAST)
    assert "by earlier runs" in dry.stdout
    path = tmp_path / "board.md"
    written = ["leaderboard", "--format", "markdown", "--output", str(path)]
    assert within(*written).exit_code == 0
    assert within(*written, "--check").exit_code == 0
    path.write_text("old")
    stale = within(*written, "--check")
    assert stale.exit_code == 1
    assert "out of date" in stale.stderr


def test_failed_run_exits_with_one_and_others_go_on(within: Callable[..., Result], tmp_path: Path) -> None:
    arguments = [
        "run",
        "tiny-cnn,majority-class",
        "eurosat",
        "--seeds",
        "0",
        "--set",
        "optimizer=sgd",
        "--set",
        "lr=1e12",
    ]
    done = within(*arguments, *FAST)
    assert done.exit_code == 1
    assert "lower the learning rate" in done.output
    assert "Traceback" not in done.output
    records = [json.loads(p.read_text()) for p in tmp_path.glob("rsbench-results/*/record.json")]
    assert sorted(r["status"] for r in records) == ["failed", "ok"]


def test_a_worker_that_dies_leaves_a_record(root: Path, tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(
        "from rsbench import hookimpl\n@hookimpl\ndef rsbench_run_start(plan):\n    import os; os.kill(os.getpid(), 9)\n"
    )
    info = tmp_path / "deadly-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[rsbench]\ndeadly = deadly\n")
    done = rsbench(root, tmp_path, "run", "majority-class", "eurosat", *FAST, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    (path,) = tmp_path.glob("rsbench-results/*/record.json")
    error = json.loads(path.read_text())["error"]
    assert error["stage"] == "process"
    assert "SIGKILL" in error["message"]
    blocked = rsbench(
        root, tmp_path, "-p", "no:deadly", "run", "majority-class", "eurosat", *FAST, PYTHONPATH=str(tmp_path)
    )
    assert blocked.returncode == 0


@pytest.mark.parametrize(
    ("number", "to_group", "code"),
    [
        (signal.SIGINT, True, 130),
        (signal.SIGINT, False, 130),
        (signal.SIGTERM, True, 143),
        (signal.SIGTERM, False, 143),
    ],
)
def test_interrupt_and_go_on(root: Path, tmp_path: Path, number: int, to_group: bool, code: int) -> None:
    """Ctrl-C reaches the whole foreground group, Kubernetes' SIGTERM the first process alone."""
    arguments = ["run", "tiny-cnn", "eurosat", "--seeds", "0-1", "--set", "epochs=3000", *FAST[2:]]
    process = start(root, tmp_path, *arguments)
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 5/" in line:
            break
    (os.killpg if to_group else os.kill)(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    (state,) = tmp_path.glob("rsbench-results/*/resume.pt")
    assert said.count("rsbench: stopping") == 1
    *_, last = said.splitlines()
    assert "the same command resumes from rsbench-results. Not finished: " in last
    assert set(last.rpartition(": ")[2].rstrip(".").split(", ")) > {state.parent.name}  # and that which was not begun
    assert "Traceback" not in said
    assert not list(tmp_path.glob("rsbench-results/*/record.json"))
    again = start(root, tmp_path, *arguments)
    assert again.stderr is not None
    first = next(line for line in again.stderr if " epoch " in line)
    os.killpg(again.pid, signal.SIGINT)
    again.communicate(timeout=60)
    assert int(first.split(" epoch ")[1].split("/")[0]) >= 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "bmat", "eurosat"], "Did you mean 'bmta'"),
        (["run", "bmta"], "On which dataset"),
        (["run", "bmta", "eurosat", "--set", "lrr=1"], "Did you mean 'lr'"),
        (["run", "bmta", "eurosat", "--seeds", "x"], "does not name seeds"),
        (["run", "bmta", "eurosat", "--launcher", "slurm", "--dry-run"], "not one of local, ray"),
        (["run", "bmta", "eurosat", "--observer", "mlog", "--dry-run"], "Did you mean 'mllog'"),
        (["run", "--suite", "nowhere.yaml"], "cannot be read"),
        (["run", "bmta", "eurosat-ms"], "rsbench data prepare eurosat-ms"),
        (["list", "modls"], "Did you mean 'models'"),
        (["show", "bmat"], "Did you mean 'bmta'"),
        (["data", "prepare", "eurosat-ms"], "give --source PATH"),
        (["leaderboard", "nowhere"], "no file or folder"),
        (["leaderboard", "--format", "docx", "."], "not a format"),
        (["score", "--task", "captoning"], "captioning"),
        (["score"], "Give --predictions"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_two(root: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = rsbench(root, tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("rsbench: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "rsbench-results").exists()


def test_doctor_and_lists(root: Path, tmp_path: Path) -> None:
    facts = json.loads(rsbench(root, tmp_path, "doctor", "--json").stdout)
    assert facts["problems"] == []
    assert facts["prepared"] == ["eurosat-1"]
    names = [r["name"] for r in json.loads(rsbench(root, tmp_path, "list", "models", "--json").stdout)]
    assert {"bmta", "timm:*", "majority-class"} <= set(names)
    listed = rsbench(root, tmp_path, "list", "models", "timm:resnet1*").stdout.splitlines()
    assert "timm:resnet18" in [line.partition(" ")[0] for line in listed]
    shown = json.loads(rsbench(root, tmp_path, "show", "bmta", "--json").stdout)
    assert shown["params"] == 13_115_813
    assert shown["distribution"] == "rsbench"


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "run"], ["-p", "no:mlflow", "--version"]])
def test_version_needs_no_command(within: Callable[..., Result], arguments: list[str]) -> None:
    done = within(*arguments)
    assert (done.exit_code, done.output) == (0, f"rsbench {__version__}\n")


def test_data_prepare_and_verify(root: Path, tmp_path: Path) -> None:
    done = rsbench(
        root, tmp_path, "data", "prepare", "eurosat", "--source", str(root / "files"), "--data-root", str(tmp_path)
    )
    assert "90 images of 3x64x64 uint8" in done.stdout
    assert rsbench(root, tmp_path, "data", "verify", "eurosat").returncode == 0
    images = np.load(tmp_path / "prepared" / "eurosat-1" / "images.npy", mmap_mode="r+")
    images[3] ^= 1
    images.flush()
    wrong = rsbench(root, tmp_path, "data", "verify", "eurosat", "--data-root", str(tmp_path))
    assert wrong.returncode == 1
    assert "in images.npy were changed" in wrong.stderr


def write(path: Path, content: object) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def test_score_files(within: Callable[..., Result], tmp_path: Path) -> None:
    references = [{"id": k, "label": c} for k, c in enumerate("abcabc")]
    predictions = [{"id": k, "probabilities": [0.8 if c == "abcabb"[k] else 0.1 for c in "abc"]} for k in range(6)]
    arguments = [
        "--predictions",
        write(tmp_path / "p.json", predictions),
        "--references",
        write(tmp_path / "r.json", references),
    ]
    done = within("score", "--task", "classification", *arguments, "--json")
    found = json.loads(done.stdout)
    assert found["metrics"]["overall_accuracy"]["value"] == pytest.approx(5 / 6)
    assert found["metrics"]["top3_accuracy"]["value"] == 1.0
    assert found["by_group"]["class"]["c"]["correct"] == 1
    assert "overall_accuracy" in within("score", *arguments).stdout


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([{"id": 0, "label": "a"}], "no prediction for '1'"),
        ([{"id": 0, "label": "a"}, {"id": 1, "label": "b"}, {"id": 2, "label": "b"}], "'2' has no reference"),
        ([{"id": 0, "label": "a"}, {"id": 0, "label": "b"}], "'0' twice"),
        ([{"id": 0, "label": "a"}, {"id": 1, "label": "z"}], "'z', which is not one of the 2 classes"),
        ([{"id": 0, "label": "a"}, {"id": 1, "probabilities": [1, 0]}], "'0' has no probabilities"),
        ([{"id": 0, "probabilities": [1, 0]}, {"id": 1, "probabilities": [1]}], "'1' has 1 probabilities for 2"),
        ([{"id": 0, "probabilities": [1, 0]}, {"id": 1, "probabilities": [0.9, 0.9]}], "'1' are not a distribution"),
        ([{"id": 0, "probabilities": [1, 0]}, {"id": 1, "probabilities": [None, 1]}], "not a finite number"),
    ],
)
def test_bad_predictions_name_the_id(tmp_path: Path, predictions: list, message: str) -> None:
    from rsbench.errors import UserError
    from rsbench.tasks.scoring import score_files

    references = [{"id": 0, "label": "a"}, {"id": 1, "label": "b"}]
    write(tmp_path / "p.json", predictions)
    write(tmp_path / "r.json", references)
    with pytest.raises(UserError, match=message):
        score_files("classification", tmp_path / "p.json", tmp_path / "r.json")


def test_score_against_a_dataset_and_keep_it(root: Path, within: Callable[..., Result], tmp_path: Path) -> None:
    from rsbench.data import splits
    from rsbench.data.store import find

    made = find(root, registry().get("dataset", "eurosat"))
    test = splits.resolve(made, registry().get("protocol", "in-domain-60-20-20")).test
    predictions = [{"id": made.ids[i], "label": int(made.labels[i])} for i in test]
    predictions[0]["label"] = (predictions[0]["label"] + 1) % 10
    arguments = [
        "eurosat",
        "--predictions",
        write(tmp_path / "p.json", predictions),
        "--save",
        "kept",
        "--system",
        "their net",
    ]
    done = within("score", *arguments, "--json")
    assert json.loads(done.stdout)["metrics"]["overall_accuracy"]["value"] == pytest.approx(29 / 30)
    board = within("leaderboard", "kept", "--format", "json")
    (row,) = json.loads(board.stdout)["rows"]
    assert (row["system"], row["division"], row["rank"]) == ("their net", "external", None)
    assert within("verify", "kept").exit_code == 0
    for seed in (1, 2):
        predictions[seed]["label"] = (predictions[seed]["label"] + 1) % 10
        write(tmp_path / "p.json", predictions)
        assert within("score", *arguments, "--seed", str(seed)).exit_code == 0
    (row,) = json.loads(within("leaderboard", "kept", "--format", "json").stdout)["rows"]
    assert (row["seeds"], row["mean"]) == (3, pytest.approx(28 / 30))
    assert within("score", *arguments, "--seed", "1").exit_code == 0  # what has been said of seed 2
    board = json.loads(within("leaderboard", "kept", "--format", "json").stdout)
    assert sorted(row["seeds"] for row in board["rows"]) == [1, 1, 2]
    assert [row["rank"] for row in board["rows"] if "contradicting records of seed 1" in row["flags"]] == [None, None]
    assert board["records"] == {"read": 4, "shown": 4, "rows": 3, "left_out": {}}
    long = within("score", *arguments[:-1], "x" * 300)
    assert long.exit_code == 0, long.stderr


def test_interrupt_before_training_is_quick(root: Path, tmp_path: Path) -> None:
    process = start(root, tmp_path, "run", "tiny-cnn", "eurosat", *FAST)
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "rsbench: " in said
    assert "Traceback" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_one_sentence(root: Path, tmp_path: Path) -> None:
    (tmp_path / "board.md").symlink_to("/dev/full")
    (tmp_path / "empty").mkdir()
    done = rsbench(root, tmp_path, "leaderboard", "empty", "--format", "markdown", "--output", "board.md")
    assert done.returncode == 2
    assert "No space left on device; make room" in done.stderr
    assert "Traceback" not in done.stderr
