"""All five kinds of new plugins in a fresh virtual environment with the built wheel: installed, checked, trained, gone."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from rsbench.cli.plugins import NEW_KINDS

ROOT = Path(__file__).parent.parent.parent
RUNS = {
    "model": ["fresh-model", "scenes", "--set", "epochs=1"],
    "loss": ["tiny-cnn", "scenes", "--set", "loss=fresh-loss", "--set", "epochs=1"],
    "metric": ["tiny-cnn", "scenes", "--protocol", "fresh-metric-scenes", "--set", "epochs=1"],
    "task": ["fresh-task-net", "scenes", "--protocol", "fresh-task-scenes", "--set", "epochs=1"],
    "dataset": ["tiny-cnn", "fresh-dataset", "--set", "epochs=1"],
}


class Fresh:
    """A virtual environment that holds the wheel; its heavy requirements are those of this interpreter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", with_pip=True)
        self.python = folder / "venv" / "bin" / "python"
        self.site = next((folder / "venv" / "lib").glob("python*/site-packages"))
        (self.site / "zz-requirements.pth").write_text(sysconfig.get_path("purelib"))
        self("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "wheel"), cwd=ROOT)
        self.pip("install", "--force-reinstall", str(next((folder / "wheel").glob("*.whl"))))

    def __call__(self, *arguments: str, cwd: Path | None = None) -> str:
        places = {"RSBENCH_DATA": str(self.folder / "data"), "RSBENCH_OUT": str(self.folder / "results")}
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "RSBENCH_PLUGINS")}
        command = [str(self.python), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=clean | places, cwd=cwd or self.folder)
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def pip(self, verb: str, *arguments: str) -> None:
        offline = ["--no-deps", "--no-index", "--no-build-isolation"] if verb == "install" else ["-y"]
        self("-m", "pip", "--disable-pip-version-check", verb, "-q", *offline, *arguments)

    def rsbench(self, *arguments: str) -> str:
        return self("-m", "rsbench", *arguments)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_from_the_wheel_to_the_board_and_gone(tmp_path: Path) -> None:
    fresh = Fresh(tmp_path)
    assert "site-packages" in fresh("-c", "import rsbench; print(rsbench.__file__)")
    before = fresh.rsbench("plugins", "--json")
    for kind in NEW_KINDS:
        fresh.rsbench("plugins", "new", f"fresh-{kind}", "--kind", kind)
        fresh.pip("install", str(tmp_path / f"rsbench-fresh-{kind}"))
    fresh("-m", "rsbench_fresh_dataset.fake", "files")
    fresh.rsbench("data", "prepare", "fresh-dataset", "--source", "files")
    for kind in NEW_KINDS:
        assert "failed" not in fresh.rsbench("plugins", "check", f"fresh-{kind}")
        fresh("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path / f"rsbench-fresh-{kind}")
        fresh.rsbench("run", *RUNS[kind], "--device", "cpu", "-q")
    boards = fresh.rsbench("leaderboard", "results", "--format", "json")
    assert json.loads(boards)["rows"]
    for name in ("fresh-model", "fresh-metric-scenes", "fresh-task-net", "fresh-dataset"):
        assert name in boards
    fresh.pip("uninstall", *(f"rsbench-fresh-{kind}" for kind in NEW_KINDS))
    assert fresh.rsbench("plugins", "--json") == before
    assert [p for p in fresh.site.rglob("*fresh*") if "fresh" in p.name] == []
