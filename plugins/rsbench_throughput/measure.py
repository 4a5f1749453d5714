"""One measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from rsbench.engine.memory import release
from rsbench.engine.run.report import Machine, RunContext
from rsbench.engine.step.timing import clock_of
from rsbench.plan import RunPlan
from rsbench.tasks.task import get_task
from rsbench_throughput.contention import ContentionMonitor, flags
from rsbench_throughput.drift import SAMPLES, drift, reference_logits
from rsbench_throughput.feed import data_wait
from rsbench_throughput.latency import latency
from rsbench_throughput.nvml import Nvml
from rsbench_throughput.peak import matrix_peak
from rsbench_throughput.points import Timer, measured
from rsbench_throughput.record import peak_share
from rsbench_throughput.subject import Workload


def run(plans: Sequence[RunPlan], context: RunContext) -> Iterator[dict[str, Any]]:
    """Measure the one plan, and yield what its record holds beside it; of what is interrupted nothing is kept."""
    (plan,) = plans
    environment = _environment(plan, context.machine)
    yield {"perf": _measure(plan, context), "env": environment}


def _environment(plan: RunPlan, machine: Machine) -> dict[str, Any]:
    """The record's ``env``, with what decides on speed among its flags."""
    found = machine.environment()
    cudnn_tf32 = torch.backends.cudnn.allow_tf32 if machine.device.type == "cuda" else None
    found["flags"] |= {"compile": plan.recipe["compile"], "layout": "channels_last", "convolution_tf32": cudnn_tf32}
    return found


def _measure(plan: RunPlan, context: RunContext) -> dict[str, Any]:
    """The record's ``perf``."""
    machine, stages, check = context.machine, context.stages, context.check
    rules, modes = plan.protocol, plan.protocol["modes"]
    with stages.stage("build"):
        subject = Workload.build(plan, machine)
    with stages.stage("count"):
        perf = _size(subject, modes)
    with stages.stage("drift"):
        perf["drift"] = _drift(subject, plan.recipe["compile"])
    nvml, watch = Nvml(machine.device), ContentionMonitor()
    clock = clock_of(machine.device, nvml.look)
    meter = Timer(clock, rules, machine.device, nvml, context.emit, check, perf["unit"])
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
        subject.reset_compiled()  # CUDA graphs hold memory
        release(machine.device)
        perf["peak"] = matrix_peak(machine.device, machine.precision, clock_of(machine.device), rules, check)
    for mode in modes:
        perf[mode]["peak_share"] = peak_share(perf[mode], perf["peak"]["flops"])
    perf["contention"] = watch.block() | nvml.block()
    perf["flags"] = flags(perf, machine.device.type, machine.threads, rules["quick"])
    return perf


def _size(subject: Workload, modes: list[str]) -> dict[str, Any]:
    """Unit, parameters, and multiply-accumulates a sample of each mode."""
    return {
        "unit": get_task(subject.task.plan.task).unit,
        "params": sum(p.numel() for p in subject.model.parameters()),
        "buffers": sum(b.numel() for b in subject.model.buffers()),
    } | {f"{mode}_macs": macs for mode, macs in subject.macs(modes).items()}


def _drift(subject: Workload, mode: str | None) -> dict[str, float]:
    """Compare with eager float32, and leave the network compiled where *mode* says so."""
    batch = subject.batch(SAMPLES)
    reference = reference_logits(subject, batch)
    if mode is not None:
        subject.compile(mode)
    return drift(subject.logits(batch), reference)
