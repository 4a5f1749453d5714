"""What is uploaded: an sdist and a wheel that PyPI takes, with all that they need in them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_they_are_complete_and_pypi_takes_them(tmp_path: Path) -> None:
    pytest.importorskip("twine", reason="pip install twine")
    for target in ("sdist", "wheel"):
        command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(tmp_path)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    files = [*map(str, tmp_path.iterdir())]
    assert len(files) == 2
    done = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    (sdist,) = tmp_path.glob("*.tar.gz")
    (wheel,) = tmp_path.glob("*.whl")
    with tarfile.open(sdist) as archive:
        kept = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "CITATION.cff", "LICENSE", "Dockerfile", "docs/index.md", "tests/conftest.py"} <= kept
    installed = set(zipfile.ZipFile(wheel).namelist())
    code = {p.relative_to(ROOT).as_posix() for p in (ROOT / "rsbench").rglob("*") if p.is_file()}
    code |= {p.relative_to(ROOT / "plugins").as_posix() for p in (ROOT / "plugins").rglob("*") if p.is_file()}
    missing = {name for name in code - installed if "__pycache__" not in name and not name.endswith(".md")}
    assert missing == set()
