"""Probes of frozen features: their optimum, their features, the cache of these, and the runs that they are."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rsbench_probes.features import Features
from rsbench_probes.knn import Neighbors
from rsbench_probes.logistic import Regression
from rsbench_probes.probe import Probed, Samples
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from typer.testing import CliRunner

import rsbench
from rsbench.cli.app import build
from rsbench.continuation import start_from
from rsbench.data.store import PreparedStore
from rsbench.engine.run.run import execute
from rsbench.errors import UserError, UserErrors
from rsbench.evaluation import EvaluationRequest, expand_evaluation
from rsbench.plan import RunPlan, RunRequest, expand, source_sha256
from rsbench.recipes import fit_of
from rsbench.records.store import load_all
from rsbench.records.verify import verify
from rsbench.tasks.task import get_task
from rsbench.tasks.weights import read

NET = "timm:test_resnet"


def features_of(samples: int, width: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features of very different scales, one of which is constant, and labels."""
    draw = np.random.default_rng(seed)
    labels = np.arange(samples) % classes
    latent = 0.7 * draw.normal(size=(classes, 16))[labels] + draw.normal(size=(samples, 16))
    found = latent @ draw.normal(size=(16, width)) / 4 * np.exp(draw.normal(size=width))
    found[:, 0] = 3.0
    return np.maximum(found, 0).astype(np.float32), labels


@pytest.mark.parametrize(("samples", "width", "classes"), [(300, 40, 4), (30, 50, 5), (60, 20, 2)])
def test_logistic_regression_is_that_of_scikit_learn(samples: int, width: int, classes: int) -> None:
    features, labels = features_of(samples, width, classes)
    spread = features.std(0, dtype=np.float64)
    scaled = (features - features.mean(0, dtype=np.float64)) / np.where(spread > 0, spread, 1)
    regression = Regression(torch.from_numpy(features), torch.from_numpy(labels), classes)
    for c in (1e-4, 1e-2, 1.0, 10.0):
        found = regression.fit(c)
        ours = torch.softmax(torch.from_numpy(features).double() @ found.weight.T + found.bias, 1).numpy()
        if classes == 2:  # scikit-learn has one vector of coefficients there, of twice the difference: half the penalty
            continue
        theirs = LogisticRegression(C=c, tol=1e-9, max_iter=20_000).fit(scaled, labels).predict_proba(scaled)
        assert np.abs(ours - theirs).max() < 1e-3
        assert found.passes < 400


def test_the_way_to_an_optimum_does_not_matter() -> None:
    features, labels = (torch.from_numpy(part) for part in features_of(200, 30, 4))
    straight, by_steps = Regression(features, labels, 4), Regression(features, labels, 4)
    for c in (1e-4, 1e-3, 1e-2):
        by_steps.fit(c)
    torch.testing.assert_close(by_steps.fit(0.1).weight, straight.fit(0.1).weight, atol=2e-3, rtol=0)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_votes_are_those_of_scikit_learn(k: int) -> None:
    features, labels = features_of(120, 12, 4)
    new, _ = features_of(50, 12, 4, seed=1)
    head = Neighbors(12, 4, 120)
    head.fill(Samples(torch.from_numpy(features), torch.from_numpy(labels)), standardize=False)
    head.k.fill_(k)
    theirs = KNeighborsClassifier(k, metric="cosine").fit(features, labels).predict_proba(new)
    ours = torch.softmax(head(torch.from_numpy(new)), 1).detach().numpy()
    assert np.abs(ours - theirs).max() < 1e-5


def image(size: int = 32) -> torch.Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def timm_net(name: str) -> Any:
    import timm

    torch.manual_seed(0)
    return timm.create_model(name, num_classes=7, **({"img_size": 32} if "vit" in name else {})).eval()


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext"])
@torch.no_grad()
def test_features_are_what_enters_the_classifier(name: str) -> None:
    network = timm_net(name)
    expected = network.forward_head(network.forward_features(image()), pre_logits=True)
    found = Features(network, image(), 7)
    torch.testing.assert_close(found.train()(image()), expected)
    assert found.width == expected.shape[1]
    assert not [p for p in found.parameters() if p.requires_grad]


@torch.no_grad()
def test_tokens_layers_and_flips() -> None:
    network = timm_net("test_vit")
    tokens = network.forward_features(image())

    def given(**options: Any) -> torch.Tensor:
        return Features(network, image(), 7, **options)(image())

    torch.testing.assert_close(given(pooling="class"), tokens[:, 0])
    torch.testing.assert_close(given(pooling="mean"), tokens[:, 1:].mean(1))
    layers = network.forward_intermediates(image(), indices=[2, 3], intermediates_only=True, norm=False)
    both = torch.cat([layer.mean((2, 3)) for layer in layers], 1)
    torch.testing.assert_close(given(layers=["blocks.[2-3]"]), both)
    views = [image(), image().flip(-1), image().flip(-2), image().flip((-2, -1))]
    plain = Features(network, image(), 7)
    torch.testing.assert_close(given(flips=True), torch.stack([plain(view) for view in views]).mean(0))


def test_what_has_no_such_features_is_told() -> None:
    with pytest.raises(UserError, match=r"no layer 'blocks\.9'; it has patch_embed"):
        Features(timm_net("test_vit"), image(), 7, layers=["blocks.9"])
    with pytest.raises(UserError, match="no class token"):
        Features(timm_net("test_resnet"), image(), 7, pooling="class")
    with pytest.raises(UserError, match="no linear layer"):
        Features(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), image(), 7)


def test_the_head_is_used_in_full_precision_whatever_the_network_is() -> None:
    features = Features(timm_net("test_resnet"), image(), 7)
    model = Probed(features, nn.Linear(features.width, 7), {})
    found = features(image())
    plain = model.head(found)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(found), plain, atol=0, rtol=0)


def test_a_map_that_enters_a_convolution_is_averaged() -> None:
    from torchvision.models import squeezenet1_0

    network = squeezenet1_0(num_classes=7).eval()
    with torch.no_grad():
        expected = network.features(image(64)).mean((2, 3))
        torch.testing.assert_close(Features(network, image(64), 7)(image(64)), expected)


def plan_of(root: Path, out: Path, recipe: str = "linear-probe", **changes: Any) -> RunPlan:
    settings: dict[str, Any] = {
        "models": ((NET, {}),),
        "dataset": "eurosat",
        "protocol": "helber-80-20" if changes.pop("without_val", False) else "focal-50-50",
        "recipe": recipe,
        "device": "cpu",
        "threads": 1,
        "data_root": str(root),
        "out": str(out),
    }
    (plan,) = expand(RunRequest(**settings | changes))
    return plan


@pytest.fixture(scope="module")
def runs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[RunPlan, dict[str, Any]]]:
    """A run of each recipe, in the order of the names."""
    out = tmp_path_factory.mktemp("runs")
    plans = [plan_of(root, out), plan_of(root, out, "knn-probe"), plan_of(root, out, without_val=True)]
    found = [(plan, execute(plan, lambda event: None)) for plan in plans]
    return dict(zip(("linear-probe", "knn-probe", "without validation"), found, strict=True))


def test_records_of_probes_are_verified_and_say_what_was_tried(runs: Any) -> None:
    for plan, record in runs.values():
        assert record["status"] == "ok", record["error"]
        (loaded,) = load_all([Path(plan.out) / plan.run_id])
        assert verify(loaded) == []
        assert record["plan"]["division"] == "open"
        assert record["plan"]["recipe"]["fit_sha256"] == source_sha256(plan.recipe["fit"])
    sweep = runs["linear-probe"][1]["train"]["sweep"]
    scores = {one["C"]: one["val_accuracy"] for one in sweep["tried"]}
    assert [*scores] == runs["linear-probe"][0].recipe["fit_options"]["C"]
    assert scores[sweep["chosen"]] == max(scores.values())
    assert (sweep["train_samples"], sweep["val_samples"], sweep["held_out"]) == (40, 0, False) or sweep["val_samples"]


def test_a_chosen_setting_that_is_not_the_best_is_found_out(runs: Any, tmp_path: Path) -> None:
    from rsbench.records.audit import Audit
    from rsbench.records.facts import training

    record = json.loads(json.dumps(runs["knn-probe"][1]))
    record["train"]["sweep"]["chosen"] = 77
    audit = Audit(record)
    training(audit)
    assert [w for w in audit.wrong if "sweep.chosen" in w]


def test_features_are_computed_once_for_all_probes(runs: Any, root: Path) -> None:
    used = [record["perf"]["embeddings"] for _, record in runs.values()]
    assert [one["reused"] for one in used] == [False, True, True]
    assert len({(one["file"], one["sha256"]) for one in used}) == 1
    assert [path.name for path in (root / "embeddings").glob("*.npy")] == [used[0]["file"]]


@pytest.mark.parametrize("recipe", ["linear-probe", "knn-probe"])
def test_a_probe_is_loaded_and_evaluated_as_any_network(runs: Any, recipe: str, root: Path, tmp_path: Path) -> None:
    plan, record = runs[recipe]
    folder = Path(plan.out) / plan.run_id
    network = rsbench.load_model(folder, device="cpu", data_root=root)
    kept = get_task("classification").read(folder / "predictions.parquet").predictions
    store = PreparedStore.open(Path(plan.dataset["store"]))
    images = np.stack([store.images[store.image_index[store.ids.index(name)]] for name in kept.ids])
    with torch.inference_mode():
        found = torch.softmax(network(network.rsbench.preprocess(images)).double(), 1).numpy()
    assert np.abs(found - kept.probabilities).max() < 1e-3  # kept as float16
    request = EvaluationRequest(
        checkpoint=folder / "model.safetensors",
        dataset="eurosat",
        protocol=plan.protocol["name"],
        device="cpu",
        data_root=str(root),
        out=str(tmp_path),
    )
    again = execute(expand_evaluation(request), lambda event: None)
    assert again["status"] == "ok", again["error"]
    assert again["metrics"]["overall_accuracy"]["value"] == record["metrics"]["overall_accuracy"]["value"]


def test_without_validation_a_fifth_of_training_is_held_out_and_taken_back(runs: Any) -> None:
    sweep = runs["without validation"][1]["train"]["sweep"]
    assert sweep["held_out"]
    assert sweep["train_samples"] + sweep["val_samples"] == sweep["refit_samples"]
    assert sweep["val_samples"] == pytest.approx(0.2 * sweep["refit_samples"], abs=10)
    assert sweep["refit"]["passes"] > 0


@pytest.mark.parametrize("recipe", ["linear-probe", "knn-probe"])
def test_a_protocol_may_ask_for_a_refit_with_validation_samples(root: Path, tmp_path: Path, recipe: str) -> None:
    plan = plan_of(root, tmp_path, recipe)
    plan = dataclasses.replace(plan, protocol={**plan.protocol, "refit": True})
    record = execute(plan, lambda event: None)
    assert record["status"] == "ok", record["error"]
    sizes = plan.protocol["split_sizes"]
    assert record["train"]["sweep"]["refit_samples"] == record["train"]["samples"] == sizes["train"] + sizes["val"]


def test_features_of_a_network_that_a_run_has_trained(root: Path, tmp_path: Path) -> None:
    trained = execute(plan_of(root, tmp_path, "eurosat-short", changes={"epochs": 1}, seeds=(0,)), lambda event: None)
    (parent,) = load_all([tmp_path / trained["run_id"]])
    plain = plan_of(root, tmp_path, changes={"fit_options.C": [0.01]})
    records = [execute(plan, lambda event: None) for plan in (plain, start_from(plain, parent))]
    assert [record["status"] for record in records] == ["ok", "ok"], records[1]["error"]
    assert len({record["perf"]["embeddings"]["sha256"] for record in records}) == 2
    weights = read(tmp_path / records[1]["run_id"] / "model.safetensors")
    for name, tensor in read(tmp_path / trained["run_id"] / "model.safetensors").items():
        assert torch.equal(weights[f"features.network.network.{name}"], tensor)


def test_a_dry_run_says_what_is_tried_and_measures_no_steps(root: Path, tmp_path: Path) -> None:
    words = [NET, "eurosat", "--protocol", "focal-50-50", "--recipe", "linear-probe", "--dry-run", "--measure"]
    places = ["--data-root", str(root), "--out", str(tmp_path), "--device", "cpu"]
    done = CliRunner().invoke(build(), ["run", *words, *places])
    assert done.exit_code == 0, done.output
    assert (
        "linear-probe: pooling network, layers [], flips False, standardize True, C one of 13, 1e-05 to 10"
        in done.output
    )
    assert "measured" not in done.output


def test_few_labels_of_a_probe(root: Path, tmp_path: Path) -> None:
    plan = plan_of(
        root, tmp_path, shots=2, protocol="in-domain-60-20-20", changes={"fit_options.C": [0.01, 1]}, seeds=(3,)
    )
    record = execute(plan, lambda event: None)
    assert record["status"] == "ok", record["error"]
    assert (record["train"]["sweep"]["train_samples"], record["train"]["sweep"]["val_samples"]) == (20, 20)


def test_damaged_features_are_computed_anew(runs: Any, root: Path, tmp_path: Path) -> None:
    record = runs["linear-probe"][1]
    path = root / "embeddings" / record["perf"]["embeddings"]["file"]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    told: list[dict[str, Any]] = []
    again = execute(plan_of(root, tmp_path), told.append)
    assert [event["text"] for event in told if event["type"] == "warning"] == [
        f"{path.name} was damaged, so the features were computed anew."
    ]
    assert again["perf"]["embeddings"]["sha256"] == record["perf"]["embeddings"]["sha256"]
    assert again["metrics"] == record["metrics"]
    assert again["run_id"] == record["run_id"]


def test_other_pooling_normalization_and_weights_are_other_features(root: Path, tmp_path: Path) -> None:
    def file(**changes: Any) -> str:
        record = execute(plan_of(root, tmp_path, **changes), lambda event: None)
        assert record["status"] == "ok", record["error"]
        return str(record["perf"]["embeddings"]["file"])

    one_c = {"fit_options.C": [0.01]}
    files = [
        file(changes=one_c),
        file(changes=one_c | {"fit_options.flips": True}),
        file(changes=one_c | {"fit_options.layers": ["layer[34]"]}),
        file(changes=one_c, seeds=(1,)),
        file(changes=one_c, models=((NET, {"normalization": "given"}),)),
    ]
    assert len({*files}) == 5 - (files[0] == files[4])  # its own statistics may be ImageNet's
    assert file(changes=one_c | {"fit_options.standardize": False}) == files[0]


def test_what_a_probe_does_not_take_is_refused(root: Path, tmp_path: Path) -> None:
    for changes, said in (
        ({"epochs": 3}, "A recipe has no field 'epochs'"),
        ({"fit_options.poling": "mean"}, "has no option 'poling'. Did you mean 'pooling'"),
        ({"fit": "os:system"}, "A recipe has no field 'fit'"),
    ):
        with pytest.raises(UserErrors, match=said):
            plan_of(root, tmp_path, changes=changes)
    for changes, said in (
        ({"fit_options.C": [0]}, "takes a number above 0"),
        ({"fit_options.pooling": "max"}, "'max' is not"),
    ):
        record = execute(plan_of(root, tmp_path, changes=changes), lambda event: None)
        assert said in record["error"]["message"]
    with pytest.raises(UserError, match="No installed recipe fits"):
        fit_of({"fit": "os:system"})


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_embed_writes_what_probes_take(root: Path, tmp_path: Path, runs: Any, suffix: str) -> None:
    from pyarrow import parquet

    output = tmp_path / f"features{suffix}"
    words = ["embed", NET, "eurosat", "--protocol", "focal-50-50", "--output", str(output), "--threads", "1"]
    done = CliRunner().invoke(build(), [*words, "--data-root", str(root), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    kept = np.load(root / "embeddings" / runs["linear-probe"][1]["perf"]["embeddings"]["file"])
    if suffix == ".npy":
        values = np.load(output)
        with output.with_suffix(".csv").open() as stream:
            rows = [*csv.DictReader(stream)]
    else:
        table = parquet.read_table(output)
        values, rows = np.array(table["embedding"].to_pylist(), np.float32), table.drop(["embedding"]).to_pylist()
    np.testing.assert_array_equal(values, kept)
    assert len(rows) == len(values)
    sizes = runs["linear-probe"][0].protocol["split_sizes"]
    assert sum(row["split"] == "test" for row in rows) == sizes["test"]
    assert {row["label"] for row in rows} == {*runs["linear-probe"][0].dataset["classes"]}
