"""Records from anywhere: a field that does not fit is named with its file, and nothing outside a run is read or
written."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from rsbench.cli.app import build
from rsbench.errors import UserError
from rsbench.records import store
from rsbench.records.schema import misfits
from rsbench.records.verify import examine
from rsbench.schemas import schema

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
GOOD = next(BENCHMARKS.rglob("eurosat-pixel-statistics-in-domain-60-20-20-s0-*"))
SPEED = next(BENCHMARKS.rglob("throughput-tiny-cnn-classification-*"))
KINDS = {folder: json.loads((folder / store.FILE).read_text()) for folder in (GOOD, SPEED)}
PUBLISHED = Draft202012Validator(schema("record"))
GONE = object()


def run(*words: object) -> tuple[int, str]:
    """Return exit code and all output of a command; an error that is not the user's is raised."""
    done = CliRunner().invoke(build(), [*map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit | UserError):
        raise done.exception
    return done.exit_code, f"{done.output}{done.exception or ''}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds one good record."""
    good = tmp_path / "in" / "good"
    good.mkdir(parents=True)
    for file in GOOD.iterdir():
        (good / file.name).write_bytes(file.read_bytes())
    return good.parent


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each part of a record; of lists the first two items."""
    if above:
        yield above
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*above, key))


def changed(record: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return a copy of a record with another value at a place, or without it."""
    made = copy.deepcopy(record)
    inside: Any = made
    for key in place[:-1]:
        inside = inside[key]
    if value is GONE:
        del inside[place[-1]]
    else:
        inside[place[-1]] = value
    return made


# Texts of ASCII: Python and Rust differ in which characters of other scripts make words.  No whole floats: JSON Schema
# counts them among the integers.
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(-1e9, 1e9).filter(lambda x: x % 1)
    | st.text(st.characters(max_codepoint=126))
)
ODD = st.recursive(
    PLAIN, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=9), one), max_leaves=4
)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_records_are_accepted_as_the_published_schema_says(data: st.DataObject) -> None:
    """By jsonschema, which knows the schema alone."""
    record = data.draw(st.sampled_from([*KINDS.values()]), "kind")
    place = data.draw(st.sampled_from([*places(record)]), "place")
    odd = changed(record, place, data.draw(st.just(GONE) | ODD, "value"))
    found = misfits(odd)
    assert (found == []) == PUBLISHED.is_valid(odd)
    assert all("\n" not in one and one.split(".")[0].split(":")[0] in {*record, "$"} for one in found)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_file_is_named_and_costs_no_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = bytearray((GOOD / store.FILE).read_bytes())
    start = data.draw(st.integers(0, len(text) - 1), "start")
    text[start : start + data.draw(st.sampled_from([1, 9, len(text)]), "cut")] = data.draw(st.binary(max_size=6), "put")
    folder = tmp_path_factory.mktemp("damaged")
    for name, content in (("bad", bytes(text)), ("good", (GOOD / store.FILE).read_bytes())):
        (folder / name).mkdir()
        (folder / name / store.FILE).write_bytes(content)
    problems: list[str] = []
    found = store.load_all([folder], problems)
    assert folder / "good" / store.FILE in [loaded.path for loaded in found]
    assert len(found) + len(problems) == 2
    assert all(str(folder / "bad" / store.FILE) in one and "\n" not in one for one in problems)


@pytest.mark.parametrize("kind", ["pipe", "device", "large", "deep", "folder", "loop"])
def test_what_is_no_file_or_too_large_is_named_and_left_out(folder: Path, kind: str) -> None:
    file = folder / "bad" / store.FILE
    file.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "large":
        with file.open("wb") as stream:
            stream.truncate(5 << 30)
    elif kind == "deep":
        file.write_bytes(b'{"schema": "rsbench.record/2", "by_group": ' + b"[" * 10**6)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(file)
    for command in ("leaderboard", "verify"):
        code, output = run(command, folder)
        assert (str(file) in output) == (kind != "folder"), output
        assert code == (command == "verify" and kind != "folder")
        assert "pixel-statistics" in output or "1 record" in output


@pytest.mark.parametrize(
    "name", ["../good/predictions.parquet", "/proc/kmsg", "a/b", "..", ".hidden", "a\0b", "x" * 5000, ""]
)
def test_artifacts_lie_beside_their_record(name: str) -> None:
    for place in (("run_id",), ("artifacts", "predictions", "path")):
        (found,) = misfits(changed(KINDS[GOOD], place, name))
        assert found.startswith(".".join(place))


@pytest.mark.parametrize("target", ["/proc/kmsg", "/dev/zero", "other", "pipe"])
def test_verify_reads_no_file_outside_the_folder_of_a_run(folder: Path, target: str) -> None:
    """Of the same bytes as well: what is there may change without the record knowing."""
    path = folder / "good" / KINDS[GOOD]["artifacts"]["predictions"]["path"]
    other = folder / "other"
    path.rename(other)
    if target == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(other if target == "other" else target)
    verdict = examine(store.LoadedRecord(folder / "good" / store.FILE, store.load(folder / "good")))
    assert verdict.status == "unverified"
    assert "its predictions are not available" in verdict.problems
    path.unlink()
    beside = path.with_name("kept")
    beside.write_bytes(other.read_bytes())
    path.symlink_to(beside)
    assert store.LoadedRecord(folder / "good" / store.FILE, store.load(folder / "good")).artifact("predictions") == path


@pytest.mark.parametrize("form", ["hf", "stac-mlm"])
def test_export_writes_below_its_folder_alone(folder: Path, form: str) -> None:
    for name in ("../../escaped", str(folder / "escaped")):
        evil = folder / "evil"
        evil.mkdir(exist_ok=True)
        (evil / store.FILE).write_text(json.dumps(KINDS[GOOD] | {"run_id": name}))
        before = {path for path in folder.parent.parent.rglob("*") if "out" not in path.parts}
        _, output = run("export", folder, "--to", form, "--output", folder / "out")
        assert f"{evil / store.FILE} is not a valid record: run_id" in output
        assert {path for path in folder.parent.parent.rglob("*") if "out" not in path.parts} == before


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    deep: Any = 1.0
    for _ in range(400):
        deep = [deep]
    with pytest.raises(UserError, match="recursion limit"):
        store.save(KINDS[GOOD] | {"by_group": {"deep": deep}}, tmp_path)
    assert [*tmp_path.iterdir()] == []


HOSTILE = "\x1b[2Ja\0b\u202e<script>x</script> [/nope]\n| c |"


def test_foreign_texts_say_nothing_to_terminal_page_or_table(folder: Path) -> None:
    record = changed(KINDS[GOOD], ("plan", "model", "label"), HOSTILE)
    record = changed(record, ("plan", "protocol", "name"), HOSTILE)
    other = folder / "other"
    other.mkdir()
    (other / "predictions.parquet").write_bytes((folder / "good" / "predictions.parquet").read_bytes())
    (other / store.FILE).write_text(json.dumps(record | {"run_id": "other"}))
    commands = [["leaderboard", folder, "--format", f] for f in ("terminal", "markdown", "csv", "latex", "html")]
    commands += [["leaderboard", folder, "--time-to"], ["compare", other, other], ["verify", folder]]
    for command in [*commands, ["export", other, "--to", "hf"]]:
        _, output = run(*command)
        assert not {"\x1b", "\0", "\u202e"} & {*output}, command
        if command[-1] in ("markdown", "html", "hf"):
            assert "<script>x" not in output.rpartition("\n---\n")[2]  # the card's own data are YAML
        assert "\n| c |" not in output or command[-1] != "markdown"
