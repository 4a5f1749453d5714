"""What ``plugins/task.md`` promises to a plugin's task is there, and the scaffold's needs no more than that."""

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
from rsbench.data.store import PreparedStore
from rsbench.engine.input.run_data import RunData
from rsbench.engine.tasks.base import TrainingTask
from rsbench.engine.tasks.image import ImageTraining
from rsbench.observing import SWITCH
from rsbench.scaffold import write
from rsbench.tasks.task import Task

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


def test_promised_members_are_those_of_a_task() -> None:
    names = {name for row, found in TABLES.items() if row.startswith("it may write") for name in found}
    public = {name for name in dir(Task) if not name.startswith("_")} | {*Task.__annotations__}
    assert set(TABLES["a task must write"]) == Task.__abstractmethods__
    assert {*names, *Task.__abstractmethods__, "name", "keeps_statistics"} == public


def test_promised_members_are_those_of_a_training_side() -> None:
    public = {name for name in dir(TrainingTask) if not name.startswith("_")}
    source = textwrap.dedent(inspect.getsource(TrainingTask.__init__))
    stored = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store))
    assigned = {node.attr for node in stored}
    written = TABLES["must write"]
    assert set(written) == TrainingTask.__abstractmethods__
    assert set(TABLES["may write"]) <= public - TrainingTask.__abstractmethods__
    assert {*written, *TABLES["may write"], *TABLES["finds"]} == public | assigned
    assert set(TABLES["finds in data"]) <= {*RunData.__dataclass_fields__, *vars(RunData)}
    assert set(TABLES["finds in data.store"]) <= {*vars(PreparedStore), "manifest"}
    assert {"outputs", "targets", "outcome"} == ImageTraining.__abstractmethods__


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


def test_the_scaffold_is_small(trees: dict[str, ast.Module]) -> None:
    """Lines of code, without docstrings: a task with its dataset, model, loss and metric."""

    def lines(tree: ast.Module) -> set[int]:
        texts = [n for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
        within = {k for n in texts for k in range(n.lineno, (n.end_lineno or 0) + 1)}
        code = (n for n in ast.walk(tree) if hasattr(n, "lineno"))
        return {k for n in code for k in (n.lineno, n.end_lineno)} - within

    assert sum(len(lines(tree)) for tree in trees.values()) <= 150


def test_the_switch_of_observers_is_where_authors_look() -> None:
    from rsbench_observers.observer import SWITCH as LOOKED_FOR

    assert LOOKED_FOR == SWITCH
    assert SWITCH in (hookspecs.__doc__ or "")
    assert SWITCH in (DOCS / "plugins" / "observer.md").read_text()
