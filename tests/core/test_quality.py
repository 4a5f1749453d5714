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
# Who may import whom: a package may import those at or below its own level.
LEVELS = {
    "specs": 0,
    "errors": 0,
    "hookspecs": 1,
    "registry": 2,
    "scaffold": 3,
    "observing": 3,
    "claims": 3,
    "data": 3,
    "plan": 4,
    "suites": 5,
    "config": 5,
    "metrics": 5,
    "tasks": 6,
    "evaluation": 7,
    "records": 7,
    "leaderboard": 8,
    "engine": 8,
    "export": 8,
    "schemas": 8,
    "api": 9,
    "testing": 9,
    "cli": 10,
}


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


def imported_parts(path: Path) -> set[str]:
    """First parts below rsbench of everything that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [a.name for a in node.names] if isinstance(node, ast.Import) else []
        for module in modules:
            if module == "rsbench" and isinstance(node, ast.ImportFrom):
                names |= {a.name for a in node.names}
            elif module.startswith("rsbench."):
                names.add(module.split(".")[1])
    return names & LEVELS.keys()


def test_imports_point_one_way() -> None:
    wrong = []
    for path in (ROOT / "rsbench").rglob("*.py"):
        part = path.relative_to(ROOT / "rsbench").parts[0].removesuffix(".py")
        if part in LEVELS:
            wrong += [f"{path.name} -> {p}" for p in imported_parts(path) if LEVELS[p] > LEVELS[part]]
    assert wrong == []


def test_plugins_import_public_contracts_only() -> None:
    allowed = {"specs", "errors", "tasks", "metrics", "data"}
    wrong = [
        f"{path.name} -> {part}" for path in (ROOT / "plugins").rglob("*.py") for part in imported_parts(path) - allowed
    ]
    assert wrong == []


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
        assert f"rsbench/leaderboard/render/html/{page}" in names
    templates = {p.relative_to(ROOT).as_posix() for p in (ROOT / "rsbench" / "scaffold").rglob("*.j2")}
    assert templates
    assert templates <= set(names)
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["rsbench"]
    assert sorted({point.partition(".")[0] for point in points.values()}) == PACKAGES
