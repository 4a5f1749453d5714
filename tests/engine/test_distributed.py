"""Runs shared by two and three gloo processes, against the same runs of one process."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from one_run import one_run
from torch import nn

from rsbench.data.prepare import prepare
from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.parallel.ranks import SINGLE_PROCESS, Ranks
from rsbench.engine.parallel.world import LOCALHOST, RankInfo, _free_port
from rsbench.engine.run import run
from rsbench.engine.tasks.evaluate import evaluate
from rsbench.engine.training.device import make_fabric
from rsbench.plan import RunPlan
from rsbench.records.store import load_all
from rsbench.records.verify import verify
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.context import ModelContext

SIZES = (1, 2, 7, 10, 101)
TIMED = ("created", "timing", "perf", "env", "path", "artifacts")
WEIGHTED = {"loss_options": {"class_weights": [float(k) for k in range(1, 11)]}, "clip_grad": 0.5}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "weighted": WEIGHTED,
    "batch-norm": {},
    "batch-norm-last": {"drop_last": False, "lr": 0.01},  # five images, and less noise from rounding
}


def without_norm(context: ModelContext) -> nn.Module:
    layers = [nn.Conv2d(context.channels, 8, 3, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(72, context.num_classes))


def with_norm(context: ModelContext) -> nn.Module:
    layers = [nn.Conv2d(context.channels, 8, 3, 4), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(72, 16), nn.BatchNorm1d(16), nn.Linear(16, context.num_classes))


def plan_of(root: Path, out: Path, **changes: Any) -> RunPlan:
    recipe = {
        "epochs": 3,
        "batch": 7,
        "optimizer": "sgd",
        "lr": 0.05,
        "schedule": "constant",
        "schedule_options": {},
        "precision": "fp32",
        "augmentation": {"hflip": 0.5, "quarter_turns": True, "shift": 3},
    }
    return one_run(root, out, recipe | changes)


def everything(root: Path, out: Path, place: RankInfo | None) -> dict[str, Any]:
    """Do all that is compared, as one rank of a world or alone."""
    import rsbench_scenes.network

    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    original = rsbench_scenes.network.tiny_cnn
    for name, changes in CASES.items():
        rsbench_scenes.network.tiny_cnn = with_norm if name.startswith("batch-norm") else without_norm  # type: ignore[assignment]
        found[name] = run.execute(plan_of(root, out / name, **changes), lambda event: None, place=place)
    rsbench_scenes.network.tiny_cnn = original
    ranks = SINGLE_PROCESS if place is None else Ranks(place.rank, place.world)
    found["evaluated"] = {size: evaluated(size, ranks) for size in SIZES}
    return found


def evaluated(size: int, ranks: Ranks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return logits, targets and sample numbers of *size* samples, every third of a store."""
    images = np.random.default_rng(0).integers(0, 256, (3 * size, 3, 8, 8), dtype=np.uint8)
    loader = ArrayLoader(
        images,
        np.arange(3 * size),
        np.arange(3 * size) % 5,
        np.arange(0, 3 * size, 3),
        batch=4,
        device=torch.device("cpu"),
        normalization=Normalization((100.0,) * 3, (50.0,) * 3),
        bands=[0, 1, 2],
    )
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5))
    fabric = make_fabric(torch.device("cpu"), "fp32")
    result = evaluate(model, loader.shard(ranks), fabric)
    return result.logits, result.targets, result.index


def rank_main(connection: Connection, work: Callable[..., Any], place: RankInfo) -> None:
    os.environ.update(place.environment())
    connection.send(work(place=place))


def in_ranks(work: Callable[..., Any], world: int) -> list[Any]:
    """Return what *work* returns on each rank."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rsbench.engine.launch.preload"])
    port = _free_port()
    started = []
    for n in range(world):
        place = RankInfo(rank=n, world=world, local=n, devices=world, address=LOCALHOST, port=port)
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=rank_main, args=(theirs, work, place))
        process.start()
        theirs.close()
        started.append((process, ours))
    results = [connection.recv() for _, connection in started]
    for process, _ in started:
        process.join()
    return results


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=12)
    prepare(spec, folder / "files", folder)
    return folder


@pytest.fixture(scope="module")
def alone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return everything(root, tmp_path_factory.mktemp("alone"), None)


@pytest.fixture(scope="module", params=[2, 3])
def together(root: Path, tmp_path_factory: pytest.TempPathFactory, request: Any) -> tuple[Path, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp(f"world{request.param}")
    return out, in_ranks(partial(everything, root, out), request.param)


def comparable(value: Any) -> Any:
    """A record without what names the machine or its clocks."""
    if isinstance(value, dict):
        return {k: comparable(v) for k, v in value.items() if k not in (*TIMED, "seconds", "time_to", "command")}
    return [comparable(v) for v in value] if isinstance(value, list) else value


def assert_record_of(record: dict[str, Any], out: Path, alone: dict[str, Any], ranks: int) -> None:
    """The record of several ranks is that of one process, but for times and machine, and holds by its predictions."""
    assert_same(comparable(alone), comparable(record))
    assert record["env"]["device"]["count"] == record["env"]["ranks"]["count"] == ranks
    assert alone["env"]["device"]["count"] == 1
    (loaded,) = load_all([out])
    assert verify(loaded) == []


def assert_same(a: Any, b: Any, where: str = "record") -> None:
    if isinstance(a, dict) and isinstance(b, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
        assert len(a) == len(b), where
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{k}]")
    elif isinstance(a, float):
        # three epochs amplify what sums in another order differ by
        assert b == pytest.approx(a, rel=1e-6, abs=1e-4), where
    elif not where.endswith(".detail"):  # sentences with rounded numbers
        assert a == b, where


@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_one_process(
    alone: dict[str, Any], together: tuple[Path, list[dict[str, Any]]], case: str
) -> None:
    (ours, *_) = (result[case] for result in together[1])
    assert ours["error"] is None
    expected = [epoch["train_loss"] for epoch in alone[case]["train"]["curve"]]
    assert alone[case]["train"]["steps"] == 3 * (40 // 7 + (case == "batch-norm-last"))
    assert [epoch["train_loss"] for epoch in ours["train"]["curve"]] == pytest.approx(expected, abs=1e-5)
    assert ours["train"]["initial_loss"] == pytest.approx(alone[case]["train"]["initial_loss"], abs=1e-5)
    assert expected[0] != pytest.approx(expected[-1], abs=1e-3)  # it learns: the same is not nothing


@pytest.mark.parametrize("case", CASES)
def test_records_differ_in_times_and_machine_alone(
    alone: dict[str, Any], together: tuple[Path, list[dict[str, Any]]], case: str
) -> None:
    out, results = together
    record = results[0][case]
    assert_record_of(record, out / case, alone[case], len(results))
    assert [result[case]["train"] for result in results[1:]] == [None] * (len(results) - 1)
    assert sorted(p.name for p in (out / case / record["run_id"]).iterdir()) == [
        "model.safetensors",
        "predictions.parquet",
        "record.json",
    ]


@pytest.mark.parametrize("size", SIZES)
def test_every_sample_is_evaluated_once(
    alone: dict[str, Any], together: tuple[Path, list[dict[str, Any]]], size: int
) -> None:
    logits, targets, index = alone["evaluated"][size]
    assert index.tolist() == list(range(0, 3 * size, 3))
    for result in together[1]:
        ours = result["evaluated"][size]
        assert ours[2].tolist() == index.tolist()
        assert ours[1].tolist() == targets.tolist()
        np.testing.assert_allclose(ours[0], logits, atol=1e-6)


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_shares_cover_everything_once(world: int) -> None:
    for total in (0, 1, 7, 64, 101):
        parts = [np.arange(total)[Ranks(n, world).local_slice(total)] for n in range(world)]
        assert np.concatenate(parts).tolist() == list(range(total))
        assert [len(part) for part in parts] == Ranks(0, world).sizes(total)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
