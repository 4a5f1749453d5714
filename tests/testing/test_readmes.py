"""The commands that the README of a new plugin gives train something and show it on a board, without an edit."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from installed import install

from rsbench.cli.plugins import NEW_KINDS
from rsbench.scaffold import write

BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = {
    "model": "any-model",
    "loss": "tiny-cnn",
    "metric": "any-metric-scenes",
    "task": "any-task-net",
    "dataset": "any-dataset",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", NEW_KINDS)
def test_commands_of_the_readme(kind: str, tmp_path: Path) -> None:
    folder = write(f"any-{kind}", kind, tmp_path / "new")
    (tmp_path / "site").mkdir()
    install(folder, tmp_path / "site")
    _, usage = BLOCK.findall((folder / "README.md").read_text())
    known = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": known, "RSBENCH_DATA": str(tmp_path / "data"), "COLUMNS": "160"}
    printed = ""
    for line in usage.splitlines():
        program, *arguments = shlex.split(line)
        command = [sys.executable, *(["-m", "rsbench"] if program == "rsbench" else []), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        printed = done.stdout
    assert SHOWN[kind] in printed
