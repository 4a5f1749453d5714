"""Old names work for a release, with a hint; what records hold, and run ids with it, stays."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rsbench import renamed
from rsbench.cli import block_plugins
from rsbench.engine.tasks.base import TrainingTask
from rsbench.plan import is_baseline, model_block, run_id
from rsbench.registry import BLOCK_VARIABLE, registry
from rsbench.specs import Accepts, ModelSpec, to_jsonable
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
        given = renamed.arguments(["evaluate", "a=b.pt", "--normalisation", "unit", "--set=lr=0.1"], "evaluate")
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


def test_old_tags_are_taken_and_kept_by_plans() -> None:
    with pytest.warns(renamed.OldName, match="'floor' is called 'required-baseline'") as caught:
        old = ModelSpec(name="blind", summary="Sees nothing.", factory="m:f", tags=("control", "floor", "mine"))
    assert {warning.filename for warning in caught} == {__file__}
    assert old.tags == ("baseline", "required-baseline", "mine")
    spec = registry().get("model", "question-only")
    block = model_block(spec, {name: option.default for name, option in spec.options.items()})
    assert block["tags"] == ["control", "floor"]
    assert is_baseline(block)


def test_a_plugin_is_blocked_by_its_old_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BLOCK_VARIABLE, raising=False)
    monkeypatch.setitem(os.environ, BLOCK_VARIABLE, "")
    with pytest.warns(renamed.OldName, match="'controls' is called 'baselines'"):
        block_plugins(["-p", "no:controls", "list", "models"])
    assert os.environ[BLOCK_VARIABLE] == "baselines"


def test_a_task_of_a_plugin_may_have_members_by_their_old_names() -> None:
    with pytest.warns(renamed.OldName, match="'gates' is called 'sanity_checks'") as caught:

        class Old(TrainingTask):
            def gates(self, outcome: object) -> list[dict[str, object]]:
                return [{"name": "gate:mine", "ok": True}]

    assert caught[0].filename == __file__
    assert Old.sanity_checks(None, None)[0]["name"] == "gate:mine"  # type: ignore[arg-type]


def test_what_baselines_of_one_task_were_called_is_taken() -> None:
    with pytest.warns(renamed.OldName):
        given = renamed.arguments(["multitask", "spatialnet-vit", "--twins", "--rounds=3"], "multitask")
    assert given == ["multitask", "spatialnet-vit", "--single-task", "--steps-per-epoch=3"]


def test_a_command_of_a_plugin_may_call_its_options_as_it_likes(recwarn: pytest.WarningsRecorder) -> None:
    given = ["tournament", "--rounds", "3", "--twins"]
    assert renamed.arguments(given, "tournament") == given
    assert not recwarn.list
