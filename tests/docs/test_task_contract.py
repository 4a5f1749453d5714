"""What ``plugins/task.md`` promises to a plugin's job is there, and the scaffold's job needs no more than that."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest
from blocks import DOCS

from rsbench import hookspecs
from rsbench.engine.input.run_data import RunData
from rsbench.engine.tasks.base import Job
from rsbench.observing import SWITCH
from rsbench.scaffold import write

ROW = re.compile(r"^\| ([^|]+) \| (`[^|]+`) \|$", re.MULTILINE)
TABLES = {
    head.replace("`", ""): re.findall(r"`(\w+)`", names)
    for head, names in ROW.findall((DOCS / "plugins" / "task.md").read_text())
}
MODULES = {head: names for head, names in TABLES.items() if head.startswith("rsbench.")}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ast.Module]:
    """The modules of a new plugin of kind ``task``."""
    folder = write("any-task", "task", tmp_path_factory.mktemp("new") / "task")
    return {path.stem: ast.parse(path.read_text()) for path in folder.glob("rsbench_any_task/*.py")}


@pytest.mark.parametrize("module", MODULES)
def test_promised_names_are_defined_in_their_module(module: str) -> None:
    body = ast.parse(Path(importlib.import_module(module).__file__ or "").read_text()).body
    defined = {n.name for n in body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    defined |= {t.id for n in body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    assert MODULES[module]
    assert set(MODULES[module]) <= defined


def test_promised_members_are_those_of_a_job() -> None:
    public = {name for name in dir(Job) if not name.startswith("_")}
    source = textwrap.dedent(inspect.getsource(Job.__init__))
    stored = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store))
    assigned = {node.attr for node in stored}
    assert set(TABLES["must write"]) == Job.__abstractmethods__
    assert set(TABLES["may write"]) <= public - Job.__abstractmethods__
    assert {*TABLES["must write"], *TABLES["may write"], *TABLES["finds"]} == public | assigned
    assert set(TABLES["finds in data"]) <= {*RunData.__dataclass_fields__, *vars(RunData)}


def test_the_scaffold_imports_nothing_else_of_engine_and_kit(trees: dict[str, ast.Module]) -> None:
    found = {
        (node.module, alias.name)
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("rsbench.engine", "rsbench.testing"))
        for alias in node.names
    }
    assert found
    assert found <= {(module, name) for module, names in MODULES.items() for name in names}


def test_the_scaffold_uses_nothing_else_of_a_job(trees: dict[str, ast.Module]) -> None:
    tree = trees["job"]
    (job,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    own = {node.name for node in job.body if isinstance(node, ast.FunctionDef)}
    used = {".".join(_path(node)) for node in ast.walk(job) if isinstance(node, ast.Attribute)}
    of_self = {path.split(".")[1] for path in used if path.startswith("self.")}
    of_data = {path.split(".")[2] for path in used if path.startswith("self.data.")}
    assert of_self - own <= set(TABLES["finds"])
    assert of_data
    assert of_data <= set(TABLES["finds in data"])


def _path(node: ast.expr) -> list[str]:
    """``self.data.store`` as its words; empty where it does not begin with a name."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        before = _path(node.value)
        return [*before, node.attr] if before else []
    return []


def test_the_switch_of_observers_is_where_authors_look() -> None:
    from rsbench_observers.observer import SWITCH as LOOKED_FOR

    assert LOOKED_FOR == SWITCH
    assert SWITCH in (hookspecs.__doc__ or "")
    assert SWITCH in (DOCS / "plugins" / "observer.md").read_text()
