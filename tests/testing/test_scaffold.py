"""A new plugin of each kind: what may be called how, what is written, and that it keeps the contract unedited."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from installed import install

from rsbench.cli.plugins import NEW_KINDS
from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.scaffold import write
from rsbench.scaffold.names import check_name
from rsbench.testing import cases
from rsbench.testing.contract import BAD


@pytest.fixture(scope="module")
def written(site: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind -> folder; each is also put where plugins are found, as pip would."""
    parent, folders = tmp_path_factory.mktemp("new"), {}
    for kind in NEW_KINDS:
        folders[kind] = write(f"new-{kind}", kind, parent / kind)
    for folder in folders.values():
        install(folder, site)
    registry.cache_clear()
    return folders


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Net", "is no name for a plugin"),
        ("../net", "is no name for a plugin"),
        ("net/../../x", "is no name for a plugin"),
        ("a--b", "is no name for a plugin"),
        ("net-", "is no name for a plugin"),
        ("1net", "is no name for a plugin"),
        ("net\n", "is no name for a plugin"),
        ("", "is no name for a plugin"),
        ("n" * 41, "is no name for a plugin"),
        ("rsbench-net", "Leave 'rsbench' out"),
        ("losses", "There is a plugin 'losses' already"),
        ("bmta", "There is a model 'bmta' already, of plugin 'convnets'"),
        ("scenes-vqa", "There is a dataset 'scenes-vqa' already"),
        ("focal", "There is a loss 'focal' already"),
        ("spatialnet", "already"),
    ],
)
def test_names_that_are_refused(name: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_name(name)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError, match="exists already; choose another folder"):
        write("some-net", "model", tmp_path)
    with pytest.raises(UserError, match="exists already"):
        write("some-net", "model", tmp_path / "mine")
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("kind", NEW_KINDS)
def test_the_package_is_whole(kind: str, written: dict[str, Path]) -> None:
    folder = written[kind]
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    shared = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        ".gitignore",
        ".github/workflows/ci.yml",
        "tests/test_plugin.py",
    }
    assert shared | {f"rsbench_new_{kind}/__init__.py"} < files
    text = "".join((folder / name).read_text() for name in files)
    assert "{{" not in text.replace("${{", "")
    assert f"rsbench plugins check new-{kind}" in (folder / "README.md").read_text()
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=120", "--select=E,F,I,B,UP,SIM,RUF"]
    done = subprocess.run([*command, "."], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", NEW_KINDS)
def test_it_keeps_the_contract(kind: str, written: dict[str, Path]) -> None:
    results = [case.run() for case in cases(f"new-{kind}")]
    assert [f"{r.case.key}: {r.detail}" for r in results if r.outcome in BAD] == []
    assert {r.case.kind for r in results} > {"plugin", kind} - {"plugin"}
