"""Suite files: what is wrong with them is said in sentences, and an editor is told the same by the published schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rsbench import schemas
from rsbench.api import DEMO, make_requests
from rsbench.config import load_suite
from rsbench.errors import UserError, UserErrors
from rsbench.records import store

ROOT = Path(__file__).parents[2]
SUITES = [DEMO, *sorted((ROOT / "benchmarks" / "suites").glob("*.yaml"))]
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
