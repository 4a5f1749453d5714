from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from rsbench.config import load_suite, parse_pairs, parse_seeds
from rsbench.data import manifest
from rsbench.data.prepare import prepare
from rsbench.errors import UserError, UserErrors
from rsbench.execution import portable_command
from rsbench.plan import RunPlan, RunRequest, expand, protocol_block, source_sha256
from rsbench.registry import registry
from rsbench.specs import Accepts, Option, load_attribute


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=6)
    prepare(spec, folder / "files", folder)
    return folder


def request(root: Path, *models: str, **changes: object) -> RunRequest:
    base = RunRequest(models=tuple((m, {}) for m in models), dataset="eurosat", data_root=root, seeds=(0,))
    return dataclasses.replace(base, **changes)


def test_plan_is_whole_and_survives_json(root: Path) -> None:
    import json

    (plan,) = expand(request(root, "baseline-cnn"))
    assert plan.division == "closed"
    assert plan.protocol["split_sizes"] == {"train": 20, "val": 20, "test": 20}
    assert plan.recipe["name"] == "eurosat-standard"
    assert RunPlan(**json.loads(json.dumps(plan.to_dict()))).run_id == plan.run_id


def test_fingerprint_ignores_the_recipe_and_the_id_does_not(root: Path) -> None:
    (a,) = expand(request(root, "baseline-cnn"))
    (b,) = expand(request(root, "baseline-cnn", changes={"lr": 0.5}))
    assert a.protocol["fingerprint"] == b.protocol["fingerprint"]
    assert a.run_id != b.run_id
    assert (a.division, b.division) == ("closed", "open")


def test_fingerprint_changes_with_split_metric_version_and_data(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prints = {expand(request(root, "bmta"))[0].protocol["fingerprint"]}
    prints.add(expand(request(root, "bmta", protocol="helber-80-20"))[0].protocol["fingerprint"])
    metric = registry()._specs["metric"]["ece"]
    monkeypatch.setitem(registry()._specs["metric"], "ece", dataclasses.replace(metric, version="2"))
    prints.add(expand(request(root, "bmta"))[0].protocol["fingerprint"])
    assert len(prints) == 3


@pytest.mark.parametrize(
    ("changes", "comparable"),
    [
        ({"selection": "last"}, False),
        ({"bands": ("blue", "green", "red")}, False),
        ({"size": 32}, False),
        ({"primary": "average_accuracy"}, False),
        ({"metrics": ("overall_accuracy",)}, False),
        ({"seeds": (7,), "recipe": "eurosat-short", "targets": (0.5,), "summary": "Another.", "citation": "x"}, True),
    ],
)
def test_fingerprint_holds_what_makes_results_comparable_and_no_more(
    changes: dict[str, object], comparable: bool, root: Path
) -> None:
    dataset = registry().get("dataset", "eurosat")
    protocol = registry().get("protocol", "in-domain-60-20-20")
    store, stored = manifest.store_path(root, dataset), manifest.require(root, dataset)
    own = protocol_block(store, stored, protocol)["fingerprint"]
    assert (protocol_block(store, stored, dataclasses.replace(protocol, **changes))["fingerprint"] == own) == comparable
    for field in ("name", "version", "fingerprint"):
        assert protocol_block(store, stored | {field: "other"}, protocol)["fingerprint"] != own


def test_id_changes_with_seed_device_weights_and_rsbench(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = root / "net.npz"
    ids = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        (plan,) = expand(request(root, models=(("timm:resnet18", {"weights": str(file)}),)))
        assert plan.model["weights_sha256"] == hashlib.sha256(content).hexdigest()
        ids.append(plan.run_id)
    ids += [plan.run_id for plan in expand(request(root, "timm:resnet18", seeds=(0, 1)))]
    ids += [plan.run_id for plan in expand(request(root, "timm:resnet18", device="cpu"))]
    monkeypatch.setattr("rsbench.plan.__version__", "99")
    ids += [plan.run_id for plan in expand(request(root, "timm:resnet18"))]
    assert len(set(ids)) == 6


def test_id_changes_with_the_code_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "lab_models"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "net.py").write_text("raise RuntimeError('never imported')")
    before = source_sha256("lab_models.net:build")
    (package / "helper.py").write_text("WIDTH = 2")
    after = source_sha256("lab_models.net:build")
    assert before is not None
    assert before != after
    assert source_sha256("no_such_module:x") is None


def test_every_problem_comes_at_once(root: Path) -> None:
    bad = RunRequest(
        models=(("bmat", {}), ("bmta", {"alhpa_init": 1}), ("timm:resnet18", {"weights": "/nowhere.npz"})),
        dataset="eurosat",
        data_root=root,
        changes={"lrr": 1, "epochs": "many", "loss": "focla"},
    )
    with pytest.raises(UserErrors) as caught:
        expand(bad)
    text = str(caught.value)
    for part in ("Did you mean 'bmta'", "'alpha_init'", "'lr'", "epochs", "Did you mean 'focal'"):
        assert part in text
    assert len(caught.value.problems) == 5
    with pytest.raises(UserError, match="no weights file"):
        expand(request(root, models=(("timm:resnet18", {"weights": "/nowhere.npz"}),)))


def test_bands_and_units_are_checked(root: Path, tmp_path: Path) -> None:
    spec = registry().get("dataset", "eurosat-ms")
    load_attribute(spec.fake)(tmp_path / "ms", spec, per_class=3)
    prepare(spec, tmp_path / "ms", tmp_path)
    with pytest.raises(UserErrors) as caught:
        expand(request(tmp_path, "bmta", dataset="eurosat-ms"))
    assert "takes 3 bands" in str(caught.value)
    assert "in uint8" in str(caught.value)
    assert len(expand(request(tmp_path, "timm:resnet18", dataset="eurosat-ms"))) == 1


@pytest.mark.parametrize(
    ("accepts", "sentence"),
    [
        (Accepts(size=64), ""),
        (Accepts(size=32), "takes images of 32 pixels"),
        (Accepts(min_size=64), ""),
        (Accepts(min_size=65), "takes images of at least 65 pixels"),
        (Accepts(channels=4), "takes 4 bands"),
        (Accepts(unit="reflectance"), "takes images in reflectance"),
    ],
)
def test_what_a_model_takes_is_checked(
    accepts: Accepts, sentence: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = registry().get("model", "tiny-cnn")
    monkeypatch.setitem(registry()._specs["model"], "tiny-cnn", dataclasses.replace(spec, accepts=accepts))
    if not sentence:
        assert expand(request(root, "tiny-cnn"))
        return
    with pytest.raises(UserErrors, match=sentence):
        expand(request(root, "tiny-cnn"))


def test_tasks_and_bands_are_checked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserErrors, match="is for captioning; protocol 'in-domain-60-20-20' is classification"):
        expand(request(root, "vgg19-lstm"))
    protocol = dataclasses.replace(registry().get("protocol", "in-domain-60-20-20"), bands=("red", "thermal"))
    monkeypatch.setitem(registry()._specs["protocol"], protocol.name, protocol)
    with pytest.raises(UserErrors, match="asks for bands thermal"):
        expand(request(root, "timm:resnet18"))


def test_data_that_are_not_prepared(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rsbench data prepare eurosat --source"):
        expand(request(tmp_path, "bmta"))


def test_a_protocol_of_another_dataset(root: Path) -> None:
    with pytest.raises(UserError, match="is for 'scenes'"):
        expand(request(root, "bmta", protocol="scenes-standard"))


def test_overfit_is_a_division_and_a_protocol_of_its_own(root: Path) -> None:
    (plan,) = expand(request(root, "bmta", overfit=10))
    (normal,) = expand(request(root, "bmta"))
    assert plan.division == "debug"
    assert plan.protocol["fingerprint"] != normal.protocol["fingerprint"]
    assert expand(request(root, "bmta", overfit=20))[0].protocol["split_sizes"] == {"train": 20, "val": 0, "test": 20}
    for count in (0, 21):
        with pytest.raises(UserError, match="between 1 and the 20"):
            expand(request(root, "bmta", overfit=count))


def test_estimators_have_one_seed_and_one_device(root: Path) -> None:
    plans = expand(request(root, "majority-class", "tiny-cnn", seeds=(0, 1, 2), devices=2, strategy="ddp"))
    assert [(p.model["name"], p.seed, p.devices) for p in plans] == [
        ("majority-class", 0, 1),
        *(("tiny-cnn", seed, 2) for seed in range(3)),
    ]


def test_a_batch_is_shared_by_as_many_devices_as_it_has_samples(root: Path) -> None:
    assert expand(request(root, "tiny-cnn", devices=20))  # of 20 training samples
    with pytest.raises(UserErrors, match="batch of 20 cannot be shared by 21 devices"):
        expand(request(root, "tiny-cnn", devices=21))
    with pytest.raises(UserErrors, match="batch of 4 cannot be shared by 5 devices"):
        expand(request(root, "tiny-cnn", devices=5, changes={"batch": 4}))


def test_activations_are_computed_again_in_networks_that_are_not_compiled(root: Path) -> None:
    for mode in (None, "none", "auto"):
        assert expand(request(root, "tiny-cnn", compile=mode, checkpoint_activations=True))
    with pytest.raises(UserErrors, match="leave out --compile default or the other"):
        expand(request(root, "tiny-cnn", compile="default", checkpoint_activations=True))
    with pytest.raises(UserErrors, match="Did you mean 'default'"):
        expand(request(root, "tiny-cnn", compile="defualt"))


def test_author_recipe(root: Path) -> None:
    (plan,) = expand(request(root, "bmta", recipe="author"))
    assert plan.recipe["name"] == "bmta-author"
    assert plan.recipe["weight_decay"] == 0.05
    assert plan.recipe["loss_options"]["class_weights"] == "bmta-author"
    with pytest.raises(UserError, match="ships no recipe"):
        expand(request(root, "tiny-cnn", recipe="author"))
    with pytest.raises(UserError, match="Did you mean 'author'"):
        expand(request(root, "bmta", recipe="autor"))


def test_an_authors_precision_is_kept_unless_another_is_asked_for(root: Path) -> None:
    """What is asked for changes the recipe, of the protocol's standard one too, which leaves it open."""
    stated = {"bmta": "fp16", "cbam-cnn": "fp32", "baseline-cnn": "fp32", "resnet18-class-focal": "fp32"}
    for model, precision in stated.items():
        (plan,) = expand(request(root, model, recipe="author"))
        assert plan.recipe["precision"] == precision
        (other,) = expand(request(root, model, recipe="author", precision="bf16"))
        assert (other.recipe["precision"], other.division) == ("bf16", "open")
        assert plan.recipe == other.recipe | {"precision": precision}
    (standard,), (changed,) = (expand(request(root, "tiny-cnn", precision=p)) for p in (None, "fp32"))
    assert (standard.recipe["precision"], standard.division) == ("auto", "closed")
    assert (changed.recipe["precision"], changed.division) == ("fp32", "open")


@pytest.mark.parametrize(("text", "seeds"), [("3", (3,)), ("0-4", (0, 1, 2, 3, 4)), ("0,2,5-6", (0, 2, 5, 6))])
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


def test_bad_seeds_and_pairs() -> None:
    with pytest.raises(UserError, match="does not name seeds"):
        parse_seeds("a-b")
    with pytest.raises(UserError, match="KEY=VALUE"):
        parse_pairs(["lr"], "--set")
    assert parse_pairs(["lr=1e-3", "ema=null", "batch=8", "optimizer=sgd"], "--set") == {
        "lr": 1e-3,
        "ema": None,
        "batch": 8,
        "optimizer": "sgd",
    }


def test_suite_with_unknown_keys(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(
        "name: x\nruns:\n - {model: bmta, dataset: eurosat, seed: 1}\n - {model: 3, datset: eurosat}\nrusn: []\n"
    )
    with pytest.raises(UserErrors) as caught:
        load_suite(path)
    text = str(caught.value)
    assert "Did you mean 'seeds'" in text
    assert "Did you mean 'runs'" in text
    assert "'model' is int, not str or list" in text
    assert "run 2" in text


def test_shipped_suites_are_valid() -> None:
    from rsbench.api import DEMO

    demo = load_suite(DEMO)
    assert [r.dataset for r in demo] == ["scenes"] * 3 + ["scenes-captions"] * 2 + ["scenes-vqa"] * 2
    for dataset in {r.dataset for r in demo}:  # each has a baseline to beat, and none needs a download
        assert registry().get("dataset", dataset).generated
        models = [registry().get("model", name) for r in demo if r.dataset == dataset for name, _ in r.models]
        assert {"baseline" in m.tags for m in models} == {True, False}
    assert all(set(o) <= set(registry().get("model", name).options) for r in demo for name, o in r.models)
    assert load_suite(Path(__file__).parents[2] / "benchmarks" / "suites" / "eurosat-cpu.yaml")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (
            "rsbench run a b --out /elsewhere/x --data-root=/elsewhere --set 'augmentation={}'",
            "rsbench run a b --set 'augmentation={}'",
        ),
        (
            "rsbench run a b --weights /elsewhere/net.npz --option k=/elsewhere/other.pt",
            "rsbench run a b --weights net.npz --option k=other.pt",
        ),
        ("rsbench run a 'b:/else where/c d/,size=8' b:./c", "rsbench run a 'b:c d/,size=8' b:./c"),
        ("rsbench run --suite suites/x.yaml --out", "rsbench run --suite suites/x.yaml"),
        ("", ""),
    ],
)
def test_commands_in_records_name_no_place_of_a_machine(typed: str, kept: str) -> None:
    assert portable_command(typed) == kept


def test_an_option_called_weights_belongs_to_its_model(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one that is declared to hold paths is looked for as a file; others are compared by value."""
    spec = registry().get("model", "tiny-cnn")
    options = {
        "weights": Option(default="none", help="a name of theirs"),
        "wavelengths": Option(default=(0.665, 0.56), help="micrometers"),
    }
    theirs = dataclasses.replace(spec, name="theirs", options=options)
    monkeypatch.setitem(registry()._specs["model"], "theirs", theirs)
    monkeypatch.setitem(registry()._origins, ("model", "theirs"), registry().origin("model", "tiny-cnn"))
    given = {"weights": "SENTINEL2_ALL_MOCO", "wavelengths": [0.665, 0.56]}
    (plan,) = expand(request(root, models=(("theirs", given),)))
    assert plan.model["label"] == "theirs (weights=SENTINEL2_ALL_MOCO)"
    assert plan.model["weights_sha256"] is None
    declared = dataclasses.replace(options["weights"], file_unless=("none",))
    monkeypatch.setitem(
        registry()._specs["model"], "theirs", dataclasses.replace(theirs, options={"weights": declared})
    )
    with pytest.raises(UserError, match="There is no weights file 'SENTINEL2_ALL_MOCO'"):
        expand(request(root, models=(("theirs", {"weights": "SENTINEL2_ALL_MOCO"}),)))
    (root / "w.npz").write_bytes(b"weights")
    (plan,) = expand(request(root, models=(("theirs", {"weights": str(root / "w.npz")}),)))
    assert plan.model["label"] == "theirs (weights=w.npz)"
    assert plan.model["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
