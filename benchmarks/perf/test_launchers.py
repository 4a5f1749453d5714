"""What launching costs: the start of a fresh process, Ray against local workers, two runs at once against in turn."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ratios import paired, seconds
from rsbench_ray.cluster import LOCAL_ENVIRONMENT

from rsbench.cores import usable_cores
from rsbench.data.prepare import prepare
from rsbench.engine.launch.launch import Launch, run_plans
from rsbench.engine.launch.local import LocalPool
from rsbench.plan import RunPlan, RunRequest, expand
from rsbench.registry import registry
from rsbench.specs import load_attribute

SHORT_RUNS = 50
NODES = 2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=60)
    prepare(spec, folder / "files", folder)
    return folder


def make_plans(
    root: Path, out: Path, count: int, threads: int, model: str = "tiny-cnn", **recipe: Any
) -> list[RunPlan]:
    request = RunRequest(
        models=((model, {}),),
        dataset="eurosat",
        data_root=root,
        out=str(out),
        seeds=tuple(range(count)),
        changes={"epochs": 1, "batch": 32} | recipe,
        threads=threads,
        device="cpu",
    )
    return expand(request)


def run_all(plans: list[RunPlan], launch: Launch) -> None:
    outcomes = run_plans(plans, on_event=lambda _: None, launch=launch)
    assert {outcome.status for outcome in outcomes} == {"ok"}, outcomes


def seconds_to_first_event(plan: RunPlan) -> float:
    events: list[float] = []
    with LocalPool(1) as pool:
        begin = time.perf_counter()
        pool.start([plan])
        while pool.running:
            pool.wait(lambda _: events.append(time.perf_counter() - begin))
    return events[0]


def test_start_of_a_fresh_process(benchmark, root: Path, tmp_path: Path) -> None:
    """From the order to the first word of the run, after the first; spawning a process took 4.3 s."""
    first, *rest = make_plans(root, tmp_path, 11, threads=1)
    figures = {"first_s": seconds_to_first_event(first)}
    starts = [seconds_to_first_event(plan) for plan in rest]
    figures |= {"start_s": statistics.median(starts), "start_min_s": min(starts), "start_max_s": max(starts)}
    benchmark.extra_info.update(figures)
    benchmark.pedantic(lambda: None, rounds=1)
    assert figures["start_min_s"] <= 0.3


@pytest.fixture
def cluster() -> Iterator[Launch]:
    pytest.importorskip("ray")
    import ray
    from ray.cluster_utils import Cluster

    os.environ.update(LOCAL_ENVIRONMENT)
    small = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=small)
    for _ in range(NODES - 1):
        nodes.add_node(num_cpus=1, object_store_memory=100 << 20)
    ray.init(address=nodes.address, log_to_driver=False)  # run_plans uses and keeps it
    yield Launch(launcher="ray", address=nodes.address)
    ray.shutdown()
    nodes.shutdown()


def test_ray_against_local(benchmark, root: Path, tmp_path: Path, cluster: Launch) -> None:
    """Short runs on two Ray nodes of one CPU against two local workers; both have run once before."""
    local = Launch(parallel=NODES)
    for name, launch in (("warm-ray", cluster), ("warm-local", local)):
        run_all(make_plans(root, tmp_path / name, 2 * NODES, threads=1), launch)
    ray_s = seconds(lambda: run_all(make_plans(root, tmp_path / "ray", SHORT_RUNS, threads=1), cluster))
    local_s = seconds(lambda: run_all(make_plans(root, tmp_path / "local", SHORT_RUNS, threads=1), local))
    figures = {
        "ours": ray_s / SHORT_RUNS,
        "peer": local_s / SHORT_RUNS,
        "unit": "s",
        "ratio": ray_s / local_s,
    }
    benchmark.extra_info.update(figures)
    benchmark.pedantic(lambda: None, rounds=1)
    assert len(list((tmp_path / "ray").glob("*/record.json"))) == SHORT_RUNS
    assert figures["ratio"] <= 1.25


@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_two_at_once_against_one_after_the_other(benchmark, root: Path, tmp_path: Path) -> None:
    """Two runs on two cores, each with half of them, against each in turn with all."""
    folders = (tmp_path / str(i) for i in itertools.count())

    def two(parallel: int) -> None:
        plans = make_plans(root, next(folders), 2, threads=0, model="timm:resnet18", epochs=2)
        run_all(plans, Launch(parallel=parallel))

    result = paired(lambda: two(2), lambda: two(1), rounds=3)
    benchmark.extra_info.update(result)
    benchmark.pedantic(lambda: None, rounds=1)
    assert result["ratio_of_minima"] <= 1.0
