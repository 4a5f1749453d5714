"""Wheel and sdist in environments of their own, with the oldest and the newest dependencies that are allowed.

uv resolves and installs them, which needs its registry and some gigabytes: ``pytest -m slow tests/testing/test_bounds.py``.
``RSBENCH_TEST_TORCH`` names builds of torch and torchvision to take in place of those that are resolved, such as
``torch==2.13.0+cpu torchvision==0.28.0``; then their own bounds are not tried.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
GIVEN = os.environ.get("RSBENCH_TEST_TORCH", "").split()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sdist, of which uv takes what a registry would."""
    if shutil.which("uv") is None:
        pytest.skip("no uv here")
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "hatchling", "build", "-d", str(folder), cwd=ROOT)
    return folder


def call(*command: str, cwd: Path, **variables: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "RSBENCH_PLUGINS", "VIRTUAL_ENV")}
    done = subprocess.run(command, capture_output=True, text=True, env=clean | variables, cwd=cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("resolution", "ending"), [("lowest-direct", ".whl"), ("highest", ".tar.gz")])
def test_what_is_allowed_works(built: Path, tmp_path: Path, resolution: str, ending: str) -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    if GIVEN:
        required = [line for line in required if not line.startswith(("torch>", "torchvision>"))] + GIVEN
    (tmp_path / "required.txt").write_text("\n".join(required))
    python = str(tmp_path / "venv" / "bin" / "python")
    call("uv", "venv", "-q", "--python", sys.executable, "venv", cwd=tmp_path)
    install = ("uv", "pip", "install", "-q", "--python", python)
    call(*install, "--resolution", resolution, "-r", "required.txt", cwd=tmp_path)
    call(*install, "--no-deps", str(next(built.glob(f"*{ending}"))), cwd=tmp_path)

    def rsbench(*arguments: str) -> str:
        where = {"RSBENCH_DATA": str(tmp_path / "data"), "RSBENCH_OUT": "results"}
        return call(python, "-m", "rsbench", *arguments, cwd=tmp_path, **where)

    assert [plugin["problems"] for plugin in json.loads(rsbench("plugins", "--json")) if plugin["problems"]] == []
    rsbench("run", "tiny-cnn,majority-class", "scenes", "--seeds", "0", "--epochs", "1", "--device", "cpu", "--quiet")
    rsbench("verify", "results")
    rows = json.loads(rsbench("leaderboard", "--format", "json"))["rows"]
    assert {row["system"] for row in rows} == {"tiny-cnn", "majority-class"}
    rsbench("leaderboard", "--format", "html", "--output", "board.html")
    rsbench("run", "--help")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_registry_would_take_both(built: Path) -> None:
    call("uv", "tool", "run", "twine", "check", "--strict", *map(str, built.glob("rsbench-*")), cwd=built)
