"""Every path to a network is the same: seeded, checked to be one, moved to the device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from one_run import one_run
from rsbench_multitask import run as multitask_run
from rsbench_multitask.plan import MultitaskRequest, expand_multitask
from rsbench_throughput.plan import ThroughputRequest, expand

from rsbench.engine.input.run_data import open_data
from rsbench.engine.run import build as setup
from rsbench.engine.run import run
from rsbench.plan import RunPlan
from rsbench.tasks.context import ModelContext


def nothing(context: ModelContext, **options: Any) -> dict[str, Any]:
    return {"classes": context.num_classes} | options


def broken(plan: RunPlan) -> RunPlan:
    return dataclasses.replace(plan, model={**plan.model, "factory": f"{__name__}:nothing"})


def members(root: Path, out: Path) -> list[RunPlan]:
    settings: dict[str, Any] = {"changes": {"batch": 8}, "threads": 1, "device": "cpu"}
    tasks = (("ucm-captions", "ucm-landuse"), ("rsvqa-lr", None))
    return expand_multitask(
        MultitaskRequest(model="spatialnet-vit", members=tasks, data_root=root, out=str(out), recipe=None, **settings)
    )


def alone(root: Path, out: Path) -> dict[str, Any]:
    return run.execute(broken(one_run(root, out, {}, dataset="ucm-captions", protocol="ucm-landuse")), print)


def together(root: Path, out: Path) -> dict[str, Any]:
    first, *_ = run.execute_together([broken(plan) for plan in members(root, out)], print)
    return first


def timed(root: Path, out: Path) -> dict[str, Any]:
    request = ThroughputRequest(models=("tiny-cnn",), size=16, threads=1, device="cpu", out=str(out), quick=True)
    return run.execute(broken(expand(request)[0]), print)


@pytest.mark.parametrize("path", [alone, together, timed])
def test_what_is_no_module_is_refused(
    text_root: Path, tmp_path: Path, path: Callable[[Path, Path], dict[str, Any]]
) -> None:
    error = path(text_root, tmp_path)["error"]
    assert (error["stage"], error["type"]) == ("build", "RunError")
    assert error["message"].endswith("returned dict, not a module.")


def test_members_start_as_they_do_alone(text_root: Path, tmp_path: Path) -> None:
    tasks = [setup.make_task(plan, open_data(plan)) for plan in members(text_root, tmp_path)]
    single = setup.build_network(tasks[-1], torch.device("cpu")).state_dict()
    family = multitask_run.build(tasks, torch.device("cpu")).members[-1].state_dict()
    assert all(torch.equal(family[name], tensor) for name, tensor in single.items())
