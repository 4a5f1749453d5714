"""The share of a training step that feeding it adds: arithmetic with a made-up clock, and the real loader."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from rsbench_throughput import feed
from rsbench_throughput.nvml import Nvml
from rsbench_throughput.plan import QUICK, ThroughputRequest, expand
from rsbench_throughput.points import Timer
from rsbench_throughput.record import checked, data_wait_share
from rsbench_throughput.subject import Workload

from rsbench.engine.run.report import Machine

CPU = torch.device("cpu")


class Turns:
    """A clock to which windows take the given seconds in turn, after a warm-up of one second each."""

    def __init__(self, *seconds: float) -> None:
        self.seconds, self.warm = list(seconds), True

    def window(self, step: Callable[[], object], steps: int) -> float:
        step()
        return self.seconds.pop(0) if self.seconds else 1.0


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workload:
    monkeypatch.setattr(feed, "STORE_BYTES", 1 << 14)
    (plan,) = expand(
        ThroughputRequest(models=("tiny-cnn",), size=16, threads=1, device="cpu", precision="fp32", out=str(tmp_path))
    )
    return Workload.build(plan, Machine.prepare(plan))


def meter(clock: Any, check: Callable[[], None] = lambda: None) -> Timer:
    rules = {**QUICK, "windows": 3, "window_s": 1e-9, "agree": 1}
    return Timer(clock, rules, CPU, Nvml(CPU), lambda event: None, check, "images")


def test_the_share_is_what_the_median_window_loses() -> None:
    assert data_wait_share([1.0, 4.0, 9.0], [3.0, 2.0, 8.0]) == 0.25
    assert data_wait_share([2.0], [2.5]) == -0.25


def test_windows_are_taken_in_turn(subject: Workload) -> None:
    """First call, warm-up, and a step on the batch that is there; then fed and still windows alternate."""
    found = feed.data_wait(subject, 4, meter(Turns(1.0, 1.0, 1.0, 5.0, 4.0, 6.0, 3.0, 5.5, 3.5)))
    assert found is not None
    assert (found["fed_s"], found["still_s"]) == ([5.0, 6.0, 5.5], [4.0, 3.0, 3.5])
    assert (found["batch"], found["share"]) == (4, pytest.approx(2 / 5.5))


def test_weights_move_and_every_batch_is_another(subject: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    loss = subject.task.loss

    def spy(model: Any, batch: Any, value: Any) -> torch.Tensor:
        seen.append(batch.images.clone())
        return loss(model, batch, value)

    monkeypatch.setattr(subject.task, "loss", spy)
    before = [p.detach().clone() for p in subject.model.parameters()]
    feed.data_wait(subject, 4, meter(Turns()))
    assert any(not torch.equal(a, b) for a, b in zip(before, subject.model.parameters(), strict=True))
    fed, still = seen[-6::2], seen[-5::2]
    assert torch.equal(still[0], still[1])
    assert not torch.equal(fed[0], fed[1])


def test_the_loader_gives_normalized_images_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "STORE_BYTES", 1 << 18)
    loader = feed.loader_of((4, 3, 16, 16), CPU)
    batches = [batch.images.clone() for batch in islice(feed.endless(loader), len(loader) + 1)]
    assert all(b.shape == (4, 3, 16, 16) and b.dtype == torch.float32 for b in batches)
    every = torch.stack(batches)
    assert abs(float(every.mean())) < 0.02  # integers 0 .. 255 with mean 127.5 and deviation 73.9
    assert float(every.std()) == pytest.approx(1.0, abs=0.02)
    assert len(loader) * 4 * 3 * 16 * 16 <= feed.STORE_BYTES


def test_no_memory_is_null_and_other_errors_pass(subject: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: Exception) -> None:
        def made(*_: Any) -> Any:
            raise error

        monkeypatch.setattr(feed, "loader_of", made)

    fail(MemoryError())
    assert feed.data_wait(subject, 4, meter(Turns())) is None
    fail(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        feed.data_wait(subject, 4, meter(Turns()))


def test_verify_finds_a_changed_share() -> None:
    point = {"batch": 4, "steps": 1, "window_s": [4.0], "samples_per_s": 1.0, "quartiles": [1.0, 1.0]}
    waited = {"fed_s": [4.0], "still_s": [3.0], "share": 0.25}
    mode = {"batch": 4, "points": [point], "data_wait": waited}
    assert all(same for same, _, _ in checked({"perf": {"training": mode}}))
    edited = checked({"perf": {"training": {**mode, "data_wait": {**waited, "share": 0.2}}}})
    (wrong,) = (text for same, text, _ in edited if not same)
    assert "data_wait 0.2" in wrong
