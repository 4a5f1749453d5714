"""Verdicts follow by rule from arithmetic, protocols, what is known to differ, and intervals; no sentence is by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rsbench_claims.check import claim_sets
from rsbench_claims.render import json_of, page, summary
from rsbench_claims.reproduction import Entry, entries
from test_claims_compare import add, author, claims, reported

from rsbench.records.store import load_all
from rsbench.specs import Claim

ROOT = Path(__file__).parents[3]


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Three seeds of .9, .9 and .9: an interval of .877 to .923 for 1,000 samples."""
    for seed in range(3):
        add(tmp_path, 0.9, seed)
    return tmp_path


def told(folder: Path, *rows: Claim, **more: object) -> list[tuple[str, str]]:
    return [(e.verdict, e.why) for e in entries(load_all([folder]), [claims(*rows, **more)])]


def test_a_number_outside_the_interval_is_not_reproduced(measured: Path) -> None:
    (entry,) = entries(load_all([measured]), [claims(reported("94.30"))])
    assert entry.measured is not None
    assert entry.measured.interval is not None
    low, high = entry.measured.interval
    assert entry.verdict == "not reproduced"
    for value in (high + 2e-4, low - 2e-4):
        assert told(measured, reported(f"{100 * value:.2f}"))[0][0] == "not reproduced"
    (inside,) = told(measured, reported(f"{100 * (high + 3e-5):.2f}"))  # within its own rounding
    assert inside[0] == "cannot be told"  # of so wide an interval


def test_a_wide_interval_tells_nothing(tmp_path: Path) -> None:
    add(tmp_path, 0.9)
    (found,) = told(tmp_path, reported("90.00"))
    assert found == ("cannot be told", "the interval of what was measured is wider than 0.02")


def test_a_narrow_interval_reproduces(tmp_path: Path) -> None:
    for seed in range(3):
        add(tmp_path, 0.99, seed)
    assert told(tmp_path, reported("99.00")) == [("reproduced", "it lies in the interval of what was measured")]


def test_what_sets_a_measurement_apart_leaves_it_untold(measured: Path, tmp_path: Path) -> None:
    (other,) = told(measured, reported("94.30", protocol="helber-80-20"))
    assert other[0] == "cannot be told"
    assert "other test samples" in other[1]
    rebuilt = tmp_path / "rebuilt"
    rebuilt.mkdir()
    for seed in range(3):
        add(rebuilt, 0.9, seed, recipe=author("baseline-cnn-author", reconstruction=True))
    assert told(rebuilt, reported("94.30")) == [("cannot be told", "recipe baseline-cnn-author is a reconstruction")]


def test_the_measurement_that_differs_least_is_taken(measured: Path) -> None:
    add(measured, 0.943, 3, recipe=author("eurosat-short"))
    (entry,) = entries(load_all([measured]), [claims(reported("94.30"))])
    assert entry.measured is not None
    assert (entry.measured.recipe, entry.measured.seeds) == ("baseline-cnn-author", 3)


def test_a_paper_that_contradicts_itself_is_not_measured_against(measured: Path) -> None:
    (one, two) = told(measured, reported("90.00"), reported("91.00", place="text"))
    assert {one[0], two[0]} == {"contradicts itself"}
    assert "text: " in one[1]


def test_relations_and_unmeasured_systems(measured: Path) -> None:
    rows = reported("90.00", system="another"), reported("80.00", relation=">", place="text")
    assert [v for v, _ in told(measured, *rows)] == ["not measured", "not measured"]


def test_page_and_json_say_the_same(measured: Path) -> None:
    found = entries(load_all([measured]), [claims(reported("94.30"), reported("0.90", "mcc", unit=""))])
    text, listed = page(found), json.loads(json_of(found))
    assert [e["verdict"] for e in listed] == ["not reproduced", "not measured"]
    assert "| theirs | overall_accuracy | 94.30 % | table 1 |" in text
    assert "not reproduced [1]" in text
    assert "1. it lies outside the interval of what was measured" in text
    assert summary(found).splitlines()[-1] == "| `x` | 2 |  | 1 |  |  | 1 |"


@pytest.fixture(scope="module")
def committed() -> list[Entry]:
    return entries(load_all([ROOT / "benchmarks" / "records"]), claim_sets())


def test_every_number_of_every_paper_has_a_verdict(committed: list[Entry]) -> None:
    assert len(committed) == sum(len(found.rows) for found in claim_sets())
    for entry in committed:
        assert (entry.verdict == "contradicts itself") == bool(entry.issues)
        assert entry.verdict not in ("reproduced", "not reproduced") or (
            entry.measured and not entry.measured.differences
        )


def test_page_and_summary_are_current(committed: list[Entry]) -> None:
    assert (ROOT / "benchmarks" / "reproduction.md").read_text() == page(committed)
    block = re.search(r"<!-- verdicts -->\n(.*?)\n<!-- /verdicts -->", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    assert block[1] == summary(committed)
