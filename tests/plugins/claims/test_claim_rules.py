"""Each rule on numbers made by hand: a case that it has to find and one that it has to pass."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rsbench_claims.check import RULES, issues
from rsbench_claims.finding import CONSISTENT, INCONSISTENT, UNDECIDABLE, Finding
from rsbench_claims.parts import bounds

from rsbench.metrics.contract import MetricContext
from rsbench.specs import Claim, ClaimSet, load_attribute

TYPES = ("a", "b")


def n(value: str, metric: str = "accuracy", **more: Any) -> Claim:
    return Claim(**{"system": "s", "metric": metric, "value": value, "place": "table 1", **more})


def of(*rows: Claim, parts: tuple[str, ...] = TYPES) -> ClaimSet:
    return ClaimSet(name="x", summary="x", paper="x", dataset="x", protocol="x", rows=rows, parts=parts)


def run(rule: str, *rows: Claim, parts: tuple[str, ...] = TYPES) -> list[Finding]:
    return list(RULES[rule](of(*rows, parts=parts)))


def one(rule: str, *rows: Claim, parts: tuple[str, ...] = TYPES) -> tuple[str, str]:
    (found,) = run(rule, *rows, parts=parts)
    return found.status, found.text


def test_count_of_one_training() -> None:
    """97.23 % is a count of 4,050 test images and of neither 2,700 nor 5,400."""
    status, text = one("count", n("97.23", n=4050, runs=1))
    assert (status, "3938 of 4050 gives 97.23 %" in text) == (CONSISTENT, True)
    for size, near in ((2700, "2625/2700 is 97.2222, 2626/2700 is 97.2593"), (5400, "5250/5400 is 97.2222")):
        status, text = one("count", n("97.23", n=size, runs=1))
        assert (status, near in text) == (INCONSISTENT, True)


def test_count_says_what_was_cut_off() -> None:
    assert one("count", n(".9987", unit="", n=1500, runs=1))[0] == CONSISTENT
    status, text = one("count", n(".9986", unit="", n=1500, runs=1))
    assert (status, "cut off" in text, "1498/1500 is .998667" in text) == (INCONSISTENT, True, True)


def test_count_of_several_trainings() -> None:
    """87.46 % of 2,955 is the mean of three trainings, not of one; with an unknown number it is left open."""
    assert one("count", n("87.46", n=2955, runs=3))[0] == CONSISTENT
    assert one("count", n("87.46", n=2955, runs=1))[0] == INCONSISTENT
    status, text = one("count", n("92.66", n=100))
    assert (status, "29 (rounded) or 3 (cut off)" in text) == (UNDECIDABLE, True)


def test_a_recalled_number_is_not_accused() -> None:
    status, text = one("count", n("97.23", n=5400, runs=1, certainty="recalled"))
    assert (status, "recalled" in text) == (UNDECIDABLE, True)
    assert one("count", n("97.23", n=4050, runs=1, certainty="recalled"))[0] == CONSISTENT


def test_numbers_without_a_count_are_not_counted() -> None:
    assert run("count", n("97.23"), n("1.00", place="text", relation=">", n=10)) == []


def test_share_tries_all_whole_percentages() -> None:
    table = [n(".9500", unit="", part="a", n=200, runs=1), n(".7500", unit="", part="b", n=400, runs=1)]
    assert one("share", *table)[0] == CONSISTENT
    cut = [table[0], n(".9986", unit="", part="b", n=1500, runs=1)]
    assert one("share", *cut)[0] == CONSISTENT
    half = [n(".9000", unit="", part="a", n=200, runs=1), n(".3300", unit="", part="b", n=250, runs=1)]
    status, text = one("share", *half)
    assert (status, "80 % of the listed counts" in text, "at 100 % not b (.3300)" in text) == (UNDECIDABLE, True, True)
    status, text = one("share", table[0], n(".7531", unit="", part="b", n=10, runs=1))
    assert (status, "at 100 % not b (.7531)" in text) == (INCONSISTENT, True)


def test_f1_scores_are_no_shares() -> None:
    """.9659 is no k of 2,500, nor need it be."""
    rows = [
        n(".9659", metric="f1", unit="", part="a", n=2500, runs=1),
        n(".9329", "f1", unit="", part="b", n=2500, runs=1),
    ]
    assert run("count", *rows) == []
    assert run("share", *rows) == []


@pytest.mark.parametrize(("correct", "status"), [("1498", CONSISTENT), ("1497", INCONSISTENT), ("1499", INCONSISTENT)])
def test_a_printed_count_gives_the_accuracy_in_its_row(correct: str, status: str) -> None:
    rows = [n(".9986", unit="", part="a", n=1500, runs=1), n(correct, "correct", unit="", part="a", n=1500, runs=1)]
    (found,) = [o for o in run("count", *rows) if "correct" in o.claims[0]]
    assert found.status == status
    assert f"{correct} of 1500 samples are printed as correct" in found.text


def _confusion(matrix: Any, decimals: int, as_: str = "recall") -> list[Claim]:
    """Accuracies and F1 scores of a confusion matrix, rounded."""
    m = np.array(matrix)
    right, sizes, predicted = m.diagonal(), m.sum(axis=1), m.sum(axis=0)
    accuracy = right / (sizes if as_ == "recall" else predicted)
    f1 = 2 * right / (sizes + predicted)
    common: dict[str, Any] = {"unit": "", "runs": 1}
    return [
        n(f"{value[k]:.{decimals}f}", metric, part=f"c{k}", n=int(sizes[k]), **common)
        for k in range(len(m))
        for metric, value in (("accuracy", accuracy), ("f1", f1))
    ]


@given(matrix=arrays(np.int64, (4, 4), elements=st.integers(1, 400)), decimals=st.integers(2, 5))
def test_no_classifier_is_accused_of_its_predictions(matrix: np.ndarray, decimals: int) -> None:
    assert one("predicted", *_confusion(matrix, decimals), parts=("c0", "c1", "c2", "c3"))[0] == CONSISTENT


def test_predictions_that_are_too_many_are_found() -> None:
    matrix = [[90, 10, 0], [30, 170, 0], [5, 45, 250]]
    parts, rows = ("c0", "c1", "c2"), _confusion(matrix, 4)
    assert one("predicted", *rows, parts=parts)[0] == CONSISTENT
    low = [replace(row, value=".7000") if (row.metric, row.part) == ("f1", "c0") else row for row in rows]
    status, text = one("predicted", *low, parts=parts)
    assert (status, "predictions of 600 samples" in text) == (INCONSISTENT, True)
    status, text = one("predicted", *_confusion(matrix, 4, "precision"), parts=parts)
    assert (status, "what is called accuracy may be precision" in text) == (UNDECIDABLE, True)
    assert run("predicted", *rows[1:], parts=parts) == []


@pytest.mark.parametrize(
    ("relation", "bound", "status"), [(">", "5", CONSISTENT), (">", "7", INCONSISTENT), ("<", "7", CONSISTENT)]
)
def test_a_bound_on_a_difference(relation: str, bound: str, status: str) -> None:
    rows = [n("80.22"), n("74.00", system="t"), n(bound, place="text", relation=relation, minus="t")]
    found, text = one("relation", *rows)
    assert (found, "80.22 less 74.00 is 6.22" in text) == (status, True)
    assert run("relation", rows[0], rows[2]) == []


def test_share_needs_a_table_of_one_training() -> None:
    assert run("share", n("50.00", part="a", n=3), n("50.00", part="b", n=3)) == []
    assert run("share", n("50.00", part="a", n=3, runs=1)) == []


@pytest.mark.parametrize(
    ("printed", "status"),
    [("15.00", CONSISTENT), ("15.01", CONSISTENT), ("15.02", INCONSISTENT), ("14.98", INCONSISTENT)],
)
def test_mean_within_the_rounding_of_its_parts(printed: str, status: str) -> None:
    """Parts 10.00 and 20.00 have a mean of 14.995 to 15.005, and 15.01 is printed for 15.005 to 15.015."""
    assert one("mean", n("10.00", part="a"), n("20.00", part="b"), n(printed, "AA"))[0] == status


def test_coarse_parts_leave_a_fine_mean_room() -> None:
    parts = [n("10", part="a"), n("20", part="b")]
    assert one("mean", *parts, n("15.49", "AA"))[0] == CONSISTENT
    assert one("mean", *parts, n("15.52", "AA"))[0] == INCONSISTENT


def test_mean_of_some_parts_is_left_open() -> None:
    status, text = one("mean", n("10.00", part="a"), n("99.00", "AA"))
    assert (status, "1 of 2 parts" in text) == (UNDECIDABLE, True)
    assert run("mean", n("99.00", "AA")) == []


@pytest.mark.parametrize(
    ("printed", "status"),
    [("17.50", CONSISTENT), ("17.51", CONSISTENT), ("17.52", INCONSISTENT), ("15.00", INCONSISTENT)],
)
def test_overall_is_weighted_by_counts(printed: str, status: str) -> None:
    parts = [n("10.00", part="a", n=100), n("20.00", part="b", n=300)]
    assert one("overall", *parts, n(printed, "OA"))[0] == status


def test_overall_without_counts_has_to_lie_between_its_parts() -> None:
    parts = [n("10.00", part="a"), n("20.00", part="b", n=300)]
    assert one("overall", *parts, n("19.90", "OA"))[0] == UNDECIDABLE
    for outside in ("20.02", "9.90"):
        status, text = one("overall", *parts, n(outside, "OA"))
        assert (status, "outside its parts" in text) == (INCONSISTENT, True)


def test_parts_are_taken_from_where_all_of_them_stand() -> None:
    some = n("10.00", part="a", n=100, place="text")
    parts = [n("10.00", part="a", n=100), n("20.00", part="b", n=300)]
    assert one("overall", some, *parts, n("19.00", "OA", place="text"))[0] == INCONSISTENT
    assert one("overall", some, n("19.00", "OA", place="text"))[0] == UNDECIDABLE


def test_parts_of_another_system_do_not_count() -> None:
    assert run("overall", n("10.00", part="a"), n("10.00", part="b"), n("50.00", "OA", system="other")) == []


def test_a_sentence_is_set_against_the_table_where_that_has_the_whole() -> None:
    parts = [n("10.00", part="a", n=100), n("20.00", part="b", n=300)]
    assert len(run("overall", *parts, n("17.50", "OA"), n("19.00", "OA", place="text"))) == 1
    assert one("overall", *parts, n("19.00", "OA", place="text"))[0] == INCONSISTENT


@pytest.mark.parametrize(("printed", "status"), [("78.57", CONSISTENT), ("71.43", INCONSISTENT)])
def test_counts_add_up_to_the_overall(printed: str, status: str) -> None:
    """5 of 7 and 6 of 7 are 11 of 14."""
    parts = [n("71.43", part="a", n=7, runs=1), n("85.71", part="b", n=7, runs=1)]
    found, text = one("sum", *parts, n(printed, "overall_accuracy", runs=1))
    assert (found, "11 of 14" in text) == (status, True)


def test_counts_are_exact_where_digits_are_coarse() -> None:
    """Whole percentages allow 65.75 to 66.75 %, so 66.2 passes by rounding; but 2 of 3 and 65 of 98 are 66.34 %."""
    parts = [n("67", part="a", n=3, runs=1), n("66", part="b", n=98, runs=1)]
    whole = n("65.9", "overall_accuracy", runs=1)
    assert one("overall", *parts, whole)[0] == CONSISTENT
    assert one("sum", *parts, whole)[0] == INCONSISTENT


def test_sum_is_left_alone_without_one_training_and_open_without_a_count() -> None:
    assert run("sum", n("10.00", part="a", n=10), n("20.00", part="b", n=10), n("15.00", "OA", runs=1)) == []
    parts = [n("33.00", part="a", n=10, runs=1), n("20.00", part="b", n=10, runs=1)]
    assert one("sum", *parts, n("26.50", "OA", runs=1))[0] == UNDECIDABLE


@pytest.mark.parametrize(
    ("printed", "status"), [("10.00", CONSISTENT), ("10.02", INCONSISTENT), ("20.00", INCONSISTENT)]
)
def test_minimum(printed: str, status: str) -> None:
    parts = [n("10.00", part="a"), n("20.00", part="b")]
    assert one("minimum", *parts, n(printed, "minimum_class_accuracy"))[0] == status


def kappas(sizes: tuple[int, ...], right: tuple[int, ...]) -> list[float]:
    """Kappa, by the metric that scores runs, of every way in which the errors can fall."""
    import numpy as np

    from rsbench.metrics.evaluate import build
    from rsbench.registry import registry
    from rsbench.tasks.classification import Predictions

    classes = len(sizes)
    metric = build(
        registry().get("metric", "cohen_kappa"), MetricContext("classification", tuple(map(str, range(classes))))
    )
    truth = np.repeat(np.arange(classes), sizes)
    wrong = [c for c, (size, k) in enumerate(zip(sizes, right, strict=True)) for _ in range(size - k)]
    found = []
    for guesses in product(*([g for g in range(classes) if g != c] for c in wrong)):
        labels = truth.copy()
        for c in range(classes):
            labels[np.flatnonzero(truth == c)[: wrong.count(c)]] = [
                g for g, w in zip(guesses, wrong, strict=True) if w == c
            ]
        made = Predictions([str(i) for i in range(len(truth))], labels)
        found.append(metric.reduce(metric.statistics(made, truth)))
    return found


@pytest.mark.parametrize(("sizes", "right"), [((3, 4, 2), (2, 2, 1)), ((5, 1, 4, 3), (3, 1, 2, 2)), ((6, 6), (5, 3))])
def test_kappa_bounds_are_those_of_all_confusion_matrices(sizes: tuple[int, ...], right: tuple[int, ...]) -> None:
    all_kappas = kappas(sizes, right)
    limits = bounds(list(sizes), list(right))
    assert (float(limits.low), float(limits.high)) == pytest.approx((min(all_kappas), max(all_kappas)), abs=1e-12)


@pytest.mark.parametrize(
    ("printed", "status"),
    [("0.5714", CONSISTENT), ("0.5882", CONSISTENT), ("0.60", INCONSISTENT), ("0.7857", INCONSISTENT)],
)
def test_kappa(printed: str, status: str) -> None:
    """5 of 7 and 6 of 7: errors can only fall in the other class, so kappa is 4/7; 11/14 is the accuracy."""
    parts = [n("71.43", part="a", n=7, runs=1), n("85.71", part="b", n=7, runs=1)]
    if printed == "0.5882":
        parts = [n("62.50", part="a", n=8, runs=1), n("100.00", part="b", n=6, runs=1)]
    assert one("kappa", *parts, n(printed, "cohen_kappa", unit=""))[0] == status


def test_kappa_is_open_without_a_count_for_each_class() -> None:
    parts = [n("71.43", part="a", n=7, runs=1), n("33.00", part="b", n=7, runs=1)]
    assert one("kappa", *parts, n("0.5714", "cohen_kappa", unit=""))[0] == UNDECIDABLE
    assert one("kappa", parts[0], n("0.5714", "cohen_kappa", unit=""))[0] == UNDECIDABLE


@pytest.mark.parametrize(
    ("value", "status"), [("97.23", CONSISTENT), ("97.2", CONSISTENT), ("97.3", INCONSISTENT), ("97.24", INCONSISTENT)]
)
def test_text_against_table(value: str, status: str) -> None:
    """With fewer digits the text may still say the same."""
    assert one("text", n("97.23", "OA"), n(value, "OA", place="text"))[0] == status
    assert one("text", n(value, "OA", place="text"), n("97.23", "OA"))[0] == status


def test_text_of_other_systems_metrics_and_parts_is_another_number() -> None:
    others = [
        n("1.00", "OA", place="text", system="t"),
        n("1.00", "AA", place="text"),
        n("1.00", place="text", part="a"),
    ]
    assert run("text", n("97.23", "OA"), *others) == []


def test_column_of_another_name() -> None:
    """What is called OA in the text is AA in the table for two systems: one sentence, one outcome."""
    rows = [
        claim
        for system, oa, aa in (("s", "79.08", "81.49"), ("t", "82.50", "84.39"))
        for claim in (
            n(oa, "OA", system=system),
            n(aa, "AA", system=system),
            n(aa, "OA", system=system, place="text"),
        )
    ]
    (found,) = run("column", *rows)
    assert found.status == INCONSISTENT
    assert found.text.startswith("text gives as OA what table 1 has as AA: s 81.49 (its OA there is 79.08); t 84.39")
    assert set(issues(of(*rows))) == {"text / s / OA", "text / t / OA"}


def test_column_passes_what_is_only_wrong_or_right() -> None:
    table = [n("79.08", "OA"), n("81.49", "AA")]
    assert one("column", *table, n("80.00", "OA", place="text"))[0] == CONSISTENT
    assert run("column", *table, n("79.08", "OA", place="text")) == []
    equal = [n("79.08", "OA"), n("79.08", "AA"), n("79.08", "OA", place="text")]
    assert run("column", *equal) == []


@pytest.mark.parametrize(("relation", "status"), [(">", INCONSISTENT), ("<", INCONSISTENT)])
def test_relation_is_strict(relation: str, status: str) -> None:
    assert one("relation", n("94.46", part="a"), n("94.46", part="*", place="text", relation=relation))[0] == status


def test_relation_holds_for_each_part() -> None:
    bound = n("94.46", part="*", place="text", relation=">")
    assert [o.status for o in run("relation", n("95.00", part="a"), n("94.00", part="b"), bound)] == [
        CONSISTENT,
        INCONSISTENT,
    ]
    assert run("relation", n("1.00", "OA"), n("1.00", part="a", system="t"), bound) == []


@pytest.mark.parametrize(
    ("value", "status"), [("1.34", CONSISTENT), ("1.3", CONSISTENT), ("1.36", INCONSISTENT), ("-1.34", INCONSISTENT)]
)
def test_difference(value: str, status: str) -> None:
    rows = [n("98.57", "OA"), n("97.23", "OA", system="t"), n(value, "OA", place="text", minus="t")]
    assert one("difference", *rows)[0] == status
    assert one("difference", *rows[1:])[0] == UNDECIDABLE


def test_unit() -> None:
    assert one("unit", n("22.27", "CIDEr-D", unit="x100"))[0] == CONSISTENT
    status, text = one("unit", n("22.27", "CIDEr-D"))
    assert (status, "no share" in text) == (INCONSISTENT, True)
    assert one("unit", n("101.00", part="a"))[0] == INCONSISTENT
    assert one("unit", n("1100.00", "CIDEr-D", unit="x100"))[0] == INCONSISTENT
    assert one("unit", n("-1.20", "cohen_kappa", unit=""))[0] == INCONSISTENT
    assert one("unit", n("-0.20", "cohen_kappa", unit=""))[0] == CONSISTENT
    assert run("unit", n("0.57", "alpha", unit="")) == []


def test_single_typo_finds_the_one_mistyped_part() -> None:
    """With 40.00 for a mistyped 10.00, the mean is 30 and the overall 25."""
    parts = [n("10.00", part="a", n=100), n("20.00", part="b", n=300)]
    status, text = one("single_typo", *parts, n("30.00", "AA"), n("25.00", "OA"))
    assert (status, "another value of a alone" in text) == (UNDECIDABLE, True)
    status, text = one("single_typo", *parts, n("30.00", "AA"), n("28.00", "OA"))
    assert (status, "a 40.00 for AA and 52.00 for OA" in text) == (INCONSISTENT, True)
    assert run("single_typo", *parts, n("30.00", "AA"), n("17.50", "OA")) == []


def test_doubts_do_not_say_which_number_is_wrong() -> None:
    rows = [n("10.00", part="a"), n("20.00", part="b"), n("50.00", "AA"), n("10.00", "OA")]
    assert set(issues(of(*rows))) == {rows[0].id, rows[1].id, rows[2].id}
    bound = [n("94.46", part="a"), n("94.46", part="a", place="text", relation=">")]
    assert set(issues(of(*bound))) == {bound[1].id}
    two = [n("70.90", "BLEU-4", unit="x100", place="text"), n("75.30", "BLEU-4", unit="x100")]
    assert set(issues(of(*two))) == {two[0].id, two[1].id}


def test_every_rule_has_a_test_that_finds_something_here() -> None:
    source = load_attribute("pathlib:Path")(__file__).read_text()
    assert [rule for rule in RULES if f'"{rule}"' not in source] == []
