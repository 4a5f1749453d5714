"""Compilation of training: the choice, what it leaves behind, and what the record says."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from one_run import one_run
from torch import nn

from rsbench.engine.input.loader import Batch
from rsbench.engine.run import compile_selection
from rsbench.engine.run.compile_selection import CompileBenchmark, CompileDecision, candidates, choose, fastest
from rsbench.engine.run.run import execute
from rsbench.engine.step.compiled import Compiled
from rsbench.engine.training import trainer
from rsbench.engine.training.single_device import SingleDeviceFabric
from rsbench.errors import RunError, UserErrors
from rsbench.leaderboard.machines import machine
from rsbench.plan import RunPlan

CPU = torch.device("cpu")
compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")


class Labeling:
    def loss(self, model: Any, batch: Any, loss: Any) -> torch.Tensor:
        return loss(model(batch.images), batch.targets)


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 10))


def trial_of(model: nn.Module, steps: int = 10**6, **changes: Any) -> CompileBenchmark:
    images = torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    batch = Batch(images, torch.arange(8), np.arange(8))
    return CompileBenchmark(
        Labeling(), model, nn.CrossEntropyLoss(), SingleDeviceFabric(CPU, "fp32"), batch, CPU, steps, **changes
    )


class Fake(Compiled):
    """Compiled in name: the forward counts its calls."""

    def __init__(self, model: nn.Module, mode: str, *_: Any) -> None:
        self.model, self.mode, self.calls = model, mode, 0
        self._calls = {"_compiled_call_impl": self._count}
        self.on()

    def _count(self, *args: Any) -> Any:
        self.calls += 1
        return self.model._call_impl(*args)


def pretend(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], modes: tuple[str, ...] = ("default",)) -> None:
    """Let steps take *seconds* by mode, and their compilation ten."""
    mode = ["none"]

    def compiled(trial: CompileBenchmark, name: str) -> Fake:
        mode[0] = name
        return Fake(trial.model, name)

    def once(step: Any, device: torch.device) -> float:
        step()
        return seconds["none"] if mode[0] == "none" else 10.0

    def steady(step: Any, device: torch.device) -> float:
        step()
        return seconds[mode[0]]

    monkeypatch.setattr(CompileBenchmark, "compile", compiled)
    monkeypatch.setattr(compile_selection, "_seconds", once)
    monkeypatch.setattr(compile_selection, "_steady", steady)
    monkeypatch.setattr(compile_selection, "candidates", lambda device, dynamic: modes)


def state_of(model: nn.Module) -> dict[str, Any]:
    return {
        "weights": copy.deepcopy(model.state_dict()),
        "modes": [module.training for module in model.modules()],
        "trained": [p.requires_grad for p in model.parameters()],
        "gradients": [p.grad for p in model.parameters()],
        "random": torch.get_rng_state(),
    }


def assert_same(one: dict[str, Any], two: dict[str, Any]) -> None:
    for name, tensor in one["weights"].items():
        assert torch.equal(tensor, two["weights"][name]), name
    assert torch.equal(one["random"], two["random"])
    assert all(one[key] == two[key] for key in ("modes", "trained", "gradients"))


@pytest.mark.parametrize(
    ("steps", "compiled", "mode"),
    [
        (1000, 0.05, "default"),  # 10 + 50 s of 100
        (200, 0.05, None),  # 10 + 10 s of 20: too short to try
        (350, 0.07, None),  # 10 + 24.5 s of 35
        (400, 0.07, None),  # 10 + 28 = 38 s is just not below 0.95 * 40
        (401, 0.07, "default"),
        (10**6, 0.096, None),  # four hundredths are noise
    ],
)
def test_what_pays_is_compiled(monkeypatch: pytest.MonkeyPatch, steps: int, compiled: float, mode: str | None) -> None:
    pretend(monkeypatch, {"none": 0.1, "default": compiled})
    model = network()
    before = state_of(model)
    choice, found = choose(trial_of(model, steps), "auto")
    assert choice.mode == mode
    assert (found is None) == (mode is None)
    assert ("_compiled_call_impl" in vars(model)) == (mode is not None)
    assert_same(before, state_of(model))
    assert choice.block()["step_s"]["none"] == 0.1


def test_the_fastest_mode_wins_and_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = ("default", "reduce-overhead")
    for seconds, winner, spent in (((0.05, 0.02), modes[1], 10), ((0.02, 0.05), modes[0], 20)):
        pretend(monkeypatch, {"none": 0.1, **dict(zip(modes, seconds, strict=True))}, modes)
        model = network()
        choice, found = choose(trial_of(model), "auto")
        assert isinstance(found, Fake)
        assert (choice.mode, found.mode, choice.compile_s[winner]) == (winner, winner, spent)
        calls = found.calls
        model(torch.zeros(2, 3, 64, 64))
        assert found.calls == calls + 1


def test_a_mode_that_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(
        monkeypatch, {"none": 0.1, "default": 0.05}, ("default", "reduce-overhead")
    )  # of the second nothing is known
    choice, found = choose(trial_of(network()), "auto")
    assert choice.mode == "default"
    assert found is not None
    assert choice.reason == "it pays; reduce-overhead failed (KeyError: 'reduce-overhead')"


def test_estimate() -> None:
    choice = CompileDecision("auto", step_s={"none": 1.0, "default": 0.5}, compile_s={"default": 40.0, "other": 5.0})
    assert fastest(choice, 100) is None  # 45 + 50 s against 95
    assert fastest(choice, 101) == "default"
    assert fastest(choice, 188, shapes=2) is None  # 85 + 94 s against 178.6
    assert fastest(choice, 189, shapes=2) == "default"
    assert fastest(CompileDecision("auto", step_s={"none": 1.0}), 10**9) is None


def test_cuda_graphs_are_for_batches_of_one_shape() -> None:
    assert candidates(torch.device("cuda"), False) == ("default", "reduce-overhead")
    assert candidates(torch.device("cuda"), None) == ("default",)
    assert candidates(CPU, False) == ("default",)


@pytest.mark.parametrize("seconds", [{"none": 0.1, "default": 0.2}, {"none": 0.1}])  # slower; failed
def test_what_is_tried_in_vain_is_dropped(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float]) -> None:
    """CUDA graphs would hold the memory of a whole step to the end of the run."""
    pretend(monkeypatch, seconds)
    forgotten: list[torch.device] = []
    monkeypatch.setattr(compile_selection, "reset_compiled", forgotten.append)
    choice, _ = choose(trial_of(network()), "auto")
    assert choice.mode is None
    assert forgotten == [CPU]


def test_memory_that_runs_out_is_left_to_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: Any) -> None:
        raise torch.OutOfMemoryError("out of memory")

    model = network()
    model.register_forward_pre_hook(no_memory)
    choice, found = choose(trial_of(model), "auto")
    assert (choice.mode, found, choice.reason) == (None, None, "memory ran out")


def test_what_cannot_be_compiled_is_an_error_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"none": 0.1, "default": 0.05})

    def broken(self: Fake, *args: Any) -> Any:
        raise NotImplementedError("no compiler\nat all")

    monkeypatch.setattr(Fake, "_count", broken)
    model = network()
    before = state_of(model)
    choice, found = choose(trial_of(model), "auto")
    assert (choice.mode, found) == (None, None)
    assert "default failed (NotImplementedError: no compiler)" in choice.reason
    assert_same(before, state_of(model))
    with pytest.raises(RunError, match=r"cannot be compiled \(NotImplementedError: no compiler\); use --compile none"):
        choose(trial_of(network()), "default")


def test_frozen_parameters_are_tried_as_they_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"none": 0.1, "default": 0.05})
    model = network()
    before = state_of(model)
    trained: list[bool] = []
    model.register_forward_pre_hook(lambda *_: trained.append(model[0].weight.requires_grad))
    choose(trial_of(model, train_only=r"^6\."), "auto")
    assert set(trained) == {False}
    assert_same(before, state_of(model))


@pytest.mark.slow  # a minute of C++ compilation; test_record_of_a_compiled_run compiles less
@compiler
def test_compiled_by_inductor() -> None:
    """Names stay, numbers too, and the network is its own again while it is switched off."""
    model, plain = network(), network()
    before = state_of(model)
    choice, found = choose(trial_of(model), "default")
    assert found is not None
    assert choice.compile_s["default"] > 0
    assert_same(before, state_of(model))
    images = trial_of(model).batch.images
    expected = plain.eval()(images)
    torch.testing.assert_close(model.eval()(images), expected, atol=1e-5, rtol=1e-4)
    with found.eager():
        assert "_compiled_call_impl" not in vars(model)
        assert torch.equal(model(images), expected)
    assert "_compiled_call_impl" in vars(model)
    assert "_compiled_call_impl" not in vars(copy.deepcopy(model))


def plan_of(root: Path, out: Path, **changes: Any) -> RunPlan:
    recipe = {"epochs": 3, "batch": 8, "schedule": "constant", "schedule_options": {}, "augmentation": {}, "lr": 1e-3}
    return one_run(root, out, recipe | {"precision": "fp32"}, **changes)


def run_of(root: Path, out: Path, **changes: Any) -> dict[str, Any]:
    return execute(plan_of(root, out, **changes), lambda event: None)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsbench_scenes.network.tiny_cnn", lambda context: network())


@compiler
def test_record_of_a_compiled_run(tiny_root: Path, tmp_path: Path, small: None) -> None:
    eager = run_of(tiny_root, tmp_path / "eager")
    record = run_of(tiny_root, tmp_path / "compiled", compile="default")
    assert record["status"] == "ok"
    assert (eager["env"]["flags"]["compile"], record["env"]["flags"]["compile"]) == (None, "default")
    assert "compile" not in eager["perf"]
    block = record["perf"]["compile"]
    assert (block["asked"], block["mode"], block["reason"]) == ("default", "default", "asked for")
    assert 0 < block["compile_s"]["default"] <= record["timing"]["stages"]["compile"]
    assert "compile" not in eager["timing"]["stages"]
    assert record["run_id"] == eager["run_id"]
    assert record["plan"] == eager["plan"]
    assert record["perf"]["macs"] == eager["perf"]["macs"]
    assert machine(record) == f"{machine(eager)}, compiled (default)"


def test_a_short_run_is_not_compiled(tiny_root: Path, tmp_path: Path, small: None) -> None:
    eager = run_of(tiny_root, tmp_path / "eager", compile="none")
    record = run_of(tiny_root, tmp_path / "auto", compile="auto")
    assert record["env"]["flags"]["compile"] is None
    assert "too short for it to pay" in record["perf"]["compile"]["reason"]
    assert record["artifacts"]["checkpoint"]["sha256"] == eager["artifacts"]["checkpoint"]["sha256"]
    checkpointed = {"compile": "auto", "checkpoint_activations": True}
    assert "checkpoint" in run_of(tiny_root, tmp_path / "both", **checkpointed)["perf"]["compile"]["reason"]


def test_a_run_taken_up_again_keeps_its_mode(
    tiny_root: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, {"none": 100.0, "default": 0.05})
    whole = run_of(tiny_root, tmp_path / "whole", compile="auto")
    assert whole["env"]["flags"]["compile"] == "default"
    monkeypatch.setattr(trainer, "PROGRESS_SECONDS", -1.0)
    calls = iter(range(10**6))
    plan = plan_of(tiny_root, tmp_path / "parts", compile="auto")
    pretend(monkeypatch, {"none": 100.0, "default": 0.05})
    with pytest.raises(trainer.Interrupted):
        execute(plan, lambda event: None, lambda: next(calls) >= 4)
    pretend(monkeypatch, {"none": 0.01, "default": 0.05})  # would choose otherwise now
    rest = execute(plan, lambda event: None)
    assert rest["env"]["flags"]["compile"] == "default"
    assert rest["perf"]["compile"]["reason"] == "as before the run was interrupted"
    assert rest["artifacts"]["checkpoint"]["sha256"] == whole["artifacts"]["checkpoint"]["sha256"]


def test_words_that_are_no_mode(tiny_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserErrors, match=r"--compile is one of none, auto.*'defualt' is not. Did you mean 'default'"):
        plan_of(tiny_root, tmp_path, compile="defualt")
    with pytest.raises(UserErrors, match="leave out --compile default or the other"):
        plan_of(tiny_root, tmp_path, compile="default", checkpoint_activations=True)
