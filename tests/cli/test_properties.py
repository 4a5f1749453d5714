"""Whatever fits the published schemas is taken or refused in a sentence, by every command that reads it."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from from_schema import documents
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from rsbench.cli.app import build
from rsbench.errors import UserError
from rsbench.records import store
from rsbench.records.schema import misfits
from rsbench.records.seal import sealed
from rsbench.schemas import schema

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
GOOD = next(BENCHMARKS.rglob("eurosat-pixel-statistics-in-domain-60-20-20-s0-*"))
RECORD = json.loads((GOOD / store.FILE).read_text())
PUBLISHED = {name: Draft202012Validator(schema(name)) for name in ("suite", "record")}
DRAWN = {name: documents(schema(name)) for name in PUBLISHED}
APP = build()
NAMES = ["tiny-cnn", "majority-class", "bmta", "timm:resnet10t", "tiny-cnn,bmta", "no-such"]


def run(*words: object) -> tuple[int, str]:
    """Return exit code and all output of a command; an error that is not the user's is raised."""
    done = CliRunner().invoke(APP, [*map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit | UserError):
        raise done.exception
    return done.exit_code, f"{done.output}{done.exception or ''}"


@st.composite
def suites(draw: st.DrawFn) -> Any:
    """A suite that fits the schema; most name models and datasets that there are."""
    suite = draw(DRAWN["suite"])
    for entry in [suite.get("defaults") or {}, *suite["runs"]]:
        for name, values in {"model": NAMES, "dataset": ["eurosat", "eurosat", "scenes-vqa", "x"]}.items():
            if draw(st.integers(0, 4)):
                entry[name] = draw(st.sampled_from(values))
    return suite


@given(suite=suites())
def test_a_suite_is_planned_or_refused_in_a_sentence(suite: Any, root: Path, tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(json.dumps(suite))
    code, said = run("run", "--suite", path, "--dry-run", "--json", "--data-root", root, "--out", tmp_path / "out")
    if code == 0:
        assert all(plan["run_id"] for plan in json.loads(said))
    else:
        assert said.strip()
        assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@st.composite
def records(draw: st.DrawFn) -> Any:
    """A record that fits the schema, parts of which are those of a good one."""
    drawn, made = draw(DRAWN["record"]), copy.deepcopy(RECORD)
    for name in draw(st.lists(st.sampled_from([*drawn]), unique=True, max_size=4)):
        inner, own = drawn[name], made.get(name)
        if name == "plan" and inner["division"] != "throughput":
            own |= {key: inner[key] for key in draw(st.lists(st.sampled_from([*inner]), unique=True, max_size=4))}
        else:
            made[name] = inner
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a good record and room for another."""
    folder = tmp_path_factory.mktemp("records")
    for name in ("good", "odd"):
        (folder / name).mkdir()
        for file in GOOD.iterdir():
            (folder / name / file.name).write_bytes(file.read_bytes())
    return folder


@given(record=records(), seal=st.booleans(), data=st.data())
def test_a_record_is_read_or_refused_in_a_sentence(record: Any, seal: bool, data: st.DataObject, folder: Path) -> None:
    assert PUBLISHED["record"].is_valid(record) == (misfits(record) == [])
    (folder / "odd" / store.FILE).write_text(json.dumps(sealed(record) if seal else record))
    format_ = data.draw(st.sampled_from(["terminal", "html", "csv", "latex", "markdown", "json"]))
    code, said = run("leaderboard", folder, "--format", format_)
    assert code == 0
    assert "pixel" in said
    assert run("verify", folder)[0] in (0, 1, 3)
    target = data.draw(st.sampled_from(["hf", "stac-mlm"]))
    assert run("export", folder / "odd", "--to", target, "--output", folder.parent / "x")[0] in (0, 1, 2)
    assert {path.name for path in folder.iterdir()} == {"good", "odd"}


@given(data=st.data(), name=st.sampled_from([*PUBLISHED]))
def test_what_is_drawn_fits_its_schema(data: st.DataObject, name: str) -> None:
    drawn = data.draw(DRAWN[name])
    assert PUBLISHED[name].is_valid(drawn)
    assert all(math.isfinite(value) for value in _numbers(drawn))


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict | list):
        return [
            number for inner in (value.values() if isinstance(value, dict) else value) for number in _numbers(inner)
        ]
    return [value] if isinstance(value, float) else []
