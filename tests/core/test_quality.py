"""The checks that keep the house tidy."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_imports import FILES, imported, module_of

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


# Lines that each part of the core may have, and all plugins together.  They may only fall: who needs more takes them from
# what is there, or says in the change why not.
BUDGET = {
    "rsbench": 4350,
    "rsbench/cli": 3950,
    "rsbench/data": 2150,
    "rsbench/engine": 8000,
    "rsbench/leaderboard": 2900,
    "rsbench/metrics": 1150,
    "rsbench/records": 1850,
    "rsbench/scaffold": 150,
    "rsbench/schemas": 50,
    "rsbench/suites": 250,
    "rsbench/tasks": 2400,
    "rsbench/testing": 2600,
    "plugins": 23000,
}
# Modules of fewer lines than that are a part of their one importer, but for those of a family of modules alike.
SHORT = 40
APART = {
    "rsbench.cli.runs",
    "rsbench.leaderboard.remark",  # for plugins to import
    "rsbench.leaderboard.render.notebook",
    "rsbench_captioners.word_vectors",
    "rsbench_eurosat.claims.helber",
    "rsbench_probes.specs",
    "rsbench_ray.task",
    "rsbench_throughput.latency",
    "rsbench_throughput.peak_memory",
}


@pytest.mark.parametrize("part", BUDGET)
def test_no_part_grows(part: str) -> None:
    folder = ROOT / part
    found = folder.glob("*.py") if part == "rsbench" else folder.rglob("*.py")
    assert sum(path.read_text().count("\n") for path in found) <= BUDGET[part]


def test_every_part_has_a_budget() -> None:
    parts = {path.relative_to(ROOT / "rsbench").parts[0] for path in (ROOT / "rsbench").rglob("*.py")}
    assert {f"rsbench/{part}" for part in parts if not part.endswith(".py")} == {*BUDGET} - {"rsbench", "plugins"}


def test_no_short_module_has_one_user() -> None:
    users: dict[str, set[str]] = {module: set() for module in FILES}
    for module, path in FILES.items():
        for other in map(module_of, imported(path, types=True)):
            users.get(other, set()).add(module)
    short = {m for m, path in FILES.items() if path.read_text().count("\n") < SHORT and path.stem != "__init__"}
    assert {module for module in short if len(users[module] - {module}) == 1} <= APART


MANY = 4  # parameters, from which each is said for itself


def public_functions() -> Iterator[tuple[str, str, ast.FunctionDef, str]]:
    """Yield file, name, function and docstring of what is public; of a class, with its own, that of its making."""
    for path in sorted([*(ROOT / "rsbench").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]):
        waiting = [("", node) for node in ast.parse(path.read_text()).body]
        for scope, node in waiting:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                doc, inner = ast.get_docstring(node) or "", node.body
                if isinstance(node, ast.FunctionDef):
                    yield str(path.relative_to(ROOT)), scope + node.name, node, doc
                    continue
                waiting += [(f"{node.name}.", part) for part in inner]
                made = [part for part in inner if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
                yield from ((str(path.relative_to(ROOT)), node.name, each, doc) for each in made)


def unexplained(function: ast.FunctionDef, doc: str) -> list[str]:
    """The parameters that a docstring does not explain, where there are many."""
    arguments = function.args
    named = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    named = [name for name in named if name not in ("self", "cls")]
    said = doc.partition("Args:")[2]
    lost = [name for name in named if not re.search(rf"^ +([\w*]+, )*{name}(, [\w*]+)*: ", said, re.MULTILINE)]
    return lost if len(named) >= MANY else []


def test_many_parameters_are_explained_one_by_one() -> None:
    """The help of a command says its options; a method may leave what it is given to the method that it replaces."""
    found = [*public_functions()]
    contracts = {name.partition(".")[2] for _, name, function, doc in found if "Args:" in doc} - {""}
    lost = {
        f"{file}: {name}": missing
        for file, name, function, doc in found
        if (missing := unexplained(function, doc))
        if not re.search(r"Annotated\[|options\.|: Json", ast.unparse(function.args))
        if "Args:" in doc or name.partition(".")[2] not in contracts
    }
    assert lost == {}


BRITISH = re.compile(
    r"colour|\bgrey|behaviour|neighbour|centre|learnt|labell(?!edby)|licence|catalogue|cancelled|signall|modell(?!ed)"
    r"|(normal|initial|optim|standard|regular|minim|maxim|synchron|serial|token|summar|recogn|organ|capital|visual)is(e|ing|ation)",
    re.IGNORECASE,
)
# What records, files of others and generated sentences hold stays as it is.
KEPT_AS_IS = ("renamed.py", "sentences.py")
RECORDED = re.compile(
    r"""accepts.*normalisation|normalisation: str|"title": "Normalisation|"normalisation": (\{$|"dataset")"""
)


def test_spelling_is_american() -> None:
    """In what users and authors of plugins read."""
    files = [*(ROOT / "rsbench").rglob("*"), *(ROOT / "plugins").rglob("*"), *(ROOT / "docs").rglob("*")]
    files += [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        if path.suffix in (".py", ".md", ".j2", ".html", ".json") and path.name not in KEPT_AS_IS
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if BRITISH.search(line) and not RECORDED.search(line)
    ]
    assert found == []


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
