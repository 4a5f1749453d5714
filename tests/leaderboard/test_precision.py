from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made import board, record


def ran(seed: int, precision: str | None, stated: str = "auto") -> dict[str, Any]:
    made = record("net", seed=seed)
    made["plan"]["recipe"] |= {"precision": stated}
    made["env"]["flags"]["precision"] = precision
    return made


@pytest.mark.parametrize(
    ("seeds", "stated", "shown"),
    [
        (["fp32", "fp32"], "auto", []),
        (["bf16", "bf16"], "auto", []),
        (["bf16", "fp32"], "auto", ["its seeds ran in different precision: bf16 (seed 0), fp32 (seed 1)"]),
        (["bf16", None], "auto", []),
        (["fp16", "fp16"], "fp16", []),
        (["fp32", "fp32"], "fp16", ["it ran in fp32, its recipe states fp16"]),
        (["fp16", "fp32"], "fp16", ["its seeds ran in different precision: fp16 (seed 0), fp32 (seed 1)"]),
    ],
)
def test_a_row_says_what_its_seeds_ran_in(
    tmp_path: Path, seeds: list[str | None], stated: str, shown: list[str]
) -> None:
    """Where the seeds differ, or the device had not what the recipe states."""
    made = [ran(seed, precision, stated) for seed, precision in enumerate(seeds)]
    (row,) = board(tmp_path, *made).tables[0].rows
    assert (row.notes, len(row.seeds)) == (shown, 2)


def test_a_row_of_several_versions_says_so(tmp_path: Path) -> None:
    made = [ran(seed, None) for seed in range(3)]
    made[2]["env"]["rsbench"] = "9.9.9"
    (row,) = board(tmp_path, *made).tables[0].rows
    here = made[0]["env"]["rsbench"]
    assert row.notes == [f"its seeds ran in different versions of rsbench: {here} (seeds 0, 1), 9.9.9 (seed 2)"]
