"""Published numbers on boards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rsbench_claims.reported import published, reported
from typer.testing import CliRunner

from rsbench import hookimpl
from rsbench.cli.app import build as app
from rsbench.leaderboard.board import build
from rsbench.leaderboard.render.cells import remarks
from rsbench.records import store
from rsbench.registry import BLOCK_VARIABLE, registry

RECORDS = Path(__file__).parents[3] / "benchmarks" / "records"


def test_numbers_of_the_protocol_and_no_others() -> None:
    (table,) = build(store.load_all([RECORDS / "ucm-captions"])).tables
    found = {(r.system, r.printed): r for r in reported(table) if r.place.startswith("table")}
    assert found["VGG19+LSTM (Qu 2016)", "45.10"].doubted is False
    assert found["SpatialNet-ViT", "398.50"].doubted is True  # its text says 371.02
    assert {r.paper for r in reported(table)} == {"spatialnet-vit"}
    (line,) = published(table)
    assert "SpatialNet-ViT 398.50 (table of UCM-captions, contradicted by the paper's own numbers)" in line
    (table,) = build(store.load_all([RECORDS / "eurosat"])).tables
    assert reported(table) == []  # no paper tests on the official lists


@pytest.fixture
def fresh() -> Iterator[None]:
    registry.cache_clear()
    yield
    registry.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_without_the_plugin_boards_say_less_and_there_is_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BLOCK_VARIABLE, "claims")
    (table,) = build(store.load_all([RECORDS / "ucm-captions"])).tables
    assert not [line for line in remarks(table) if line.startswith("Reported")]
    assert "No such command" in CliRunner().invoke(app("claims"), ["claims", "list"]).output


@pytest.mark.usefixtures("fresh")
def test_other_plugins_have_remarks_and_one_that_fails_is_named() -> None:
    def broken(table: object) -> list[str]:
        raise KeyError(type(table).__name__)

    lab, bad = SimpleNamespace(), SimpleNamespace()
    lab.rsbench_remarks = hookimpl(lambda table: [f"{table.dataset} is ours."])
    bad.rsbench_remarks = hookimpl(broken)
    for name, plugin in (("lab", lab), ("bad", bad)):
        registry().add(name, f"dist-{name}", "1", lambda plugin=plugin: plugin)  # type: ignore[misc]
    (table,) = build(store.load_all([RECORDS / "ucm-captions"])).tables
    assert "ucm-captions is ours." in remarks(table)
    assert "plugin 'bad' (distribution 'dist-bad'): rsbench_remarks raised KeyError: 'Table'." in remarks(table)
