"""Few labels: stratified, nested, drawn by the seed, and a protocol of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsbench.data import few_labels
from rsbench.data.store import PreparedStore
from rsbench.engine.input.run_data import open_data
from rsbench.engine.run.run import execute
from rsbench.errors import UserErrors
from rsbench.plan import RunPlan, RunRequest, expand, fingerprint
from rsbench.records.store import load_all
from rsbench.records.verify import verify


class Store:
    """Images with classes; each has as many samples."""

    def __init__(self, classes: list[int], samples: int = 1) -> None:
        self.labels = np.repeat(classes, samples)
        self.columns = {"label": self.labels}
        self.image_ids = [f"image-{k}" for k in range(len(classes))]
        self.image_index = np.repeat(np.arange(len(classes)), samples)


def taken(store: Any, labels: dict[str, Any], seed: int = 0) -> set[int]:
    return set(few_labels.reduced(store, np.arange(len(store.labels)), labels, seed).tolist())


@given(
    classes=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    shots=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    fractions=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
    seed=st.integers(0, 3),
)
def test_parts_are_stratified_and_nested(
    classes: list[int], shots: tuple[int, int], fractions: tuple[float, float], seed: int
) -> None:
    store: Any = Store(classes)
    counts = np.bincount(classes)
    for kind, (small, large) in (("shots", sorted(shots)), ("fraction", sorted(fractions))):
        few, more = (taken(store, {kind: value}, seed) for value in (small, large))
        assert few <= more
        found = np.bincount(store.labels[sorted(few)], minlength=len(counts))
        expected = np.minimum(small, counts) if kind == "shots" else np.round(small * counts)
        assert found.tolist() == np.where(counts > 0, np.maximum(expected, 1), 0).tolist()


def test_seeds_draw_other_images_and_the_same_each_time() -> None:
    store: Any = Store([0] * 40 + [1] * 40)
    assert taken(store, {"shots": 5}, 0) == taken(store, {"shots": 5}, 0)
    assert taken(store, {"shots": 5}, 0) != taken(store, {"shots": 5}, 1)


def test_all_samples_of_an_image_go_together() -> None:
    store: Any = Store([0, 0, 1, 1], samples=3)
    found = few_labels.reduced(store, np.arange(12), {"shots": 1}, 0)
    assert len(found) == 6
    assert np.bincount(store.image_index[found]).max() == 3


def plan_of(root: Path, out: Path, **changes: Any) -> RunPlan:
    settings: dict[str, Any] = {
        "models": (("pixel-statistics", {}),),
        "dataset": "eurosat",
        "protocol": "focal-50-50",
        "seeds": (0,),
        "device": "cpu",
        "threads": 1,
        "data_root": str(root),
        "out": str(out),
    }
    return expand(RunRequest(**settings | changes))[0]


def test_training_and_validation_are_reduced_and_the_test_is_not(root: Path, tmp_path: Path) -> None:
    plan, whole = plan_of(root, tmp_path, shots=2), plan_of(root, tmp_path)
    data, every = open_data(plan), open_data(whole)
    sizes = plan.protocol["split_sizes"]
    assert (len(data.train), len(data.val), len(data.test)) == (sizes["train"], sizes["val"], sizes["test"])
    assert sizes["train"] == 20
    assert len(data.val) <= min(20, len(every.val))
    assert {*data.train} <= {*every.train}
    assert {*data.val} <= {*every.val}
    assert data.test.tolist() == every.test.tolist()


def test_the_protocol_is_another_and_one_for_all_seeds(root: Path, tmp_path: Path) -> None:
    plans = [
        plan_of(root, tmp_path),
        plan_of(root, tmp_path, shots=2),
        plan_of(root, tmp_path, shots=3),
        plan_of(root, tmp_path, train_fraction=0.5),
    ]
    assert len({plan.protocol["fingerprint"] for plan in plans}) == 4
    assert [plan.protocol["name"] for plan in plans[1:]] == [
        "focal-50-50+shots2",
        "focal-50-50+shots3",
        "focal-50-50+fraction0.5",
    ]
    other = plan_of(root, tmp_path, shots=2, seeds=(1,))
    assert other.protocol == plans[1].protocol
    assert {*open_data(other).train} != {*open_data(plans[1]).train}
    assert plan_of(root, tmp_path, train_fraction=1.0).run_id == plans[0].run_id
    stored = json.loads((Path(plans[0].dataset["store"]) / "manifest.json").read_text())
    versions = dict.fromkeys(plans[1].protocol["metrics"], "1")
    assert fingerprint({**plans[1].protocol, "labels": {"shots": 4}}, stored, versions) != fingerprint(
        plans[1].protocol, stored, versions
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shots": 2, "train_fraction": 0.5}, "Give either --train-fraction or --shots"),
        ({"train_fraction": 1.5}, "must lie above 0"),
        ({"shots": 0}, "must be at least 1"),
        ({"shots": 2, "overfit": 5}, "leave --train-fraction and --shots out"),
    ],
)
def test_what_cannot_be_is_refused(root: Path, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserErrors, match=said):
        plan_of(root, tmp_path, **changes)


def test_shots_of_images_without_classes_are_refused() -> None:
    store: Any = Store([0, 0])
    store.columns = {}
    with pytest.raises(Exception, match="use --train-fraction"):
        taken(store, {"shots": 1})
    assert len(taken(store, {"fraction": 0.5})) == 1


def test_a_run_with_few_labels_is_verified(root: Path, tmp_path: Path) -> None:
    for plan in (plan_of(root, tmp_path, shots=2), plan_of(root, tmp_path, shots=2, seeds=(1,))):
        record = execute(plan, lambda event: None)
        assert record["status"] == "ok", record["error"]
        (loaded,) = load_all([Path(plan.out) / plan.run_id])
        assert verify(loaded) == []
        assert record["train"]["samples"] == 20


def test_a_store_is_enough(root: Path) -> None:
    """The function takes what is prepared, of whatever task."""
    store = PreparedStore.open(root / "prepared" / "eurosat-1")
    found = few_labels.reduced(store, np.arange(90), {"fraction": 1 / 3}, 0)
    assert np.bincount(store.labels[found]).tolist() == [3] * 10
