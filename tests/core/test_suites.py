"""Suite files: what is wrong with them is said in sentences, and an editor is told the same by the published schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rsbench import schemas
from rsbench.api import DEMO, make_plans, make_requests
from rsbench.config import load_suite, parse_seeds
from rsbench.errors import UserError, UserErrors
from rsbench.records import store
from rsbench.suites import EXAMPLE
from rsbench.suites.document import parse

ROOT = Path(__file__).parents[2]
SUITES = [DEMO, EXAMPLE, *sorted((ROOT / "benchmarks" / "suites").glob("*.yaml"))]
FINE = {"model": "tiny-cnn", "dataset": "scenes"}
WRONG: list[tuple[Any, str]] = [
    ([], "is not a suite: it needs a list 'runs'"),
    ({"name": "x"}, "is not a suite: it needs a list 'runs'"),
    ({"runs": []}, "is not a suite: it needs a list 'runs'"),
    ({"runs": ["bmta"]}, "run 1 is not a mapping of keys to values"),
    ({"defaults": 3, "runs": [FINE]}, "defaults is not a mapping of keys to values"),
    ({"runs": [FINE], "nmae": "x"}, "has an unknown key 'nmae'. Did you mean 'name'"),
    ({"runs": [{"model": "a", "seed": 1}]}, "run 1 has an unknown key 'seed'. Did you mean 'seeds'"),
    ({"defaults": {"modle": "a"}, "runs": [FINE]}, "defaults has an unknown key 'modle'. Did you mean 'model'"),
    ({"runs": [{"model": 3}]}, "run 1: 'model' is int, not str or list"),
    ({"runs": [FINE, {"seeds": {}}]}, "run 2: 'seeds' is dict, not str or int or list"),
    ({"runs": [{"seeds": ["a"]}]}, "run 1: 'seeds' is wrong: input should be a valid integer"),
    ({"runs": [{"set": "lr=1"}]}, "run 1: 'set' is str, not dict"),
    ({"runs": [{"overfit": True}]}, "run 1: 'overfit' is bool, not int"),
    ({"runs": [{"overfit": 0}]}, "run 1: 'overfit' is wrong: input should be greater than or equal to 1"),
    ({"runs": [{"grid": {"lr": 0.1}}]}, "run 1: 'grid' is wrong: input should be a valid list"),
    ({"runs": [{"model": "a", "dataset": "d", "grid": {"lr": []}}]}, "run 1: 'lr' of the grid has no values"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_wrong_suites(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(UserErrors) as caught:
        load_suite(path)
    (problem,) = caught.value.problems
    assert problem.startswith(str(path))
    assert message in problem
    validator = pytest.importorskip("jsonschema").Draft202012Validator(schemas.schema("suite"))
    assert not validator.is_valid(content)


ODD = {
    "a: [": "not valid YAML",
    "runs: " + "[" * 3000 + "]" * 3000: "nested too deeply",
    "runs: [{model: a, 3: 4, ~: 5, true: 6}]": "line 1: the key '3' is no text",
    "runs:\n- model: a\n  model: b": "line 3: the key 'model' occurs twice",
    "runs: &a [*a]": "line 1: a value refers to itself",
    "runs: [{set: &a {lr: *a}}]": "line 1: a value refers to itself",
    "runs: [{model: !!python/object/apply:os.system [true]}]": "apply:os.system' is no plain value",
    "runs: [{overfit: !!int x}]": "line 1: 'x' is no int",
    "runs: [{set: {lr: !!float x}}]": "line 1: 'x' is no float",
    "runs: [{dataset: !!binary x}]": "is no plain value",
    "runs: [{overfit: 1" + "0" * 5000 + "}]": "is no int",
    "runs: [{<<: [1], model: a}]": "line 1: << takes mappings",
    "\x80": "not valid YAML|UTF-8",
    "x: &a [x,x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{c}: &{c} [{','.join(f'*{p}' for _ in range(10))}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    ): ("more than 100,000 values"),
}


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_yaml_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=ODD[text]) as caught:
        load_suite(path)
    assert str(path) in str(caught.value).splitlines()[0]


def test_a_suite_in_another_encoding_with_anchors_and_dates(tmp_path: Path) -> None:
    text = """defaults: &d {dataset: scenes, set: {epochs: 1}}
runs:
- {<<: *d, model: tiny-cnn, seeds: 0-2}
- {<<: [{model: bmta}, *d], recipe: 2026-01-01}
"""
    path = tmp_path / "suite.yaml"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text(text, encoding=encoding)
        first, second = load_suite(path)
        assert (first.models[0][0], first.dataset, first.seeds, first.changes) == (
            "tiny-cnn",
            "scenes",
            (0, 1, 2),
            {"epochs": 1},
        )
        assert (second.models[0][0], second.dataset, second.recipe) == ("bmta", "scenes", "2026-01-01")
        assert second.origin == f"{path}, line 4: run 2"


def test_all_problems_are_said_at_once_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(
        """runs:
- {model: tiny-cnn, dataset: scenes}
- model: tiny-cn
  dataset: scens
- {model: tiny-cnn, dataset: scenes, seeds: 0-99999999999}
- model: bmta
  dataset: scenes
  set:
    lrr: 1
  seed: 2
- {model: bmta}
- {model: tiny-cnn, dataset: scenes, seeds: [1], overfit: 0}
"""
    )
    with pytest.raises(UserErrors) as caught:
        load_suite(path)
    said = [problem.removeprefix(f"{path}, ") for problem in caught.value.problems]
    for wanted in (
        "line 10: run 4 has an unknown key 'seed'",
        "line 12: run 6: 'overfit' is wrong",
        "line 5: run 3: '0-99999999999' names more than 10,000 seeds",
        "line 11: run 5 has no 'dataset'",
        "line 3: run 2: There is no model 'tiny-cn'. Did you mean",
        "line 3: run 2: There is no dataset 'scens'. Did you mean",
    ):
        assert [problem for problem in said if problem.startswith(wanted)], wanted
    path.write_text("runs:\n- {model: tiny-cnn, dataset: scens}\n- {model: tiny-cn, dataset: scens}\n")
    with pytest.raises(UserErrors, match=r"suite\.yaml, line 3: run 2: There is no model 'tiny-cn'"):
        make_plans(load_suite(path, data_root=tmp_path))


@pytest.mark.parametrize("text", ["0-99999999999", "5-1", "-1", "", "1e3", "9" * 5000, "9" * 20, [1, "a"], "0-20000"])
def test_what_names_no_seeds(text: Any) -> None:
    with pytest.raises(UserError, match="name"):
        parse_seeds(text)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES)
def test_documents_are_read_as_pyyaml_reads_them(value: Any) -> None:
    text = yaml.safe_dump(value)
    assert parse(text, "x")[0] == yaml.safe_load(text)


@given(st.text("{}[]&*a: -\n!<>|'\"#%@`~,?\\0.\t", max_size=40))
def test_any_text_is_a_document_or_a_sentence(text: str) -> None:
    try:
        value, lines = parse(text, "x.yaml")
    except UserError as error:
        assert all(line.startswith("x.yaml") for line in str(error).splitlines())  # noqa: PT017
    else:
        json.dumps(value)
        assert all(line <= text.count("\n") + 1 for line in lines.values())


def test_missing_keys_and_defaults(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("defaults: {dataset: eurosat, recipe: author}\nruns: [{model: bmta, recipe: null}, {seeds: 1}]\n")
    with pytest.raises(UserErrors, match="run 2 has no 'model'"):
        load_suite(path)
    path.write_text("defaults: {dataset: eurosat, seeds: 0-1}\nruns: [{model: [a, b]}, {model: 'c, d', seeds: [4]}]\n")
    first, second = load_suite(path, threads=3)
    assert ([m for m, _ in first.models], first.seeds, first.threads) == (["a", "b"], (0, 1), 3)
    assert ([m for m, _ in second.models], second.seeds, second.dataset) == (["c", "d"], (4,), "eurosat")
    with pytest.raises(UserError, match="A suite holds precision, seeds itself"):
        make_requests(suite=path, precision="bf16", seeds=3)


@pytest.mark.parametrize("path", SUITES, ids=lambda p: p.stem)
def test_shipped_suites_fit_the_schema_they_name(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    first = path.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    published = path.parent / first.partition("$schema=")[2]
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(published.read_text()))


def test_a_grid_is_every_combination(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    run = {"model": "a,b", "dataset": "d", "seeds": "0-1", "set": {"epochs": 2}}
    grid = {"lr": [0.1, 0.2, 0.1], "loss_options.gamma": [1, 2, 3]}
    path.write_text(yaml.safe_dump({"runs": [run | {"grid": grid}, run]}, sort_keys=False))
    *found, plain = load_suite(path)
    wanted = [{"epochs": 2, "lr": lr, "loss_options.gamma": gamma} for lr in (0.1, 0.2) for gamma in (1, 2, 3)]
    assert [dict(request.changes) for request in found] == wanted
    assert plain.changes == {"epochs": 2}
    assert {request.seeds for request in found} == {(0, 1)}
    for wrong, said in (
        ({"epochs": [1, 2]}, "'epochs' is in the grid and in 'set'"),
        ({"lr": [*range(101)], "batch": [*range(1, 101)]}, "its grid has 10,100 combinations"),
    ):
        path.write_text(yaml.safe_dump({"runs": [run | {"grid": wrong}]}))
        with pytest.raises(UserErrors, match=said):
            load_suite(path)


def test_schema_knows_the_fields_of_a_recipe() -> None:
    validator = pytest.importorskip("jsonschema").Draft202012Validator(schemas.schema("suite"))
    for changes, fine in (({"lr": 1, "loss_options.gamma": 2}, True), ({"lrr": 1}, False), ({"summary": "x"}, False)):
        assert validator.is_valid({"runs": [{"model": "a", "set": changes}]}) is fine


@pytest.mark.parametrize("name", schemas.NAMES)
def test_committed_schemas_are_current(name: str) -> None:
    committed = (ROOT / "rsbench" / "schemas" / f"{name}.schema.json").read_text()
    assert committed == schemas.text(name), f"run: rsbench schema {name} > rsbench/schemas/{name}.schema.json"
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(json.loads(committed))
    done = subprocess.run([sys.executable, "-m", "rsbench", "schema", name], capture_output=True, text=True)
    assert done.stdout == committed


def test_records_fit_their_schema() -> None:
    validator = pytest.importorskip("jsonschema").Draft202012Validator(schemas.schema("record"))
    paths = sorted((ROOT / "benchmarks" / "records").rglob("record.json"))[:40]
    assert paths
    for path in paths:
        record = store.load(path)
        validator.validate(record)
        assert not validator.is_valid(record | {"more": 1})
