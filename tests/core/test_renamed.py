"""Old names work for a release, with a hint; what records hold, and run ids with it, stays."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from rsbench import renamed
from rsbench.plan import model_block, run_id
from rsbench.registry import registry
from rsbench.specs import Accepts, to_jsonable
from rsbench.tasks.weights import read_metadata


def test_an_old_option_is_taken_with_a_hint(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rsbench", "evaluate", str(tmp_path / "none.pt"), "scenes", "--model", "tiny-cnn"]
    old, new = (
        subprocess.run([*command, option, "--dry-run"], capture_output=True, text=True)
        for option in ("--normalisation=unit", "--normalization=unit")
    )
    hint, *rest = old.stderr.splitlines()
    assert "'--normalisation' is called '--normalization' now" in hint
    assert (old.returncode, rest) == (new.returncode, new.stderr.splitlines())
    assert "No such option" not in old.stderr


def test_arguments_are_left_but_for_options() -> None:
    with pytest.warns(renamed.OldName, match="--normalization"):
        given = renamed.arguments(["evaluate", "a=b.pt", "--normalisation", "unit", "--set=lr=0.1"])
    assert given == ["evaluate", "a=b.pt", "--normalization", "unit", "--set=lr=0.1"]


def test_old_fields_of_specs_are_taken_with_a_hint() -> None:
    with pytest.warns(renamed.OldName, match="'normalisation' is called 'normalization'") as caught:
        old = Accepts(channels=3, normalisation="unit")  # type: ignore[call-arg]
    assert caught[0].filename == __file__
    assert old == Accepts(channels=3, normalization="unit")
    assert old.normalisation == "unit"  # type: ignore[attr-defined]
    assert dataclasses.replace(old, channels=4).normalization == "unit"
    with pytest.raises(TypeError, match="normal"):
        Accepts(normal="unit")  # type: ignore[call-arg]


def test_plans_hold_what_records_hold_so_that_run_ids_stay() -> None:
    spec = registry().get("model", "tiny-cnn")
    block = model_block(spec, {})
    assert block["accepts"] == {
        "channels": None,
        "size": None,
        "min_size": 16,
        "unit": "any",
        "normalisation": "dataset",
    }
    common = {"model": {**block, "source_sha256": ""}, "dataset": {"name": "d"}, "protocol": {"name": "p"}}
    today = {**common, "model": {**common["model"], "accepts": to_jsonable(spec.accepts)}}
    assert run_id(common, 0, "0.1.0") != run_id(today, 0, "0.1.0")


def test_metadata_of_old_checkpoints_are_read(tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {"normalisation": "{}", "model": "tiny-cnn"}}).encode()
    file = tmp_path / "old.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    assert read_metadata(file) == {"normalization": "{}", "model": "tiny-cnn"}
