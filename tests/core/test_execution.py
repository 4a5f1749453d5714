"""What a run's execution cannot be is refused in a sentence before anything starts, by every door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rsbench
from rsbench.cli.app import build
from rsbench.engine.training.device import select_device
from rsbench.errors import UserError
from rsbench.execution import Execution

DEVICES = ["tpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1.0", "CUDA", "", " cpu", "cpu:0", "cuda:0\n", "cuda:99999999999"]


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_that_none_is(device: str) -> None:
    assert list(Execution(device=device).misfits()) == ["device"]
    with pytest.raises(UserError, match="is not auto, cpu, cuda or cuda:N"):
        select_device(device)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("threads", -1, "--threads is a whole number, 0 or more; '-1' is not."),
        ("threads", "two", "--threads is a whole number, 0 or more; 'two' is not."),
        ("devices", 0, "--devices is a whole number, 1 or more; '0' is not."),
        ("devices", 1.0, "--devices is a whole number, 1 or more; '1.0' is not."),
        ("devices", True, "--devices is a whole number, 1 or more; 'True' is not."),
        ("nodes", float("nan"), "--nodes is a whole number, 1 or more; 'nan' is not."),
        ("strategy", "dpp", "--strategy is one of auto, ddp, fsdp; 'dpp' is not. Did you mean 'ddp'?"),
        ("strategy", 7, "--strategy is one of auto, ddp, fsdp; '7' is not."),
        ("device", 0, "--device is auto | cpu | cuda | cuda:N; '0' is not."),
    ],
)
def test_a_sentence_for_each_field(field: str, value: Any, said: str) -> None:
    given: dict[str, Any] = {field: value}
    assert Execution(**given).misfits() == {field: said}
    with pytest.raises(UserError) as caught:  # as a program gives it, beside what else is wrong
        rsbench.run("no-such-net", "scenes", data_root="/nowhere", **given)
    assert said in str(caught.value)
    assert "no-such-net" in str(caught.value)


def test_defaults_fit() -> None:
    assert Execution().misfits() == {}
    assert Execution(device="cuda:3", threads=4, devices=2, compile="auto").misfits() == {}


@pytest.mark.parametrize(
    "command",
    [
        ["run", "tiny-cnn", "scenes"],
        ["evaluate", "no-file", "scenes", "--model", "tiny-cnn"],
        ["multitask", "spatialnet-vit", "scenes", "scenes-vqa"],
        ["throughput", "tiny-cnn"],
        ["predict", "no-run", "no-image"],
    ],
)
def test_every_command_says_so_first(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(build(), [*command, "--device", "tpu"])
    assert str(done.exception) == "--device is auto | cpu | cuda | cuda:N; 'tpu' is not."
    assert not [*tmp_path.iterdir()]
