"""What the terminal says of speed: ratios as ratios with both sides, times as times."""

from __future__ import annotations

import importlib.util
from pathlib import Path

FILE = Path(__file__).parents[2] / "benchmarks" / "perf" / "ratios.py"
SPEC = importlib.util.spec_from_file_location("ratios", FILE)
assert SPEC is not None
assert SPEC.loader is not None
ratios = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(ratios)


def test_a_ratio_is_no_time() -> None:
    info = {"ours": 0.0028, "peer": 0.005, "unit": "s", "ratio": 0.56, "ratio_min": 0.5, "ratio_max": 0.6, "cpu_s": 1.5}
    assert ratios.sides(info) == ("2.8 ms", "5 ms", "0.56", "0.5 to 0.6")
    assert list(ratios.figures(info)) == [("cpu", "1.5 s")]


def test_values_have_the_unit_that_their_name_ends_in() -> None:
    info = {"ours": 12_345.6, "peer": 150.0, "unit": "images/s", "ratio": 82.3, "captions_per_s": 7.0, "share": 0.25}
    assert ratios.sides(info) == ("12,346 images/s", "150 images/s", "82.3", "")
    assert list(ratios.figures(info)) == [("captions", "7 captions/s"), ("share", "0.25")]
    assert ratios.shown(25.0, "us") == "25 us"


def test_sides_come_from_alternate_rounds() -> None:
    ticks = iter(range(100))
    found = ratios.paired(lambda: next(ticks), lambda: None, rounds=3, clock=lambda: float(next(ticks)))
    assert (found["ours"], found["peer"], found["unit"], found["ratio"]) == (2.0, 1.0, "s", 2.0)
