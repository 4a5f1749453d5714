"""The checks that keep the house tidy."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = sorted(p.parent.name for p in (ROOT / "plugins").glob("*/__init__.py"))


@pytest.mark.parametrize("command", [["ruff", "check", "."], ["ruff", "format", "--check", "."]])
def test_ruff(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_mypy(mypy: subprocess.Popen[str]) -> None:
    printed, _ = mypy.communicate()
    assert mypy.returncode == 0, printed


def test_no_file_is_long() -> None:
    files = [*(ROOT / "rsbench").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    assert [f for f in files if f.read_text().count("\n") > 500] == []


def test_nothing_depends_on_the_order_of_hashes() -> None:
    """Python's hash of a text is another in each process; zlib.crc32 and hashlib are not."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for part in ("rsbench", "plugins", "tests", "benchmarks")
        for path in (ROOT / part).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hash"
    ]
    assert found == []


def test_wheel_holds_every_package(tmp_path: Path) -> None:
    """hatch drops packages that a glob does not match without a word."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    for package in ["rsbench", *PACKAGES]:
        assert f"{package}/__init__.py" in names
    assert "rsbench/suites/demo.yaml" in names
    for page in ("page.html", "parts.html", "page.css", "page.js"):
        assert f"rsbench_html/{page}" in names
    templates = {p.relative_to(ROOT).as_posix() for p in (ROOT / "rsbench" / "scaffold").rglob("*.j2")}
    assert templates
    assert templates <= set(names)
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["rsbench"]
    assert sorted({point.partition(".")[0] for point in points.values()}) == ["rsbench", *PACKAGES]
