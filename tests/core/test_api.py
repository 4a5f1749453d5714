"""The Python interface: what a notebook gets, and that the command line gives the same."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rsbench
from rsbench.api import Leaderboard, make_plans, make_requests
from rsbench.errors import UserError, UserErrors

FAST = {"epochs": 1, "batch": 8}


def test_a_script_without_a_guard_runs_models_and_ranks_them(root: Path, tmp_path: Path) -> None:
    """Workers must not run the script again, and events, observers and outcomes must come through."""
    script = tmp_path / "script.py"
    script.write_text(
        "import json, rsbench\n"
        "events = []\n"
        f"outcomes = rsbench.run('tiny-cnn, majority-class', 'eurosat', seeds=0, changes={FAST}, device='cpu',\n"
        "    threads=1, out='out', observers=['mllog'], on_event=events.append)\n"
        "board = rsbench.leaderboard(outcomes)\n"
        "frame = board.to_pandas()\n"
        "again = rsbench.run('tiny-cnn', 'eurosat', seeds=[0], changes={'epochs': 1, 'batch': 8}, device='cpu',\n"
        "    threads=1, out='out')\n"
        "print(json.dumps({'statuses': [o.status for o in outcomes + again], 'systems': list(frame.system),\n"
        "    'means': list(frame['mean']), 'kinds': sorted({e['type'] for e in events}),\n"
        "    'html': board._repr_html_(), 'text': str(board), 'records': len(rsbench.load_records('out'))}))\n"
    )
    environment = {**os.environ, "RSBENCH_DATA": str(root), "COLUMNS": "160"}
    done = subprocess.run([sys.executable, script.name], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["statuses"] == ["ok", "ok", "cached"]
    assert found["records"] == 2
    assert {"stage", "done"} <= set(found["kinds"])
    assert set(found["systems"]) == {"tiny-cnn", "majority-class"}
    assert found["means"][found["systems"].index("majority-class")] == pytest.approx(0.1, abs=0.05)
    assert "<table>" in found["html"]
    assert "tiny-cnn" in found["html"]
    assert len(list(tmp_path.glob("out/*tiny-cnn*/mllog.txt"))) == 1
    shown = subprocess.run(
        [sys.executable, "-m", "rsbench", "leaderboard", "out"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert shown.stdout == found["text"]


def test_requests_are_those_of_the_command_line(root: Path) -> None:
    plans = make_plans(make_requests("tiny-cnn", "eurosat", seeds="0-1", changes=FAST, data_root=root))
    command = ["run", "tiny-cnn", "eurosat", "--seeds", "0-1", "--set", "epochs=1", "--set", "batch=8"]
    environment = {**os.environ, "RSBENCH_DATA": str(root)}
    done = subprocess.run(
        [sys.executable, "-m", "rsbench", *command, "--dry-run", "--json"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert [p["run_id"] for p in json.loads(done.stdout)] == [p.run_id for p in plans]


def test_mistakes() -> None:
    with pytest.raises(UserError, match="On which dataset"):
        rsbench.run("tiny-cnn")
    with pytest.raises(UserError, match="not both"):
        rsbench.run("tiny-cnn", "eurosat", suite="suite.yaml")
    with pytest.raises(UserErrors, match="no model 'tiny-cn'"):
        rsbench.run("tiny-cn", "eurosat")
    with pytest.raises(UserError, match="There is no file or folder"):
        rsbench.load_records("nowhere")
    with pytest.raises(AttributeError, match="no attribute 'leaderbord'"):
        rsbench.leaderbord  # noqa: B018


def test_leaderboard_says_what_it_left_out_and_escapes_names(tmp_path: Path) -> None:
    records = Path(__file__).parents[2] / "benchmarks" / "records" / "eurosat"
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "record.json").write_text("{}")
    loaded = rsbench.load_records(records)[:3]
    loaded[0].record["plan"]["model"]["label"] = "<script>alert(1)</script>"
    board: Leaderboard = rsbench.leaderboard([*loaded, tmp_path])
    assert "left out" in board.problems[0]
    html = board._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
    assert "left out" in html
    assert len(board.to_pandas()) == sum(len(table.rows) for table in board.tables)
    board.save("latex", tmp_path / "board.tex")
    assert (tmp_path / "board.bib").is_file()
    with pytest.raises(UserError, match="'docx' is not a format"):
        board.render("docx")


def test_interface_is_typed_and_can_be_looked_up() -> None:
    assert {"run", "load_records", "leaderboard"} <= set(dir(rsbench))
    assert (Path(rsbench.__file__).parent / "py.typed").is_file()
    assert "Leaderboard" in str(inspect.signature(rsbench.leaderboard).return_annotation)
    importlib.import_module("rsbench.leaderboard.board")  # the package of this name must not hide the function
    assert callable(rsbench.leaderboard)


@pytest.mark.slow
def test_mypy_checks_a_user_s_script(tmp_path: Path) -> None:
    (tmp_path / "fine.py").write_text(
        "import rsbench\n"
        "outcomes = rsbench.run('a', 'b', seeds='0-2', changes={'lr': 0.1}, observers=['mllog'])\n"
        "frame = rsbench.leaderboard(outcomes, task='vqa').to_pandas()\n"
        "names: list[str] = [r.record['run_id'] for r in rsbench.load_records('x')]\n"
    )
    (tmp_path / "wrong.py").write_text(
        "import rsbench\nrsbench.run('a', 'b', seed=1)\nrsbench.leaderboard(3, tusk='x')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "fine.py", "wrong.py"], cwd=tmp_path, capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if "error:" in line]
    assert all(line.startswith("wrong.py") for line in lines), done.stdout
    assert {line.split(":")[1] for line in lines} == {"2", "3"}, done.stdout


def test_how_a_run_is_executed_is_said_in_one_place() -> None:
    """A field of Execution is an option of the command, an argument of ``rsbench.run`` and a field of plans."""
    from docs.generator.commands import commands
    from rsbench.execution import OPTION_FIELDS, OPTIONS
    from rsbench.plan import RunPlan, RunRequest

    options, shown = commands()["run",].options, inspect.signature(rsbench.run).parameters
    for field in OPTION_FIELDS:
        option = f"--{field.name.replace('_', '-')}"
        assert option in options
        assert shown[field.name].default == field.default
        assert all(field.name in {f.name for f in dataclasses.fields(kind)} for kind in (RunPlan, RunRequest))
        assert (option in OPTIONS) != field.metadata["identity"]
