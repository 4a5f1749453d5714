"""The generated pages hold everything there is: commands, options, specs, fields, hooks, protocols, reconstructions."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import typer
from blocks import ROOT

from docs.generator import PAGES, pages
from docs.generator.commands import commands
from docs.generator.hooks import hooks
from docs.generator.protocols import WHY, protocols
from docs.generator.renamed import IMPORTS
from docs.generator.specs import documented
from rsbench import extensions, hookspecs, renamed, specs
from rsbench.cli.app import build
from rsbench.registry import registry


@cache
def page(name: str) -> str:
    return PAGES[name]()


def test_every_hook_is_documented() -> None:
    tree = ast.parse(Path(hookspecs.__file__).read_text())
    declared = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
    assert list(hooks()) == declared
    for name in declared:
        assert inspect.getdoc(hooks()[name]), f"{name} has no docstring"
        assert f"\n### {name}\n" in page("reference/hooks.md")
    assert page("reference/hooks.md").count("\n### ") == len(declared)


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_is_explained_on_a_page_for_authors(hook: str) -> None:
    """The generated reference lists a new hook by itself; how it is used has to be written."""
    assert any(re.search(rf"\b{hook}\b", path.read_text()) for path in (ROOT / "docs" / "plugins").glob("*.md"))


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_is_implemented_in_a_test_or_a_plugin_that_is_tested(hook: str) -> None:
    run = (("tests", "*.py"), ("plugins", "*.py"), ("docs", "*.md"), ("rsbench/scaffold", "*.j2"))
    places = [path for folder, pattern in run for path in (ROOT / folder).rglob(pattern)]
    assert any(f"def {hook}(" in path.read_text(encoding="utf-8") for path in places)


def test_every_command_and_option_is_documented() -> None:
    """Against what Typer itself makes of the app."""
    seen = {()}
    waiting = [((), typer.main.get_command(build()))]
    while waiting:
        path, command = waiting.pop()
        known = commands()[path]
        spelled = {name for p in command.params for name in (*p.opts, *p.secondary_opts) if name.startswith("-")}
        assert spelled - {"--help", "--install-completion", "--show-completion"} == set(known.options), path
        title = " ".join(("rsbench", *path))
        assert f"## {title}\n" in page("reference/cli.md")
        inner = getattr(command, "commands", {})
        waiting += [((*path, name), sub) for name, sub in inner.items()]
        seen |= {(*path, name) for name in inner}
    assert seen == set(commands())


def test_every_command_has_a_description_and_every_parameter_a_meaning() -> None:
    for path, command in commands().items():
        assert command.doc.strip(), path
        assert [p.names for p in command.parameters if not p.help] == [], path


def test_every_spec_and_field_is_documented() -> None:
    files = [Path(module.__file__ or "") for module in (specs, extensions)]
    declared = {n.name for f in files for n in ast.parse(f.read_text()).body if isinstance(n, ast.ClassDef)}
    assert {kind.__name__ for kind in documented()} == declared - {"SpecError"}
    for kind in documented():
        section = page("reference/specs.md").partition(f"\n## {kind.__name__}\n")[2].partition("\n## ")[0]
        own = inspect.get_annotations(kind)
        missing = [f.name for f in dataclasses.fields(kind) if f.name in own and f"| `{f.name}` |" not in section]
        assert missing == []


def test_every_protocol_says_why() -> None:
    assert set(WHY) == set(protocols())
    for name in protocols():
        assert f"\n### {name}\n" in page("protocols.md")
        assert WHY[name] in page("protocols.md")


def test_every_reconstruction_is_named_with_what_papers_leave_open() -> None:
    found = registry()
    text = page("reconstructed.md")
    for kind, is_one in (
        ("model", lambda s: "reconstruction" in s.tags),
        ("recipe", lambda s: s.reconstruction),
    ):
        for name in found.names(kind):
            ours = found.origin(kind, name).distribution == "rsbench"
            assert (f"\n| `{name}` |" in text) == (ours and is_one(found.specs(kind)[name])), name
    for spec in found.specs("claims").values():
        assert all(f"\n- {item}\n" in text for item in spec.left_open)


def test_generating_twice_gives_the_same() -> None:
    assert pages() == pages()


def test_every_renamed_name_is_listed_and_leads_to_one_that_is_there() -> None:
    text = page("reference/renamed.md")
    for entry in renamed.TABLE:
        assert f"| {entry.where} | `{entry.old}` | `{entry.new}` |" in text
    for old, new in IMPORTS.items():
        assert f"| `{old}` | `{new}` |" in text
        module, _, name = new.partition(":")
        assert not name or hasattr(import_module(module), name)
