"""Rows read by several processes are those read by one, issues included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_board import add

from rsbench.leaderboard import reading
from rsbench.leaderboard.board import build
from rsbench.leaderboard.render.data import rows
from rsbench.records import store


def test_processes_read_what_one_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        for seed in range(2):
            add(tmp_path, f"net-{number}", 0.7 + number / 20, seed)
    (tmp_path / "net-1-s0-closed" / "predictions.parquet").write_bytes(b"changed")
    (tmp_path / "net-2-s1-closed" / "predictions.parquet").unlink()
    loaded = store.load_all([tmp_path])
    alone = build(loaded)
    started = []
    monkeypatch.setattr(reading, "MANY", 1)
    monkeypatch.setattr(reading, "usable_cores", lambda: started.append(2) or 2)
    begun: list[int] = []
    with reading.PredictionReaders() as readers:

        def choose(files: list[str]) -> list[str]:
            begun.append(len(files))
            readers.start(len(files))
            return files

        found = store.load_all([tmp_path], choose=choose)
        together = build(found, readers=readers)
    assert begun == [8]
    assert started
    assert rows(together) == rows(alone)
    flags = {row.system: row.flags for row in together.tables[0].rows}
    assert flags["net-1"] == ["predictions.parquet is not the file that the record was made from (net-1-s0-closed)"]
    assert flags["net-2"] == ["no predictions available"]
    for a, b in zip(together.tables[0].rows, alone.tables[0].rows, strict=True):
        assert (a.measured is None) == (b.measured is None)
        if a.measured is not None and b.measured is not None:
            np.testing.assert_array_equal(a.measured.system.effects, b.measured.system.effects)
