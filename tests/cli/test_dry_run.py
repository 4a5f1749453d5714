"""What a dry run says, and that it finds what a start would: the start itself is asked beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from rsbench import hardware
from rsbench.cli.app import build
from rsbench.engine.launch.local import LocalPool
from rsbench.engine.launch.ready import ensure_ready
from rsbench.errors import UserError

NO_FILE: Final = "this is no plain file: move away what is in its place"
OURS: Final = ("record.json", "predictions.parquet", "model.safetensors", "resume.pt", "plan.json", "run.log", ".lock")
# What lies in the place of a run's folder -> what is refused, beginning with its path below it.
IN_THE_WAY: Final[tuple[tuple[Callable[[Path], object], str], ...]] = (
    (lambda run: run.write_text("a file"), "': File exists"),
    (lambda run: run.symlink_to("/nowhere/at/all"), "': File exists"),
    (lambda run: (run.mkdir(), os.mkfifo(run / "run.log")), f"/run.log': {NO_FILE}"),
    (lambda run: (run.mkdir(), os.mkfifo(run / ".lock")), f"/.lock': {NO_FILE}"),
    (lambda run: (run.mkdir(), (run / "any").symlink_to("/dev/full")), f"/any': {NO_FILE}"),
    (lambda run: (run.mkdir(), (run / "record.json").symlink_to("/dev/zero")), f"/record.json': {NO_FILE}"),
    *((lambda run, name=name: (run / name).mkdir(parents=True), f"/{name}': {NO_FILE}") for name in OURS),
)
DAMAGED: Final = ("[" * 100_000, "[]", "null", "7", '"ok"', '{"status": "o', "", '{"status": []}', '{"plan": 1}')


def dry_run(root: Path, out: Path, *options: str) -> tuple[int, str]:
    """Return the exit status, 2 for a mistake, and what was said."""
    where = ["--data-root", str(root), "--out", str(out), "--dry-run"]
    done = CliRunner().invoke(build(), ["run", "tiny-cnn", "scenes", *where, *options])
    return (2, str(done.exception)) if isinstance(done.exception, UserError) else (done.exit_code, done.output)


@pytest.fixture
def plans(prepared: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """Plans of as many runs into a folder as there are trials."""
    seeds = f"0-{max(len(IN_THE_WAY), len(DAMAGED) + 5)}"
    code, shown = dry_run(prepared, tmp_path, "--seeds", seeds, "--device", "cpu", "--json")
    assert code == 0
    return json.loads(shown)


def test_it_says_what_would_run_and_leaves_nothing(prepared: Path, tmp_path: Path) -> None:
    how = ["--seeds", "0-2", "--device", "cpu", "--threads", "1", "--precision", "bf16"]
    code, text = dry_run(prepared, tmp_path / "new" / "out", *how)
    assert code == 0
    assert text.startswith("tiny-cnn on scenes\n")
    for part in ("312,674 parameters", "3,000 train", "cpu, bf16, 1 threads", "adamw, lr 0.004"):
        assert part in text
    assert text.count("  run ") == 3
    assert text.count("  model ") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("device", ["cpu", *([] if hardware.can_have_gpu() else ["auto"])])
def test_it_loads_nothing_heavy_where_there_is_no_gpu(device: str, prepared: Path, tmp_path: Path) -> None:
    words = ["run", "tiny-cnn", "scenes", "--data-root", str(prepared), "--out", str(tmp_path), "--device", device]
    code = f"""import sys
from rsbench.cli import main
sys.argv = ["rsbench", *{words!r}, "--dry-run"]
try: main()
finally: print({{"torch", "rsbench.data.prepare"}} & {{*sys.modules}})"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("set()\n"), done


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--device", "cuda:99"], "Device 'cuda:99' is not there"),
        (["--observer", "tensorbord"], "Did you mean 'tensorboard'"),
        (["--launcher", "rai"], "Launcher 'rai'"),
    ],
)
def test_it_finds_what_a_start_would(option: list[str], said: str, prepared: Path, tmp_path: Path) -> None:
    code, shown = dry_run(prepared, tmp_path, *option)
    assert code == 2
    assert said in shown


@pytest.mark.parametrize("name", ["file", "file/out", "x" * 300, "loop", "nowhere", "/proc/nope"])
def test_it_finds_a_folder_that_cannot_be(name: str, prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("/nowhere/at/all")
    code, shown = dry_run(prepared, tmp_path / name)
    assert code == 2
    assert "Records cannot be written to" in shown


def test_it_finds_what_is_in_the_way_as_a_start_does(
    plans: list[dict[str, Any]], prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it at once, before a process is started or anything is trained."""
    monkeypatch.setattr("multiprocessing.get_context", lambda *_: pytest.fail("a process would be started"))
    for plan, (put, said) in zip(plans, IN_THE_WAY, strict=False):
        put(tmp_path / plan["run_id"])
        started: Any = SimpleNamespace(out=str(tmp_path), run_id=plan["run_id"])
        with pytest.raises(OSError) as caught:
            LocalPool(1).start([started])
        assert f"{caught.value.filename}': {caught.value.strerror}" == f"{tmp_path}/{plan['run_id']}{said}"
    code, shown = dry_run(prepared, tmp_path, "--seeds", f"0-{len(plans) - 1}", "--device", "cpu")
    assert code == 2
    assert shown.splitlines() == [
        f"cannot use '{tmp_path}/{plan['run_id']}{said}." for plan, (_, said) in zip(plans, IN_THE_WAY, strict=False)
    ]


def test_it_finds_that_processes_could_not_speak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path / ("t" * 100)))
    with pytest.raises(UserError, match="set TMPDIR to another folder"):
        ensure_ready(tmp_path / "new")


def test_it_passes_damaged_records_as_a_run_does(plans: list[dict[str, Any]], prepared: Path, tmp_path: Path) -> None:
    """A run replaces them; and what they say of seconds is not believed."""

    def put(folder: str, text: str) -> None:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "record.json").write_text(text)

    def timed(status: str, seconds: str) -> str:
        return f'{{"status": "{status}", "timing": {{"total": {seconds}}}, "plan": {json.dumps(plans[0])}}}'

    odd = ['"long"', "null", "NaN", "1e999", "[1]"]
    for plan, text in zip(plans, [*DAMAGED, *(timed("failed", each) for each in odd)], strict=False):
        put(plan["run_id"], text)
    for number, seconds in enumerate([*odd, "1" + "0" * 400, "120"]):
        put(f"other-{number}", timed("ok", seconds))
    code, shown = dry_run(prepared, tmp_path, "--seeds", f"0-{len(plans) - 1}", "--device", "cpu")
    assert code == 0
    assert "about 2 min 0 s by earlier runs" in shown
    assert "(finished" not in shown
    put(plans[0]["run_id"], '{"status": "ok"}')  # which a run would not replace
    code, shown = dry_run(prepared, tmp_path, "--seeds", "0", "--device", "cpu")
    assert code == 2
    assert "is not an rsbench record: its schema is 'missing'" in shown
