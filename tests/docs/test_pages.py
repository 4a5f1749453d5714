"""Every block of the pages is run: Python is executed, commands are parsed, YAML and TOML are read."""

from __future__ import annotations

import ast
import shlex
import tomllib
from functools import cache
from pathlib import Path

import pytest
from blocks import DOCS, README, WRITTEN, blocks, command_lines, install

from docs.generator.commands import Command, commands
from rsbench.registry import registry
from rsbench.scaffold.names import package_of
from rsbench.suites.document import parse
from rsbench.suites.schema import check
from rsbench.testing import cases
from rsbench.testing.contract import BAD

SLOW = {"folder.md", "index.md", "probes.md", "runs.md", README}  # they train
# Page -> the checks that the default suite runs of its plugin; the others run with ``-m slow``.
KIT = {
    "plugins/model.md": "model/*",
    "plugins/family.md": "model/*/members",
    "plugins/dataset.md": "dataset/*",
    "plugins/loss.md": "loss/*",
    "plugins/metric.md": "metric/*",
    "plugins/task.md": "task/*",
    "plugins/observer.md": "plugin/*",
    "plugins/paper.md": "*",
    "plugins/format.md": "*",
    "plugins/more.md": "plugin/*",
}
RUN = [page for page in (*WRITTEN, README) if any(b.language == "python" for b in blocks(page))]


def execute(page: str) -> None:
    """Run the Python blocks without a title in one namespace."""
    namespace: dict[str, object] = {}
    for block in blocks(page):
        if block.language == "python" and block.title is None:
            tree = ast.parse("\n" * (block.line - 1) + block.text)
            exec(compile(tree, str(DOCS / page), "exec"), namespace)


@pytest.mark.parametrize("page", [pytest.param(p, marks=pytest.mark.slow) if p in SLOW else p for p in RUN])
def test_code_runs_and_plugins_keep_the_contract(page: str, place: Path) -> None:
    name = install(page, place)
    assert (name is None) == (page not in KIT)
    if name is not None:
        assert [p for p in registry().problems if p.plugin == name] == []
        _keeps_the_contract(name, KIT[page])
    execute(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", KIT)
def test_plugins_pass_the_whole_kit(page: str, place: Path) -> None:
    name = install(page, place)
    assert name is not None
    _keeps_the_contract(name, "*")


def _keeps_the_contract(name: str, only: str) -> None:
    results = [case.run() for case in cases(name, only)]
    assert results
    assert [f"{r.case.key}: {r.detail}" for r in results if r.outcome in BAD] == []


def test_pages_of_all_kinds_start_from_the_scaffold() -> None:
    from rsbench.cli.plugins import NEW_KINDS

    for kind in NEW_KINDS:
        lines = [line.split() for line in command_lines(f"plugins/{kind}.md")]
        named = [words[3] for words in lines if words[1:3] == ["plugins", "new"] and words[-1] == kind]
        assert len(named) == 1
        titles = [b.title for b in blocks(f"plugins/{kind}.md") if b.title]
        assert all(title.startswith(package_of(named[0]) + "/") for title in titles)


def test_the_family_is_wrapped_in_less_than_30_lines_of_code() -> None:
    (wrapped,) = (b for b in blocks("plugins/family.md") if b.title == "rsbench_torchgeo_nets.py")
    assert len([line for line in wrapped.text.splitlines() if line]) < 30


@pytest.mark.parametrize("page", [*WRITTEN, README])
def test_commands_exist_with_their_options(page: str) -> None:
    for line in command_lines(page):
        words = shlex.split(line.partition(" #")[0])[1:]
        command, options = _known(words)
        unknown = [w for w in words if w.startswith("-") and w.partition("=")[0] not in options]
        assert unknown == [], f"{page}: '{line}': rsbench {' '.join(command.path)} has no {unknown}"


@cache
def _commands() -> dict[tuple[str, ...], Command]:
    return commands()


def _known(words: list[str]) -> tuple[Command, set[str]]:
    """The command that *words* call, and its options with those of the program."""
    program = _commands()[()]
    if words and words[0] == "-p":
        words = words[2:]
    longest = max((n for n in (1, 2) if tuple(words[:n]) in _commands()), default=0)
    assert longest or words[0].startswith("-"), f"there is no command 'rsbench {' '.join(words)}'"
    command = _commands()[tuple(words[:longest])]
    return command, {*command.options, *program.options, "-p", "--help", "--install-completion"}


@pytest.mark.parametrize("page", [*WRITTEN, README])
def test_configuration_is_valid(page: str) -> None:
    for block in blocks(page):
        if block.language == "yaml":
            content, lines = parse(block.text, page)
            assert "apiVersion" in content or check(content, page, lines) == ([], set())  # Kubernetes's, or a suite
        elif block.language == "toml":
            assert tomllib.loads(block.text)
        else:
            assert block.language in ("python", "sh"), f"{page}, line {block.line}: nothing checks {block.language}"
