"""``rsbench claims`` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RECORDS = ROOT / "benchmarks" / "records" / "eurosat"


def rsbench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rsbench", "claims", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_list_names_sets_and_numbers() -> None:
    lines = rsbench("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(line.split()[0] for line in lines)
    assert any(line.startswith("spatialnet-vit-vqa") for line in lines)
    shown = rsbench("list", "bmta").stdout
    assert "protocol as stated: random 70/15/15" in shown
    assert "left open: " in shown
    (only,) = json.loads(rsbench("list", "bmta", "--json").stdout)
    assert only["name"] == "bmta-eurosat"
    assert {"system", "metric", "value", "place", "certainty", "n"} <= only["rows"][0].keys()
    both = json.loads(rsbench("list", "spatialnet-vit", "--json").stdout)
    assert [s["dataset"] for s in both] == ["ucm-captions", "rsvqa-lr"]


def test_check_prints_what_is_found_and_all_the_rest_on_request() -> None:
    done = rsbench("check", "spatialnet-vit-vqa")
    assert done.returncode == 0
    assert "is 90.8125 %, but 92.81 % is printed" in done.stdout
    assert "Lobry 2020, AA" not in done.stdout
    everything = rsbench("check", "spatialnet-vit-vqa", "--all").stdout
    assert "consistent    mean         Lobry 2020, AA: the mean of 67.01" in everything
    assert "undecidable   count" in everything


def test_check_as_json_and_strict() -> None:
    done = rsbench("check", "--json", "--strict")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert {o["status"] for o in found} == {"inconsistent"}
    assert {"bmta", "class-focal", "spatialnet-vit"} == {o["paper"] for o in found}
    clean = rsbench("check", "helber", "--json", "--strict")
    assert (clean.returncode, json.loads(clean.stdout)) == (0, [])


def test_compare_reads_records_and_says_why_numbers_differ() -> None:
    done = rsbench("compare", str(RECORDS))
    assert done.returncode == 0, done.stderr
    assert "beside baseline-cnn by eurosat-short under in-domain-60-20-20, open, 3 seeds" in done.stdout
    assert "the paper by bmta-70-15-15" in done.stdout
    assert "not by the authors' baseline-cnn-author" in done.stdout
    assert "Not measured in these records, bmta-eurosat: CBAM 7-layer" in done.stdout
    assert "reproduc" not in done.stdout
    rows = json.loads(rsbench("compare", str(RECORDS), "--paper", "bmta", "--json").stdout)
    (row,) = (r for r in rows if r["metric"] == "overall_accuracy")
    assert (row["reported"], row["seeds"]) == (0.943, 3)
    assert row["interval"][0] < row["measured"] < row["interval"][1]
    assert row["difference"] == pytest.approx(row["measured"] - 0.943)
    assert row["differences"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["check", "bmat"], "Did you mean 'bmta'"), (["compare", "nowhere"], "no file or folder")],
)
def test_mistakes_are_one_sentence(arguments: list[str], message: str) -> None:
    done = rsbench(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["list"], ["check", "--all"]])
def test_what_needs_no_records_imports_nothing_heavy(command: list[str]) -> None:
    heavy = ["torch", "numpy", "pandas", "scipy", "pyarrow", "timm"]
    script = (
        f"import sys\nsys.argv = ['rsbench', 'claims', *{command!r}]\nfrom rsbench.cli import main\n"
        f"try: main()\nexcept SystemExit: pass\nprint([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
