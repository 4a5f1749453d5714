"""Observers: they are told everything, change nothing, and whatever they raise is named and goes no further."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from one_run import one_run

from rsbench import hookimpl
from rsbench.data.prepare import prepare
from rsbench.engine.run.run import execute
from rsbench.errors import UserErrors
from rsbench.observing import SWITCH, observing
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.registry import registry
from rsbench.specs import load_attribute

HOOKS = ("rsbench_run_start", "rsbench_epoch_end", "rsbench_run_end")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=12)
    prepare(spec, folder / "files", folder)
    return folder


@pytest.fixture
def watched() -> Iterator[Any]:
    """Register an observer for the length of a test."""
    names: list[str] = []

    def register(observer: object) -> None:
        names.append(f"watcher-{len(names)}")
        registry().manager.register(observer, name=names[-1])

    yield register
    for name in names:
        registry().manager.unregister(name=name)


def make_plan(root: Path, out: Path, **changes: Any) -> RunPlan:
    recipe = {"epochs": 2, "batch": 8, "augmentation": {"hflip": 0.5}, **changes}
    return one_run(root, out, recipe, "baseline-cnn")


@pytest.fixture(scope="module")
def unwatched(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return execute(make_plan(root, tmp_path_factory.mktemp("unwatched")), lambda e: None)


class Raises:
    def __init__(self, where: str, error: BaseException) -> None:
        self.where, self.error = where, error

    def at(self, hook: str) -> None:
        if hook == self.where:
            raise self.error

    @hookimpl
    def rsbench_run_start(self, plan: Any) -> None:
        self.at("rsbench_run_start")

    @hookimpl
    def rsbench_epoch_end(self, plan: Any, epoch: int, logs: Any) -> None:
        self.at("rsbench_epoch_end")

    @hookimpl
    def rsbench_run_end(self, plan: Any, record: Any) -> None:
        self.at("rsbench_run_end")


class Meddles:
    """Changes whatever it is given, and draws from every generator."""

    def spoil(self, given: Any) -> None:
        given.clear()
        random.seed(1)
        np.random.rand(3)
        torch.rand(3)

    @hookimpl
    def rsbench_run_start(self, plan: Any) -> None:
        self.spoil(plan.recipe)

    @hookimpl
    def rsbench_epoch_end(self, plan: Any, epoch: int, logs: Any) -> None:
        self.spoil(logs)

    @hookimpl
    def rsbench_run_end(self, plan: Any, record: Any) -> None:
        self.spoil(record)


def without_clocks(record: dict[str, Any]) -> dict[str, Any]:
    """What two runs of the same plan must agree in."""
    kept = copy.deepcopy({k: record[k] for k in ("status", "run_id", "plan", "metrics", "by_group", "artifacts")})
    curve = [
        {k: v for k, v in entry.items() if "second" not in k and "per_s" not in k} for entry in record["train"]["curve"]
    ]
    return json.loads(json.dumps(kept | {"curve": curve}))


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("error", [OSError("disk full"), SystemExit(3)], ids=["raises", "exits"])
def test_record_is_the_same_but_for_the_named_error(
    root: Path, tmp_path: Path, unwatched: dict[str, Any], watched: Any, hook: str, error: BaseException
) -> None:
    watched(Raises(hook, error))
    events: list[dict[str, Any]] = []
    plan = make_plan(root, tmp_path)
    record = execute(plan, events.append)
    stored = store.load(tmp_path / plan.run_id)
    assert without_clocks(stored) == without_clocks(unwatched) == without_clocks(record)
    added = [c for c in stored["checks"] if c["name"] == "observer"]
    assert [c for c in stored["checks"] if c not in added] == unwatched["checks"]
    (check,) = added  # once, though it is raised after each of two epochs
    text = f"plugin 'watcher-0' (distribution 'unknown'): {hook} raised {type(error).__name__}: {error}"
    assert check == {"name": "observer", "ok": False, "detail": text}
    assert record["checks"] == stored["checks"]
    assert [e["text"] for e in events if e["type"] == "warning"] == [text]


@pytest.mark.parametrize("hook", HOOKS[::2])
def test_a_failed_run_names_the_error_too(root: Path, tmp_path: Path, watched: Any, hook: str) -> None:
    watched(Raises(hook, OSError("disk full")))
    plan = make_plan(root, tmp_path, optimizer="sgd", lr=1e12, weight_decay=0)
    execute(plan, lambda e: None)
    stored = store.load(tmp_path / plan.run_id)
    assert stored["status"] == "failed"
    assert [c["name"] for c in stored["checks"]] == ["observer"]


def test_an_observer_that_meddles_changes_nothing(
    root: Path, tmp_path: Path, unwatched: dict[str, Any], watched: Any
) -> None:
    watched(Meddles())
    plan = make_plan(root, tmp_path)
    execute(plan, lambda e: None)
    stored = store.load(tmp_path / plan.run_id)
    assert without_clocks(stored) == without_clocks(unwatched)
    assert stored["checks"] == unwatched["checks"]


def test_switching_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.delenv(SWITCH, raising=False)
    with observing(["mllog", "tensorboard"]):
        assert os.environ[SWITCH] == "mllog,tensorboard"
        with observing(["wandb"]):
            assert os.environ[SWITCH] == "mllog,tensorboard,wandb"
        assert os.environ[SWITCH] == "mllog,tensorboard"
    assert SWITCH not in os.environ
    with (
        pytest.raises(UserErrors, match=r"no observer 'tensorbord'\. Did you mean 'tensorboard'"),
        observing(["tensorbord"]),
    ):
        pass
    monkeypatch.setenv(SWITCH, "mlog")
    with pytest.raises(UserErrors, match="Did you mean 'mllog'"), observing():
        pass
