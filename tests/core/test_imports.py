"""Who may import whom: the core points one way, files form no circle, plugins see the contracts, all is declared."""

from __future__ import annotations

import ast
import graphlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rsbench.registry import registry

ROOT = Path(__file__).parent.parent.parent
PACKAGES = [ROOT / "rsbench", *sorted(p.parent for p in (ROOT / "plugins").glob("*/__init__.py"))]
FILES = {
    ".".join((package.name, *path.relative_to(package).with_suffix("").parts)).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in package.rglob("*.py")
}
# Parts of rsbench, each importing only from above its own line.
LEVELS = (
    {"renamed"},
    {"errors", "files", "states", "foreign", "specs"},
    {"containment", "cores", "extensions", "hardware", "reading", "spec_check"},
    {"data", "execution", "hookspecs", "suites"},
    {"registry"},
    {"metrics"},
    {"observing", "scaffold", "tasks"},
    {"recipes"},
    {"plan"},
    {"config", "evaluation", "records"},
    {"continuation"},
    {"engine", "leaderboard", "schemas"},
    {"api", "inference", "testing"},
    {"cli"},
    {"__main__"},
)
# The same of the engine's wings, from devices that act as one to processes in which runs happen.
WINGS = tuple(
    {wing} for wing in ["events", "memory", "parallel", "input", "tasks", "step", "training", "run", "launch"]
)
ORDERS = {"rsbench": LEVELS, "rsbench.engine": WINGS}
# What plugins may build on; other modules of the core may change without a word.
CONTRACTS = {
    "data.images",
    "data.source",
    "data.tree",
    "errors",
    "extensions",
    "metrics.contract",
    "reading",
    "specs",
} | {
    f"tasks.{name}"
    for name in ["answers", "captioning", "classification", "context", "rsvqa", "standard", "text", "vqa", "weights"]
}
# Names of the core that formats, exports and commands may use besides, as the page on formats has them.
ROW = re.compile(r"^\| `(rsbench[\w.]*)` \| (.+) \|$", re.MULTILINE)
OFFERED = {
    f"{module}.{name}"
    for module, names in ROW.findall((ROOT / "docs" / "plugins" / "format.md").read_text())
    for name in re.findall(r"`(\w+)`", names)
}
OTHERWISE_CALLED = {"PIL": "pillow", "yaml": "pyyaml", "pynvml": "nvidia-ml-py", "mlflow": "mlflow-skinny"}


def imported(path: Path, *, types: bool) -> Iterator[str]:
    """Yield the modules that a file imports, inside functions too, and with *types* those for annotations alone.

    What is imported from a package is named in full, be it a module of it or not.
    """
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not types:
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def module_of(name: str) -> str:
    """The module of this repository that *name* is, or is defined in, or an empty string."""
    return name if name in FILES or "." not in name else module_of(name.rpartition(".")[0])


@pytest.mark.parametrize("package", ORDERS)
def test_every_part_of_the_core_has_a_level(package: str) -> None:
    levels, folder = ORDERS[package], ROOT.joinpath(*package.split("."))
    there = {p.stem for p in folder.iterdir() if p.suffix == ".py" or any(p.glob("**/*.py"))}
    assert set.union(*levels) == there - {"__init__", "__pycache__"}
    assert sum(map(len, levels)) == len(set.union(*levels))


@pytest.mark.parametrize("package", ORDERS)
def test_imports_point_one_way(package: str) -> None:
    level = {f"{package}.{part}": number for number, parts in enumerate(ORDERS[package]) for part in parts}

    def part_of(module: str) -> str:
        return ".".join(module.split(".")[: package.count(".") + 2])

    wrong = [
        f"{module} -> {other}"
        for module, path in FILES.items()
        for other in map(module_of, imported(path, types=True))
        if (own := part_of(module)) in level and (part := part_of(other)) in level
        if own != part and level[part] >= level[own]
    ]
    assert wrong == []


def test_no_file_imports_itself_by_way_of_others() -> None:
    """An import inside a function counts: it hides a circle, and does not open it."""
    graph = {
        module: {m for m in map(module_of, imported(path, types=False)) if m in FILES} - {module, "rsbench"}
        for module, path in FILES.items()
    }
    assert sum(map(len, graph.values())) > len(FILES)
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, with the files of a circle


# Where the core says a name that a plugin gives, and why.
NAMED = {
    "tasks/": "the task of the core, and contracts and metrics of those that plugins give",
    "engine/tasks/": "their training side",
    "testing/": "made-up inputs of these tasks, and short runs of the kit",
    "specs.py": "defaults of fields",
    "cli/score.py": "the task of files that say none",
    "leaderboard/consistency.py": "which metrics bound each other",
}


def test_the_core_names_nothing_that_plugins_give() -> None:
    """No task, model, dataset, loss, metric, recipe or protocol; a word of the language is not meant by its name."""
    kinds = ("task", "model", "dataset", "loss", "metric", "recipe", "protocol")
    names = {name for kind in kinds for name in registry().names(kind)} - {"confusion", "focal"}
    found = {
        f"{module}: {node.value}"
        for module, path in FILES.items()
        if module.startswith("rsbench.") and not path.relative_to(ROOT / "rsbench").as_posix().startswith(tuple(NAMED))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    }
    assert found == set()


def test_plugins_import_public_contracts_only() -> None:
    allowed = {f"rsbench.{name}" for name in CONTRACTS}
    used = {
        (module, name)
        for module, path in FILES.items()
        for name in imported(path, types=True)
        if not module.startswith("rsbench.") and module != "rsbench" and name.split(".")[0] == "rsbench"
        if name != "rsbench.hookimpl" and module_of(name) not in allowed
    }
    assert {f"{module} -> {name}" for module, name in used if name not in OFFERED} == set()
    assert {name for _, name in used} == OFFERED  # nothing more is offered than is needed


def test_everything_imported_is_declared() -> None:
    """And everything that is required is imported; another distribution may cease to bring along what it brought."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = {distribution(line) for line in project["dependencies"]}
    optional = {distribution(line) for lines in project["optional-dependencies"].values() for line in lines}
    own = {package.name for package in PACKAGES}
    roots = {name.split(".")[0] for path in FILES.values() for name in imported(path, types=True)}
    used = {distribution(OTHERWISE_CALLED.get(name, name)) for name in roots - own - sys.stdlib_module_names}
    assert used - optional <= required
    assert required <= used


def distribution(line: str) -> str:
    """Normalized name of the distribution in a requirement such as ``mkdocs>=1.6,<2``."""
    return re.split(r"[^\w.-]", line)[0].lower().replace("_", "-")
