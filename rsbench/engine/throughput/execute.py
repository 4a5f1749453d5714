"""One measurement, from plan to record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rsbench.engine.events import Emit, Interrupted
from rsbench.engine.memory import release
from rsbench.engine.run import report
from rsbench.engine.run.report import Machine, Stages
from rsbench.engine.step.timing import clock_of
from rsbench.engine.throughput.contention import Watch, flags
from rsbench.engine.throughput.drift import SAMPLES, drift, reference_logits
from rsbench.engine.throughput.feed import data_wait
from rsbench.engine.throughput.latency import latency
from rsbench.engine.throughput.nvml import Nvml
from rsbench.engine.throughput.peak import matrix_peak
from rsbench.engine.throughput.points import Meter, measured
from rsbench.engine.throughput.subject import Subject
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record
from rsbench.records.throughput import peak_share
from rsbench.tasks.task import get_task


def execute(plan: RunPlan, emit: Emit, interrupted: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """Measure *plan*, write its record (a failure's too) and return it.

    Raises:
        Interrupted: the user stopped it; nothing is kept.
    """
    stages = Stages(emit)
    record = blank_record(plan.run_id, plan.portable())

    def check() -> None:
        if interrupted():
            raise Interrupted

    with report.failures(lambda error: record.update(error=error), stages, plan):
        machine = Machine.prepare(plan)
        record["env"] = _environment(plan, machine)
        record["perf"] = _measure(plan, machine, stages, emit, check)
        record["status"] = "ok"
    record["timing"] = {"stages": stages.seconds, "total": sum(stages.seconds.values())}
    path = store.save(record, Path(plan.out) / plan.run_id)
    return record | {"path": str(path)}


def _environment(plan: RunPlan, machine: Machine) -> dict[str, Any]:
    """The record's ``env``, with what decides on speed among its flags."""
    found = machine.environment()
    cudnn_tf32 = torch.backends.cudnn.allow_tf32 if machine.device.type == "cuda" else None
    found["flags"] |= {"compile": plan.recipe["compile"], "layout": "channels_last", "convolution_tf32": cudnn_tf32}
    return found


def _measure(plan: RunPlan, machine: Machine, stages: Stages, emit: Emit, check: Callable[[], None]) -> dict[str, Any]:
    """The record's ``perf``."""
    rules, modes = plan.protocol, plan.protocol["modes"]
    with stages.stage("build"):
        subject = Subject.build(plan, machine)
    with stages.stage("count"):
        perf = _size(subject, modes)
    with stages.stage("drift"):
        perf["drift"] = _drift(subject, plan.recipe["compile"])
    nvml, watch = Nvml(machine.device), Watch()
    clock = clock_of(machine.device, nvml.look)
    meter = Meter(clock, rules, machine.device, nvml, emit, check, perf["unit"])
    perf["latency_ms"] = None
    if "inference" in modes:
        with stages.stage("latency"):
            perf["latency_ms"] = latency(clock, subject.inference(1), rules, check)
    for mode in modes:
        with stages.stage(mode):
            perf[mode] = measured(subject, mode, meter) | {"macs": perf.pop(f"{mode}_macs")}
    if "training" in modes:
        with stages.stage("data wait"):
            perf["training"]["data_wait"] = data_wait(subject, perf["training"]["batch"], meter)
    with stages.stage("peak"):
        subject.forget()  # CUDA graphs hold memory
        release(machine.device)
        perf["peak"] = matrix_peak(machine.device, machine.precision, clock_of(machine.device), rules, check)
    for mode in modes:
        perf[mode]["peak_share"] = peak_share(perf[mode], perf["peak"]["flops"])
    perf["contention"] = watch.block() | nvml.block()
    perf["flags"] = flags(perf, machine.device.type, machine.threads, rules["quick"])
    return perf


def _size(subject: Subject, modes: list[str]) -> dict[str, Any]:
    """Unit, parameters, and multiply-accumulates a sample of each mode."""
    return {
        "unit": get_task(subject.task.plan.task).unit,
        "params": sum(p.numel() for p in subject.model.parameters()),
        "buffers": sum(b.numel() for b in subject.model.buffers()),
    } | {f"{mode}_macs": macs for mode, macs in subject.macs(modes).items()}


def _drift(subject: Subject, mode: str | None) -> dict[str, float]:
    """Compare with eager float32, and leave the network compiled where *mode* says so."""
    batch = subject.batch(SAMPLES)
    reference = reference_logits(subject, batch)
    if mode is not None:
        subject.compile(mode)
    return drift(subject.logits(batch), reference)
