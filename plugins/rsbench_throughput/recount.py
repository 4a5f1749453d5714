"""The work of a network whose measurement is over, counted anew from its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsbench.engine.input.synthetic import synthetic_data
from rsbench.engine.run.build import build_network, make_task
from rsbench.engine.run.recount import CPU, parameters, unweighted
from rsbench.engine.training.device import make_fabric
from rsbench_throughput.record import MODES, peak_share
from rsbench_throughput.subject import Workload


def recounted(record: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Return multiply-accumulates and the share of the peak of each mode, by their places in ``perf``; ``None`` where
    the network cannot be built here."""
    perf = record["perf"]
    modes = [mode for mode in MODES if perf.get(mode)]
    counted = count_macs(record["plan"], perf.get("params")) or dict.fromkeys(modes)
    found: dict[tuple[str, ...], Any] = {}
    for mode in modes:
        found[mode, "macs"] = counted[mode]
        found[mode, "peak_share"] = peak_share(perf[mode] | {"macs": counted[mode]}, perf["peak"]["flops"])
    return found


def count_macs(plan: Mapping[str, Any], params: int | None = None) -> dict[str, Any] | None:
    """Return the multiply-accumulates a sample of each mode, as a measurement of *plan* counts them today.

    Args:
        plan: the ``plan`` of its record.
        params: parameters of the network; one of another number is not counted.

    Returns:
        ``None`` where that network cannot be built here.
    """
    try:
        run = unweighted(plan)
        task = make_task(run, synthetic_data(run))
        network = build_network(task, CPU).eval()
        same = params in (None, parameters(network))
        return {**Workload(task, network, make_fabric(CPU, "fp32"), CPU).macs(run.protocol["modes"])} if same else None
    except Exception:  # whatever a plugin's factory raises
        return None
