"""VQA metrics against the golden figures of the RSVQA rules, and against plain loops."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rsbench_metrics.specs_vqa import VQA_METRICS

from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import build, evaluate
from rsbench.metrics.influence import effects
from rsbench.metrics.resample import replicates
from rsbench.tasks.answers import ANSWERS_LR, TYPES_HR, TYPES_LR, bucket, canonical_answer
from rsbench.tasks.vqa import AnswerReferences, Answers

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "vqa.json").read_text())
CASES = GOLDEN["cases"]
SPECS = {spec.name: spec for spec in VQA_METRICS}
CONTEXT = MetricContext("vqa", ANSWERS_LR, TYPES_LR)


def score(name: str, answers: Answers, references: AnswerReferences, context: MetricContext = CONTEXT) -> float:
    metric = build(SPECS[name], context)
    return metric.reduce(metric.statistics(answers, references))


def given(
    kinds: Any, said: Any, true: Any, counts: Any = None, true_counts: Any = None
) -> tuple[Answers, AnswerReferences]:
    n = len(kinds)
    ids = [str(i) for i in range(n)]
    answers = Answers(ids, np.array(said), np.array(kinds), ids, None if counts is None else np.array(counts))
    return answers, AnswerReferences(
        np.array(true), np.full(n, np.nan) if true_counts is None else np.array(true_counts)
    )


def golden(case: str, variant: str | None) -> tuple[Answers, AnswerReferences, MetricContext]:
    """Answers of a golden case as numbers; without a variant they are compared as they are."""
    rows = CASES[case]["rows"]
    rows = CASES[rows]["rows"] if isinstance(rows, str) else rows
    types = TYPES_HR if case.startswith("hr") else TYPES_LR
    text = {
        side: [canonical_answer(r[side], variant) if variant else r[side] for r in rows]
        for side in ("answer", "prediction")
    }
    known = sorted(set(text["answer"]) | set(text["prediction"]))
    number = {side: [known.index(t) for t in text[side]] for side in text}
    return *given([types.index(r["type"]) for r in rows], number["prediction"], number["answer"]), MetricContext(
        "vqa", tuple(known), types
    )


@pytest.mark.parametrize(
    ("case", "variant"),
    [("lr_240", "LR"), ("lr_240_exact_counts", None), ("hr_160", "HR"), ("lr_240_without_count", "LR")],
)
def test_golden_case(case: str, variant: str | None) -> None:
    answers, references, context = golden(case, variant)
    expected = CASES[case]["expected"]
    suffix = "_without_count" if case.endswith("without_count") else ""
    for name in ("OA", "AA"):
        assert score(name + suffix, answers, references, context) == pytest.approx(expected[name], abs=1e-12)
    for kind in expected["per_type"].keys() - {"area"}:
        found = score(f"accuracy_{kind}", answers, references, context)
        assert found == pytest.approx(expected["per_type"][kind]["accuracy"], abs=1e-12)
    if not suffix:
        found = score("AA_present_types", answers, references, context)
        assert found == pytest.approx(expected["AA_present_types"], abs=1e-12)


@pytest.mark.parametrize("variant", ["LR", "HR"])
def test_golden_answers(variant: str) -> None:
    for row in GOLDEN[f"normalization_{variant.lower()}"]:
        assert canonical_answer(row["raw"], variant) == row["canonical"]


@pytest.mark.parametrize("text", ["1,000", "-3", "2.5", "five", "²", "", "3m2"])
def test_what_is_no_number_stays(text: str) -> None:
    assert canonical_answer(text) == text


def test_bins_are_the_last_answers() -> None:
    assert [bucket(n) for n in (0, 1, 11, 101, 1001)] == list(ANSWERS_LR[4:])
    assert {canonical_answer(str(n)) for n in range(2000)} == set(ANSWERS_LR[4:])
    assert bucket(100, "m2") == "between 10m2 and 100m2"


def test_published_table() -> None:
    """The accuracies of Bazi 2022 on the 10,004 test questions give its OA and AA, rounded as it rounds."""
    shares = {"rural_urban": (100, 92.66), "presence": (2955, 91.06), "count": (2947, 72.22), "comp": (4002, 91.16)}
    kinds = np.repeat(np.arange(4), [shares[t][0] for t in TYPES_LR])
    wrong = np.concatenate([np.arange(n) >= n * p / 100 for n, p in (shares[t] for t in TYPES_LR)]).astype(int)
    answers, references = given(kinds, wrong, np.zeros(len(kinds), int))
    assert 100 * score("OA", answers, references) == pytest.approx(85.57, abs=0.02)
    assert 100 * score("AA", answers, references) == pytest.approx(86.78, abs=0.1)


def test_absent_type() -> None:
    answers, references = given([1, 1, 3, 3], [0, 1, 0, 0], [0, 0, 0, 0])
    assert math.isnan(score("AA", answers, references))
    assert math.isnan(score("accuracy_count", answers, references))
    assert math.isnan(score("AA_without_count", answers, references))
    assert score("AA_present_types", answers, references) == 0.75
    assert score("OA", answers, references) == 0.75
    assert math.isnan(score("accuracy_rural_urban", answers, references, MetricContext("vqa", ("a",), TYPES_HR)))


def test_unparsable_answers_are_wrong() -> None:
    answers, references = given([0, 1, 2, 3], [-1, 0, -1, 0], [0, 0, 0, 0])
    assert score("unparsable_rate", answers, references) == 0.5
    assert score("OA", answers, references) == 0.5


def test_count_errors() -> None:
    """Only the first two questions are about counts and have both numbers."""
    answers, references = given(
        [2, 2, 2, 2, 3], [0] * 5, [0] * 5, [3.0, 10.5, np.nan, 7.0, 9.0], [1.0, 14.5, 4.0, np.nan, 1.0]
    )
    assert score("count_mae", answers, references) == 3.0
    assert score("count_rmse", answers, references) == pytest.approx(math.sqrt((4 + 16) / 2), abs=1e-12)


def test_no_counts_no_count_errors() -> None:
    answers, references = given([2, 2], [0, 0], [0, 0], None, [1.0, 2.0])
    assert math.isnan(score("count_mae", answers, references))
    assert math.isnan(score("count_rmse", answers, references))


def random_case(n: int = 300, images: int = 12) -> tuple[Answers, AnswerReferences, np.ndarray]:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 9, n)
    said = np.where(rng.random(n) < 0.6, true, rng.integers(-1, 9, n))
    counts = rng.integers(0, 50, n).astype(float)
    answers, references = given(rng.integers(0, 4, n), said, true, counts + rng.normal(0, 3, n), counts)
    return answers, references, rng.integers(0, images, n)


def plain(name: str, kinds: np.ndarray, said: np.ndarray, true: np.ndarray, error: np.ndarray) -> float:
    """A metric by loops over questions."""
    per_type = {t: [s == r for k, s, r in zip(kinds, said, true, strict=True) if TYPES_LR[k] == t] for t in TYPES_LR}
    if name == "unparsable_rate":
        return sum(s < 0 for s in said) / len(said)
    if name.startswith("count_"):
        errors = [abs(e) for e, k in zip(error, kinds, strict=True) if k == 2]
        power = 1 if name == "count_mae" else 2
        return (sum(e**power for e in errors) / len(errors)) ** (1 / power)
    if name.startswith("accuracy_"):
        per_type = {name.removeprefix("accuracy_"): per_type[name.removeprefix("accuracy_")]}
    if name.endswith("without_count"):
        del per_type["count"]
    if name.startswith("AA"):
        return sum(sum(v) / len(v) for v in per_type.values()) / len(per_type)
    return sum(map(sum, per_type.values())) / sum(map(len, per_type.values()))


@pytest.mark.parametrize("name", SPECS)
def test_resamples_of_images_equal_plain_loops(name: str) -> None:
    """The bootstrap's totals, drawn by image, are the metric of the questions drawn."""
    answers, references, images = random_case()
    assert answers.counts is not None
    error = answers.counts - references.counts
    metric = build(SPECS[name], CONTEXT)
    rows = metric.statistics(answers, references)
    found = replicates([metric], [rows], images, resamples=20, seed=5)[0]
    rng = np.random.Generator(np.random.PCG64(5))
    for value, drawn in zip(found, rng.integers(0, 12, (20, 12)), strict=True):
        chosen = np.concatenate([np.flatnonzero(images == i) for i in drawn])
        parts = (a[chosen] for a in (answers.question_types, answers.answers, references.answers, error))
        assert value == pytest.approx(plain(name, *parts), abs=1e-12)


def test_evaluate_fills_every_entry() -> None:
    answers, references, images = random_case()
    results = evaluate(list(VQA_METRICS), answers, references, CONTEXT, primary="OA", clusters=images)
    assert list(results) == [spec.name for spec in VQA_METRICS]
    for entry in results.values():
        low, high = entry["ci95"]
        assert low < entry["value"] < high
        assert (entry["n"], entry["clusters"]) == (300, 12)


def test_questions_of_one_image_are_no_independent_samples() -> None:
    """Twenty images whose hundred questions each are all right or all wrong are twenty samples."""
    right = np.repeat(np.arange(20) % 2, 100)
    answers, references = given(np.tile([1, 3], 1000), right, np.ones(2000, int))
    metric = build(SPECS["OA"], CONTEXT)
    rows = metric.statistics(answers, references)
    by_image, by_question = effects(metric, rows, np.arange(2000) // 100), effects(metric, rows)
    assert by_image is not None
    assert by_question is not None
    assert (by_image**2).sum() == pytest.approx(0.25 / 19)
    assert (by_question**2).sum() == pytest.approx(0.25 / 1999)
