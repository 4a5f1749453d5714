"""Throughput: the arithmetic of windows with a made-up clock, memory that runs out, counted work, and whole records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rsbench_throughput import contention, peak
from rsbench_throughput.drift import drift, reference_logits
from rsbench_throughput.latency import latency
from rsbench_throughput.peak_memory import PeakMemory
from rsbench_throughput.plan import QUICK, RULES, ThroughputRequest, expand
from rsbench_throughput.record import Spread, quantile, run_id
from rsbench_throughput.subject import Workload
from rsbench_throughput.sweep import sweep
from rsbench_throughput.windows import agree, measure, warm_up

from rsbench.engine.events import Interrupted
from rsbench.engine.memory import is_out_of_memory
from rsbench.engine.run.report import Machine
from rsbench.engine.run.run import execute
from rsbench.engine.step.timing import steps_for
from rsbench.records import store
from rsbench.records.verify import verify
from rsbench.registry import registry

TINY = {**QUICK, "window_s": 0.002, "warmup_windows": 3, "largest": 4, "latency_calls": 6, "peak_windows": 1}


def go() -> None:
    """Nothing stops the measurement."""


class FakeClock:
    """A clock that takes the seconds a step from a list, the last one for ever."""

    def __init__(self, *step_s: float) -> None:
        self.step_s, self.asked = list(step_s), list[int]()

    def window(self, step: Callable[[], object], steps: int) -> float:
        self.asked.append(steps)
        step()
        return steps * (self.step_s.pop(0) if len(self.step_s) > 1 else self.step_s[0])


@pytest.fixture(autouse=True)
def _small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding the true peak takes seconds."""
    monkeypatch.setitem(peak.SIZES, "cpu", (64, (1, 8, 8)))  # type: ignore[attr-defined]


def plan_of(tmp_path: Path, model: str, **more: Any) -> Any:
    """Return a plan in float32 where *more* does not say otherwise: ``auto`` depends on the processor."""
    request = {"threads": 1, "device": "cpu", "precision": "fp32", "quick": True, "batches": (2,), **more}
    (plan,) = expand(ThroughputRequest(models=(model,), out=str(tmp_path), **request))
    plan.protocol.update(TINY)  # type: ignore[attr-defined]
    sha = run_id(plan.public_dict())
    return replace(plan, run_id=f"{plan.run_id.rpartition('-')[0]}-{sha}")


# Windows


def test_warm_up_ends_when_windows_agree() -> None:
    """First call, then steps of 8, 4, 2, 1.02, 1.01, 1.0 s: the last three lie within 5 % of the largest."""
    clock = FakeClock(30.0, 8.0, 4.0, 2.0, 1.02, 1.01, 1.0)
    made = warm_up(clock, lambda: None, {**RULES, "window_s": 4.0}, go)
    assert (made.first_s, made.windows, made.steady) == (30.0, 6, True)
    assert clock.asked == [1, 1, 1, 1, 2, 4, 4]
    assert made.seconds == pytest.approx(8 + 4 + 2 + 2 * 1.02 + 4 * 1.01 + 4)
    assert made.steps == 4  # windows of at least 4 s of steps of 1.01 s, the median of those that agreed


@pytest.mark.parametrize("rule", [{"warmup_windows": 4}, {"warmup_s": 0.011}])
def test_warm_up_is_bounded(rule: dict[str, float]) -> None:
    clock = FakeClock(0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
    made = warm_up(clock, lambda: None, {**RULES, "window_s": 1e-9, **rule}, go)
    assert not made.steady
    assert made.windows == (4 if "warmup_windows" in rule else 3)


def test_windows_are_those_of_the_clock() -> None:
    calls: list[int] = []
    clock = FakeClock(0.1, 0.2, 0.3, 0.4, 0.5)
    assert measure(clock, lambda: calls.append(1), 10, 5, go) == pytest.approx([1, 2, 3, 4, 5])
    assert clock.asked == [10] * 5


def test_a_stop_between_windows_ends_the_measurement() -> None:
    def stop() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        measure(FakeClock(1.0), lambda: None, 1, 5, stop)


@pytest.mark.parametrize(("values", "expected"), [([1, 1, 1], True), ([9, 1, 1.04, 1], True), ([1, 1.06, 1], False)])
def test_agreement_looks_at_the_last_windows(values: list[float], expected: bool) -> None:
    assert agree(values, 3, 0.05) is expected
    assert agree(values[:2], 3, 0.05) is False


def test_steps_fill_a_window() -> None:
    assert [steps_for(0.4, s) for s in (0.1, 0.15, 5.0)] == [4, 3, 1]


@pytest.mark.parametrize("q", [0, 0.05, 0.25, 0.5, 0.95, 0.99, 1])
def test_quantiles_are_numpys(q: float) -> None:
    values = np.random.default_rng(0).lognormal(size=37)
    assert quantile(values.tolist(), q) == pytest.approx(np.quantile(values, q))


def test_spread_of_one_to_five() -> None:
    spread = Spread.of([5, 1, 4, 2, 3])
    assert (spread.median, spread.low, spread.high, spread.iqr) == (3, 2, 4, 2)
    assert spread.relative == pytest.approx(2 / 3)


def test_latency_is_that_of_single_calls_in_milliseconds() -> None:
    """Steady at 1 ms after the first call and three windows; then 1, 2, ..., 100 ms."""
    clock = FakeClock(*[0.001] * 4, *(k / 1000 for k in range(1, 101)))
    made = latency(clock, lambda: None, {**RULES, "latency_calls": 100, "window_s": 1e-9}, go)
    assert (made["p50"], made["p95"], made["p99"]) == pytest.approx((50.5, 95.05, 99.01))
    assert made["calls"] == 100
    assert set(clock.asked) == {1}


def test_latency_of_slow_networks_takes_five_calls() -> None:
    assert latency(FakeClock(60.0), lambda: None, RULES, go)["calls"] == 5


# The sweep


def device(speeds: dict[int, float], failure: BaseException | None = None, seen: list[int] | None = None) -> Any:
    """Return a measurement that gives these speeds and raises *failure* at other batches."""

    def point(batch: int) -> dict[str, Any]:
        if seen is not None:
            seen.append(batch)
        if batch not in speeds:
            assert failure is not None
            raise failure
        return {"batch": batch, "samples_per_s": speeds[batch], "steps": 1, "window_s": [batch / speeds[batch]]}

    return point


def test_sweep_stops_where_two_doublings_bring_less_than_three_percent() -> None:
    found = sweep(device({1: 100, 2: 150, 4: 160, 8: 164, 16: 163, 32: 900}), None, RULES, go)
    assert (found.batch, found.stopped) == (4, "knee")
    assert [p["batch"] for p in found.points] == [1, 2, 4, 8, 16]


def test_sweep_goes_on_where_one_doubling_brings_nothing() -> None:
    found = sweep(device({1: 100, 2: 99, 4: 300, 8: 302, 16: 900, 32: 905, 64: 890}), None, RULES, go)
    assert (found.batch, found.stopped) == (16, "knee")


def test_gains_that_are_small_one_by_one_add_up() -> None:
    found = sweep(device({1: 100, 2: 102, 4: 104, 8: 105, 16: 106}), None, RULES, go)
    assert (found.batch, found.stopped) == (4, "knee")


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried ..."),
]


@pytest.mark.parametrize("failure", OUT_OF_MEMORY)
def test_sweep_ends_where_memory_ends(failure: BaseException) -> None:
    released: list[int] = []
    found = sweep(device({1: 100, 2: 200, 4: 400}, failure), None, RULES, lambda: released.append(1))
    assert (found.batch, found.stopped, released) == (4, "memory", [1])


@pytest.mark.parametrize("failure", OUT_OF_MEMORY)
def test_memory_that_does_not_hold_one_sample_is_a_failure(failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        sweep(device({}, failure), None, RULES, go)


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("shape mismatch: out of memory of mine"),
        ValueError("Expected more than 1 value per channel when training"),
        KeyError("x"),
    ],
)
def test_no_other_error_is_retried(failure: Exception) -> None:
    seen: list[int] = []
    assert not is_out_of_memory(failure)
    with pytest.raises(type(failure)):
        sweep(device({1: 100, 2: 200}, failure, seen), None, RULES, go)
    assert seen == [1, 2, 4]


def test_the_allocator_of_the_cpu_says_what_is_expected() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_given_batches_are_all_measured_and_the_fastest_reported() -> None:
    found = sweep(device({8: 300, 16: 301, 32: 250}), (8, 16, 32), RULES, go)
    assert (found.batch, found.stopped, len(found.points)) == (16, "listed", 3)


def test_sweep_ends_at_the_largest_batch_and_before_it_takes_too_long() -> None:
    """At 1.5 images a second a step of two takes 1.33 s, so one of four 2.67 s at worst and ten windows 26.7 s."""
    speeds = {2**k: 1.5**k for k in range(6)}
    slow = sweep(device(speeds), None, {**RULES, "point_s": 25.0}, go)
    assert (slow.stopped, [p["batch"] for p in slow.points]) == ("time", [1, 2])
    fast = sweep(device({b: 1000 * s for b, s in speeds.items()}), None, {**RULES, "largest": 32}, go)
    assert (fast.stopped, [p["batch"] for p in fast.points]) == ("largest", [1, 2, 4, 8, 16, 32])


def test_training_begins_with_two_samples() -> None:
    seen: list[int] = []
    sweep(device({2: 100, 4: 100, 8: 100}, seen=seen), None, RULES, go, 2)
    assert seen == [2, 4, 8]


# Drift, memory, contention


@pytest.fixture
def subject(tmp_path: Path) -> Callable[..., Workload]:
    def build(model: str, **more: Any) -> Workload:
        plan = plan_of(tmp_path, model, **more)
        return Workload.build(plan, Machine.prepare(plan))

    return build


def test_drift_of_eager_fp32_is_zero_and_that_of_bf16_is_not(subject: Callable[..., Workload]) -> None:
    exact, rounded = subject("tiny-cnn"), subject("tiny-cnn", precision="bf16")
    batch = exact.batch(8)
    reference = reference_logits(exact, batch)
    assert drift(exact.logits(batch), reference)["max_abs"] == 0
    made = drift(rounded.logits(batch), reference)
    assert 0 < made["max_abs"] < 0.05 * made["reference_max_abs"] + 0.01
    assert made["max_abs"] == float((rounded.logits(batch) - reference).abs().max())


def test_batches_are_the_same_each_time_and_of_the_declared_shape(subject: Callable[..., Workload]) -> None:
    asked = subject("spatialnet-vit", task="vqa", size=32, classes=9, options={"depth": 1, "dim": 32, "mlp": 32})
    one, two = (asked.batch(40) for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert one.images.shape == (3, 3, 32, 32)  # 16 questions about each image
    assert len(one) == 40
    assert one.targets.questions.image.tolist() == [k // 16 for k in range(40)]
    assert asked.logits(one).shape == (40, 9)


def test_peak_memory_counts_what_was_held_since_its_making() -> None:
    before = PeakMemory(torch.device("cpu"))
    block = np.ones(64 << 20, dtype=np.uint8)
    high = before.bytes()
    del block
    after = PeakMemory(torch.device("cpu"))
    if after.process == Path():
        pytest.skip("the peak cannot be reset here")
    assert high - after.bytes() > 50 << 20


def quiet() -> dict[str, Any]:
    """A ``perf`` with nothing to complain about."""
    point = {"batch": 4, "samples_per_s": 100.0, "quartiles": [99.0, 101.0], "warmup": {"steady": True}}
    seen = {"busy_before": 0.0, "switches_per_s": 1.0, "cpu_over_wall": 1.0, "throttle": None}
    return {"contention": seen, "inference": {"batch": 4, "points": [point]}}


def test_what_speaks_against_numbers_is_flagged() -> None:
    assert contention.flags(quiet(), "cpu", 1, quick=False) == []
    assert contention.flags(quiet(), "cpu", 1, quick=True) == ["quick"]
    loud = quiet()
    loud["contention"] = {"busy_before": 0.5, "switches_per_s": 80.0, "cpu_over_wall": 0.6, "throttle": ["power cap"]}
    loud["inference"]["points"][0] |= {"quartiles": [90.0, 100.0], "warmup": {"steady": False}}
    assert contention.flags(loud, "cpu", 1, quick=False) == [
        "others kept 50% of the cores busy",
        "preempted 80 times a second",
        "got 60% of its core",
        "throttled: power cap",
        "inference is noisy: quartiles 10% apart",
        "inference never became steady",
    ]
    assert "got 60% of its core" not in contention.flags(loud, "cuda", 1, quick=False)


# Whole measurements


def record_of(plan: Any) -> dict[str, Any]:
    made = execute(plan, lambda event: None)
    assert made["error"] is None, made["error"]
    return json.loads(Path(made["path"]).read_text())


@pytest.mark.parametrize(
    ("model", "more", "unit"),
    [
        ("tiny-cnn", {"size": 16, "classes": 7, "channels": 4}, "images"),
        ("vgg19-lstm", {"size": 32, "options": {"backbone": "timm:resnet10t", "width": 16}}, "captions"),
        ("question-only", {"size": 16}, "questions"),
        (
            "spatialnet-vit",
            {"task": "captioning", "size": 32, "options": {"depth": 1, "dim": 32, "mlp": 32}},
            "captions",
        ),
    ],
)
def test_a_measurement_leaves_a_record(tmp_path: Path, model: str, more: dict[str, Any], unit: str) -> None:
    """In either precision, which moves the logits and not the work: layers that the counter takes apart below autocast
    would multiply bfloat16 with float32."""
    full, half = (record_of(plan_of(tmp_path, model, precision=p, **more)) for p in ("fp32", "bf16"))
    check_record(full, "fp32", unit)
    check_record(half, "bf16", unit)
    assert full["perf"]["drift"]["max_abs"] == 0 < half["perf"]["drift"]["max_abs"]
    for mode in ("inference", "training"):
        assert full["perf"][mode]["macs"] == half["perf"][mode]["macs"] > 0


def check_record(record: dict[str, Any], precision: str, unit: str) -> None:
    perf = record["perf"]
    assert perf["unit"] == unit
    assert record["env"]["flags"]["precision"] == precision
    assert record["env"]["flags"]["layout"] == "channels_last"
    assert record["env"]["torch"] == torch.__version__
    assert perf["params"] > 0
    for mode in ("inference", "training"):
        (point,) = perf[mode]["points"]
        assert len(point["window_s"]) >= 5
        assert point["samples_per_s"] == pytest.approx(np.median(2 * point["steps"] / np.array(point["window_s"])))
        share = 2 * perf[mode]["macs"] * point["samples_per_s"] / perf["peak"]["flops"]
        assert perf[mode]["peak_share"] == pytest.approx(share)
        assert point["energy_j"] is None
        assert point["peak_memory_bytes"] > 0
    waited = perf["training"]["data_wait"]
    assert (waited["batch"], len(waited["fed_s"])) == (2, len(waited["still_s"]))
    assert waited["share"] < 1
    assert perf["latency_ms"]["p50"] <= perf["latency_ms"]["p95"] <= perf["latency_ms"]["p99"]
    assert set(perf["contention"]) >= {"load", "busy_before", "cpu_over_wall", "switches_per_s", "throttle"}


def test_training_counts_three_forwards_less_the_first_gradient(tmp_path: Path) -> None:
    """A backward has two products for each of the forward; that with respect to the images is not needed."""
    record = record_of(plan_of(tmp_path, "tiny-cnn", size=16))
    forward, step = (record["perf"][mode]["macs"] for mode in ("inference", "training"))
    assert 2 * forward < step < 3 * forward


def test_verify_finds_a_changed_speed(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "tiny-cnn", size=16, modes=("inference",))
    record_of(plan)
    (loaded,) = store.load_all([tmp_path])
    assert verify(loaded) == []
    loaded.record["perf"]["inference"]["points"][0]["samples_per_s"] *= 1.001
    (wrong,) = verify(loaded)
    assert wrong.startswith("inference, batch 2: median")


def test_a_failure_leaves_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(Workload, "inference", fail)
    record = execute(plan_of(tmp_path, "tiny-cnn"), lambda event: None)
    assert (record["status"], record["perf"]) == ("failed", None)
    assert record["error"] == {"stage": "count", "type": "ValueError", "message": "ValueError: no"}
    assert record["env"]["device"]["type"] == "cpu"
    (loaded,) = store.load_all([tmp_path])
    assert verify(loaded) == []


def test_observers_of_runs_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(registry(), "observers", lambda: ["one"])
    monkeypatch.setattr(registry(), "notify", lambda hook, **_: told.append(hook) or [])
    record_of(plan_of(tmp_path, "tiny-cnn", size=16, batches=(1,), modes=("inference",)))
    assert told == []


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    answers: Iterator[bool] = iter([False, True])
    with pytest.raises(Interrupted):
        execute(plan_of(tmp_path, "tiny-cnn", size=16), lambda event: None, lambda: next(answers, True))
    assert store.load_all([tmp_path]) == []


def test_training_leaves_a_given_batch_of_one_out(tmp_path: Path) -> None:
    record = record_of(plan_of(tmp_path, "tiny-cnn", size=16, batches=(1, 2)))
    found = {mode: [p["batch"] for p in record["perf"][mode]["points"]] for mode in ("inference", "training")}
    assert found == {"inference": [1, 2], "training": [2]}
