"""Tasks trained together beside the same tasks trained alone."""

from __future__ import annotations

from pathlib import Path

from rsbench_multitask.compare import compare

from rsbench.leaderboard.board import build
from rsbench.leaderboard.render import markdown
from rsbench.records.store import load_all

FAMILIES = Path(__file__).parents[2] / "benchmarks" / "records" / "multitask"


def test_two_seeds_are_compared_over_samples_and_seeds() -> None:
    for table in build(load_all([FAMILIES])).tables:
        (found,) = compare(table)
        _better, worse = (row for row in table.rows if row.company)
        assert worse.p_unadjusted is not None
        assert found.p is not None
        assert abs(found.p - worse.p_unadjusted) < 1e-12  # the pair is all that the table holds
        assert found.interval is not None
        assert found.interval[0] < found.together - found.alone < found.interval[1]


def test_one_seed_has_a_difference_and_no_more() -> None:
    board = build(load_all(sorted(FAMILIES.glob("*-s0-*"))))
    for table in board.tables:
        (found,) = compare(table)
        assert (found.interval, found.p) == (None, None)
    text = markdown.render(board)
    assert text.count(" alone; difference ") == 2
    assert "nan" not in text


def test_each_result_of_a_task_alone_is_compared_where_they_contradict() -> None:
    (table, *_) = build(load_all([FAMILIES])).tables
    (alone,) = (row for row in table.rows if row.company == 1)
    table.rows.append(alone)
    assert len(compare(table)) == 2
