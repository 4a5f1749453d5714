"""What a user meets first: lists, completion and hints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rsbench import __version__
from rsbench.cli import bash, text_table
from rsbench.cli.app import build
from rsbench.registry import registry


def rsbench(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(build(), arguments)
    assert done.exit_code == code, done.output
    return done.output


def refused(*arguments: str) -> str:
    """The sentences that a mistake gives, whoever prints them."""
    done = CliRunner().invoke(build(), arguments)
    assert done.exit_code != 0
    return " ".join((done.output + str(done.exception or "")).replace("│", " ").split())


words = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=30)


@given(st.lists(st.tuples(words, words, words, words), min_size=1, max_size=8), st.integers(40, 120))
def test_a_table_fits_the_terminal_and_keeps_names(rows: list[tuple[str, ...]], width: int) -> None:
    shown = [*text_table.lines(("name", "a", "b", "summary"), rows, width)]
    assert len(shown) == len(rows) + 1
    for (name, *_), line in zip(rows, shown[1:], strict=True):
        assert line.startswith(name)
        assert len(line) <= max(width, 30 + 2 + text_table.LEAST)


def test_a_table_that_is_piped_is_whole() -> None:
    (header, line) = text_table.lines(("name", "empty", "summary"), [("x", "", "y" * 500)])
    assert header.split() == ["name", "summary"]
    assert line == "x     " + "y" * 300 + "..."  # what is foreign is bounded all the same


@pytest.mark.parametrize("kind", ["models", "datasets", "losses", "metrics", "protocols", "recipes", "tasks", "claims"])
def test_lists_name_every_spec(kind: str) -> None:
    singular = {"losses": "loss", "claims": "claims"}.get(kind, kind.removesuffix("s"))
    rows = json.loads(rsbench("list", kind, "--json"))
    assert [row["name"] for row in rows] == registry().names(singular)
    assert all(row["summary"] for row in rows)


def test_list_alone_and_observers() -> None:
    counts = {row["kind"]: int(row["number"]) for row in json.loads(rsbench("list", "--json"))}
    assert counts["models"] == len(registry().names("model"))
    assert [row["name"] for row in json.loads(rsbench("list", "observers", "--json"))] == registry().observers()


def test_show_for_people_and_programs() -> None:
    text, spec = rsbench("show", "bmta"), json.loads(rsbench("show", "bmta", "--json"))
    assert text.startswith("bmta (model of plugin convnets")
    assert f"{spec['params']:,}" in text
    for option, facts in spec["options"].items():
        assert option in text
        assert facts["help"][:20] in text
    for part, source in spec["provenance"].items():
        assert part in text
        assert source.split(":")[0] in text
    assert "null" not in text
    assert "factory" not in text


def test_version() -> None:
    assert rsbench("--version") == f"rsbench {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "resnet18", "scenes"], "Did you mean 'timm:resnet18' or 'torchvision:resnet18'?"),
        (["run", "scenes", "tiny-cnn"], "There is no model 'scenes'. It is a dataset."),
        (["run", "tiny-cnn", "scenes", "--weight-decay", "1"], "--set weight_decay=VALUE"),
        (["run", "bmta", "eurosat", "--dropblock", "none"], "--option dropblock=VALUE"),
        (["list", "observer"], "Did you mean 'observers'"),
        (["show", "resnet18"], "'timm:resnet18'"),
    ],
)
def test_hints(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSBENCH_DATA", str(tmp_path))
    monkeypatch.setattr("rsbench.api.prepare_generated", lambda *_: None)
    assert said in refused(*arguments)


def test_flags_show_no_type() -> None:
    for command in ([], ["run"], ["leaderboard"], ["data", "prepare"], ["plugins", "check"]):
        assert "<bool>" not in rsbench(*command, "--help")


# What bash makes of a line, the place of the cursor, and what is to come back for the word that bash sees.
LINES = [
    ("rsbench run timm : resnet14", {"resnet14t"}),
    ("rsbench run timm : resnet18 , eurosat-m", set()),
    ("rsbench run timm : resnet18 euros", {"eurosat", "eurosat-ms"}),
    ("rsbench run bmta eurosat --protocol bm", {"bmta-70-15-15"}),
    ("rsbench run bmta scenes --protocol ", {"scenes-standard"}),
    ("rsbench run bmta eurosat --recipe au", {"author"}),
    ("rsbench run bmta eurosat --set weight_d", {"weight_decay="}),
    ("rsbench run bmta eurosat --option dropblock = a", {"author"}),
    ("rsbench run bmta eurosat --device cu", {"cuda"}),
    ("rsbench leaderboard x --format mark", {"markdown"}),
    ("rsbench show spatialnet-vit-b", {"spatialnet-vit-blind"}),
    ("rsbench list obs", {"observers"}),
]


@pytest.mark.parametrize(("line", "wanted"), LINES)
def test_completion_in_bash(
    line: str, wanted: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = line.split(" ")
    for name, value in {bash.SHELL: "complete_bash", "COMP_WORDS": "\n".join(given)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COMP_CWORD", str(len(given) - 1))

    def answer() -> Any:
        build()(prog_name="rsbench")

    with pytest.raises(SystemExit):
        bash.complete(answer)
    assert set(capsys.readouterr().out.split()) == wanted


@given(st.lists(st.sampled_from(["a", "b-c", "--set"]), min_size=1, max_size=6), st.data())
def test_words_without_breaks_stay(words: list[str], data: st.DataObject) -> None:
    current = data.draw(st.integers(0, len(words)))
    assert bash.joined(words, current) == (words, current)


def test_words_are_joined_as_they_were_typed() -> None:
    assert bash.joined(["run", "timm", ":", "resnet18", "x"], 3) == (["run", "timm:resnet18", "x"], 1)
    assert bash.joined(["--set", "lr", "=", "1", "timm", ":"], 5) == (["--set", "lr=1", "timm:"], 2)


def test_short_forms_are_what_they_are_short_for(prepared: Path) -> None:
    def ids(*options: str) -> list[str]:
        command = ["run", "spatialnet-timm", "scenes", "--recipe", "spatialnet-short", "--data-root", str(prepared)]
        return [plan["run_id"] for plan in json.loads(rsbench(*command, *options, "--dry-run", "--json"))]

    short = ids("--epochs", "2", "--batch", "16", "--lr", "0.25", "--backbone", "timm:resnet14t", "--weights", "none")
    long = ["epochs=2", "batch=16", "lr=0.25"]
    options = ["backbone=timm:resnet14t", "weights=none"]
    assert short == ids(*(w for v in long for w in ("--set", v)), *(w for v in options for w in ("--option", v)))
    assert short != ids("--epochs", "3")


def test_the_example_of_a_suite_can_be_run(prepared: Path, tmp_path: Path) -> None:
    """Its names, fields and options are known; nothing is trained."""
    suite = tmp_path / "suite.yaml"
    suite.write_text(rsbench("schema", "suite", "--example"))
    plans = json.loads(rsbench("run", "--suite", str(suite), "--data-root", str(prepared), "--dry-run", "--json"))
    assert len({plan["run_id"] for plan in plans}) == len(plans)
    assert len(plans) == 2 + 2 + 16 + 1  # a baseline that nothing varies has one seed


def test_prepare_says_what_was_there(prepared: Path, tmp_path: Path) -> None:
    where = ["scenes", "--data-root", str(prepared)]
    assert "scenes is already prepared, since" in rsbench("data", "prepare", *where)
    assert "--force" in rsbench("data", "prepare", *where)
    nowhere = refused("data", "prepare", "eurosat", "--data-root", str(prepared), "--source", str(tmp_path / "nope"))
    assert "There are no files of 'eurosat'" in nowhere
