"""Runs whose memory runs out, played by a network that refuses batches above some size."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from one_run import one_run
from torch import nn

from rsbench.engine.input.loader import Batch
from rsbench.engine.run.run import execute
from rsbench.engine.step.compiled import Compiled
from rsbench.engine.step.oom_recovery import CHECK, WATCHED, StepRunner
from rsbench.engine.training import trainer
from rsbench.engine.training.single_device import SingleDeviceFabric
from rsbench.plan import RunPlan

CPU = torch.device("cpu")
BATCH = 8


class Short(nn.Module):
    """A classifier that finds no memory for more than ``room`` images in training."""

    room: ClassVar[int] = 10**6
    seen: ClassVar[list[int]] = []
    error: ClassVar[Exception] = torch.OutOfMemoryError("out of memory")

    def __init__(self, *_: Any) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm2d(3), nn.Dropout(0.5)
        self.head = nn.Linear(3 * 64 * 64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(self.norm(x))  # before memory runs out, random numbers and statistics have moved on
        if torch.is_grad_enabled() and len(x) > self.room:
            raise self.error
        if torch.is_grad_enabled():
            self.seen.append(len(x))
        return self.head(x.flatten(1))


class Plain(Short):
    """Without a layer that looks at a whole batch, and without chance."""

    def __init__(self, *_: Any) -> None:
        super().__init__()
        self.norm, self.drop = nn.Identity(), nn.Identity()  # type: ignore[assignment]


class Blocks(Plain):
    """A network with a block to checkpoint."""

    def __init__(self, *_: Any) -> None:
        super().__init__()
        self.drop = nn.Sequential(nn.Sequential(nn.Identity()))  # type: ignore[assignment]


class Labeling:
    def loss(self, model: Any, batch: Any, loss: Any) -> torch.Tensor:
        return loss(model(batch.images), batch.targets)


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Short, "room", 10**6)
    monkeypatch.setattr(Short, "error", torch.OutOfMemoryError("out of memory"))
    monkeypatch.setattr(Short, "seen", [])


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(torch.randn(BATCH, 3, 64, 64, generator=generator), torch.arange(BATCH), np.arange(BATCH))


def gradients_of(model: nn.Module, epoch: int | None = 1) -> StepRunner:
    made = StepRunner(Labeling(), nn.CrossEntropyLoss(), SingleDeviceFabric(CPU, "fp32"), model.train(), CPU)
    if epoch is not None:
        made.epoch_begins(epoch)
    return made


def plan_of(root: Path, out: Path, **changes: Any) -> RunPlan:
    recipe = {"epochs": 3, "batch": BATCH, "schedule": "constant", "schedule_options": {}, "augmentation": {}}
    recipe |= {"optimizer": "sgd", "lr": 1e-4, "precision": "fp32"}
    return one_run(root, out, recipe, **changes)


def run_of(root: Path, out: Path, monkeypatch: pytest.MonkeyPatch, model: type[nn.Module], **changes: Any) -> Any:
    monkeypatch.setattr("rsbench_scenes.network.tiny_cnn", model)
    return execute(plan_of(root, out, **changes), lambda event: None)


def losses(record: Any) -> list[float]:
    return [entry["train_loss"] for entry in record["train"]["curve"]]


def test_a_run_goes_on_in_micro_batches(tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run_of(tiny_root, tmp_path / "whole", monkeypatch, Plain)
    monkeypatch.setattr(Short, "room", 3)
    short = run_of(tiny_root, tmp_path / "short", monkeypatch, Plain)
    assert (whole["status"], short["status"]) == ("ok", "ok")
    assert losses(short) == pytest.approx(losses(whole), abs=1e-6)
    assert short["train"]["steps"] == whole["train"]["steps"]
    assert short["train"]["samples"] == whole["train"]["samples"]
    assert whole["env"]["flags"]["micro_batches"] == 1
    assert short["env"]["flags"]["micro_batches"] == 4
    assert short["env"]["flags"]["checkpoint_activations"] is False
    assert CHECK not in [c["name"] for c in whole["checks"]]
    (check,) = [c for c in short["checks"] if c["name"] == CHECK]
    assert check["ok"]
    assert "from epoch 1 on steps take 2 micro-batches of at most 4 images" in check["detail"]
    assert "from epoch 1 on steps take 4 micro-batches of at most 2 images" in check["detail"]


def test_memory_that_runs_out_later(tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsbench_scenes.network.tiny_cnn", Plain)
    whole = execute(plan_of(tiny_root, tmp_path / "whole"), lambda event: None)

    def shorten(event: dict[str, Any]) -> None:
        if event["type"] == "epoch" and event["epoch"] == 2:
            monkeypatch.setattr(Short, "room", 4)

    record = execute(plan_of(tiny_root, tmp_path / "short"), shorten)
    (check,) = [c for c in record["checks"] if c["name"] == CHECK]
    assert "from epoch 3 on steps take 2 micro-batches of at most 4 images." in check["detail"]
    assert losses(record) == pytest.approx(losses(whole), abs=1e-6)


def test_checkpoints_come_before_micro_batches(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Short, "room", 4)
    record = run_of(tiny_root, tmp_path, monkeypatch, Blocks)
    (check,) = [c for c in record["checks"] if c["name"] == CHECK]
    first, second = check["detail"].split("; ")
    assert first == "Memory ran out: from epoch 1 on activations are checkpointed"
    assert second.startswith("from epoch 1 on steps take 2 micro-batches")
    assert record["env"]["flags"]["checkpoint_activations"] is True


def test_checkpoints_on_request(tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = run_of(tiny_root, tmp_path / "kept", monkeypatch, Blocks)
    record = run_of(tiny_root, tmp_path / "again", monkeypatch, Blocks, checkpoint_activations=True)
    assert record["run_id"] == given["run_id"]
    assert record["plan"] == given["plan"]
    assert record["env"]["flags"]["checkpoint_activations"] is True
    assert losses(record) == losses(given)
    assert record["artifacts"]["predictions"] == given["artifacts"]["predictions"]
    refused = run_of(tiny_root, tmp_path / "none", monkeypatch, Plain, checkpoint_activations=True)
    assert "has no blocks to checkpoint" in refused["error"]["message"]


class Wide(Plain):
    """Finds no memory for more than ``room`` images in evaluation either."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled() and len(x) > self.room:
            raise self.error
        if not self.training:
            self.seen.append(len(x))
        return super().forward(x)


def test_evaluation_takes_fewer_images_at_once(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_of(tiny_root, tmp_path / "whole", monkeypatch, Wide)
    split = max(Short.seen)
    monkeypatch.setattr(Short, "room", BATCH)
    Short.seen.clear()
    short = run_of(tiny_root, tmp_path / "short", monkeypatch, Wide)
    assert whole["status"] == short["status"] == "ok"
    assert BATCH // 2 <= max(Short.seen) <= BATCH < split
    assert losses(short) == losses(whole)
    assert {name: m["value"] for name, m in short["metrics"].items()} == {
        name: m["value"] for name, m in whole["metrics"].items()
    }


def test_what_is_compiled_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA graphs of a whole batch hold the memory that is to be had by cutting it."""
    forgotten: list[int] = []
    monkeypatch.setattr("rsbench.engine.step.oom_recovery.reset_compiled", lambda device: forgotten.append(taken.parts))
    monkeypatch.setattr(Short, "room", 4)
    taken = gradients_of(Plain())
    taken.compiled = Compiled.__new__(Compiled)
    taken(taken.network, batch())
    assert forgotten == [1]
    assert taken.parts == 2


def test_no_memory_for_one_image(tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Short, "room", 0)
    record = run_of(tiny_root, tmp_path, monkeypatch, Plain)
    assert record["status"] == "failed"
    assert record["error"]["message"].startswith(
        "The device ran out of memory, and the batch cannot be cut further: use"
    )


def test_other_errors_are_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Short, "room", 4)
    monkeypatch.setattr(Short, "error", RuntimeError("shapes do not match"))
    taken = gradients_of(Plain())
    with pytest.raises(RuntimeError, match="shapes do not match"):
        taken(taken.network, batch())
    assert taken.parts == 1


def test_ranks_do_not_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Short, "room", 4)
    model = Plain()
    taken = StepRunner(Labeling(), nn.CrossEntropyLoss(), SingleDeviceFabric(CPU, "fp32"), model, CPU, retries=False)
    taken.epoch_begins(1)
    with pytest.raises(torch.OutOfMemoryError):
        taken(model, batch())


def test_ranks_do_not_cut_what_one_device_had_to() -> None:
    alone = gradients_of(Short())
    alone.parts = 4
    ranked = StepRunner(Labeling(), nn.CrossEntropyLoss(), SingleDeviceFabric(CPU, "fp32"), Short(), CPU, retries=False)
    ranked.load_state_dict(alone.state_dict())
    resumed = gradients_of(Short())
    resumed.load_state_dict(alone.state_dict())
    assert (ranked.parts, resumed.parts) == (1, 4)


def test_a_step_is_done_again_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same dropout and the same running statistics as a step that was cut from the beginning."""
    torch.manual_seed(0)
    planned, surprised = Short(), Short()
    surprised.load_state_dict(planned.state_dict())
    first, second = gradients_of(planned), gradients_of(surprised)
    first.parts = 2
    torch.manual_seed(1)
    expected = first(planned, batch())
    after = torch.get_rng_state()
    monkeypatch.setattr(Short, "room", 4)
    torch.manual_seed(1)
    assert torch.equal(second(surprised, batch()), expected)
    assert second.parts == 2
    assert torch.equal(torch.get_rng_state(), after)
    for (name, ours), theirs in zip(surprised.state_dict().items(), planned.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
    for ours, theirs in zip(surprised.parameters(), planned.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.equal(ours.grad, theirs.grad)
    assert "random numbers" not in second.checks()[0]["detail"]


def test_a_surprise_in_the_middle_of_an_epoch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = gradients_of(Short())
    for _ in range(WATCHED):
        taken(taken.network, batch())
    monkeypatch.setattr(Short, "room", 4)
    taken(taken.network, batch())
    assert "the first of them with random numbers of its own" in taken.checks()[0]["detail"]


def test_micro_batches_survive_an_interruption(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rsbench_scenes.network.tiny_cnn", Short)
    monkeypatch.setattr(Short, "room", 4)
    whole = execute(plan_of(tiny_root, tmp_path / "whole"), lambda event: None)
    monkeypatch.setattr(trainer, "PROGRESS_SECONDS", -1.0)
    calls = iter(range(10**6))
    plan = plan_of(tiny_root, tmp_path / "parts")
    with pytest.raises(trainer.Interrupted):
        execute(plan, lambda event: None, lambda: next(calls) >= 4)
    monkeypatch.setattr(Short, "room", 10**6)
    Short.seen.clear()
    rest = execute(plan, lambda event: None)
    assert set(Short.seen[3:]) == {4}  # after the three passes of preflight
    assert rest["env"]["flags"]["micro_batches"] == 2
    assert [c for c in rest["checks"] if c["name"] == CHECK] == [c for c in whole["checks"] if c["name"] == CHECK]
    assert losses(rest) == losses(whole)
    assert rest["artifacts"]["predictions"]["sha256"] == whole["artifacts"]["predictions"]["sha256"]
