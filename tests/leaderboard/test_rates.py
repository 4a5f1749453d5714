"""Simulated boards end to end, through records: few here, as many as one likes by benchmarks/statistics/rates.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "statistics"))
from rates import rates


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("deviation", [0.0, 0.003, 0.006])
def test_equal_systems_stay_together(deviation: float) -> None:
    found = rates(100, seeds=3, deviation=deviation, n=5_400)
    assert found["pairs"] <= 7
    assert found["boards"] <= 7
    assert 92 <= found["coverage"] <= 98.5
    assert found["power"] >= {0.0: 60, 0.003: 45, 0.006: 20}[deviation]
