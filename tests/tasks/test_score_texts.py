"""Scoring captions and answers from plain JSON, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rsbench_vqa.score import outcome_of

from rsbench.errors import UserError
from rsbench.tasks.scoring import score_files
from rsbench.tasks.task import get_task

GOLDEN = Path(__file__).parent.parent / "golden"
CAPTIONS = json.loads((GOLDEN / "captions.json").read_text())["corpora"]
ANSWERS = json.loads((GOLDEN / "vqa.json").read_text())["cases"]


def scored(folder: Path, task: str, predictions: object, references: object) -> dict[str, Any]:
    (folder / "p.json").write_text(json.dumps(predictions))
    (folder / "r.json").write_text(json.dumps(references))
    return score_files(task, folder / "p.json", folder / "r.json")


@pytest.fixture(autouse=True)
def _no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")


def test_captions_score_as_the_golden_ones_and_meteor_says_why_it_is_missing(tmp_path: Path) -> None:
    corpus = CAPTIONS["main_50x5"]
    references = [{"id": i["image_id"], "captions": i["references"]} for i in corpus["items"]]
    predictions = [{"id": i["image_id"], "caption": i["hypothesis"]} for i in reversed(corpus["items"])]
    found = scored(tmp_path, "captioning", predictions, references)
    assert found["n"] == 50
    names = {"BLEU-1": "Bleu_1", "BLEU-4": "Bleu_4", "ROUGE-L": "ROUGE_L", "CIDEr-D": "CIDEr"}
    for ours, theirs in names.items():
        entry = found["metrics"][ours]
        assert entry["value"] == pytest.approx(corpus["expected"]["corpus"][theirs], abs=1e-9)
        assert entry["ci95"][0] < entry["value"] < entry["ci95"][1]
    for item in corpus["items"][:5]:
        assert found["per_image"][item["image_id"]]["CIDEr-D"] == pytest.approx(
            corpus["expected"]["per_image"][item["image_id"]]["CIDEr"], abs=1e-9
        )
    assert found["metrics"]["METEOR"]["value"] is None
    assert "ava" in found["metrics"]["METEOR"]["note"]
    assert found["metrics"]["CIDEr-D"]["primary"]


def test_empty_captions_are_scored_and_named(tmp_path: Path) -> None:
    references = [{"id": "a", "captions": ["a road"]}, {"id": "b", "captions": ["two trees"]}]
    found = scored(tmp_path, "captioning", [{"id": "a", "caption": ""}, {"id": "b", "caption": "..."}], references)
    assert found["metrics"]["BLEU-1"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert found["warnings"] == ["Prediction 'a' (and 1 more) has no words and scores 0."]


@pytest.mark.parametrize(
    ("predictions", "references", "named"),
    [
        ([{"id": "a", "caption": "x"}] * 2, [{"id": "a", "captions": ["x y"]}], "'a' twice"),
        ([{"id": "a", "caption": "x"}], [{"id": "a", "captions": ["x y"]}] * 2, "references hold id 'a' twice"),
        ([{"id": 1, "caption": "x"}, {"id": "1", "caption": "y"}], [{"id": "1", "captions": ["x y"]}], "'1' twice"),
        ([{"id": "a", "caption": "x"}, {"caption": "y"}], [{"id": "a", "captions": ["x y"]}], "'id' in entry 2"),
        (
            [{"id": "a", "caption": "x"}],
            [{"id": None, "captions": ["x y"]}],
            "references .* 'id' in entry 1",
        ),
        ([], [{"id": "a", "captions": ["x y"]}], "list of objects"),
        ([{"id": "b", "caption": "x"}], [{"id": "a", "captions": ["x y"]}], "no prediction for 'a'"),
        (
            [{"id": "a", "caption": "x"}, {"id": "b", "caption": "x"}],
            [{"id": "a", "captions": ["x y"]}],
            "'b' has no reference",
        ),
        ([{"id": "a", "caption": 3}], [{"id": "a", "captions": ["x y"]}], "'a' has no 'caption'"),
        ([{"id": "a", "caption": "x"}], [{"id": "a", "captions": []}], "'a' has no list"),
        ([{"id": "a", "caption": "x"}], [{"id": "a", "captions": ["x y", ""]}], "Caption 2 of reference 'a'"),
        ([{"id": "a", "caption": "x"}], [{"id": "a", "captions": [" . ,"]}], "Caption 1 of reference 'a'"),
        ([{"id": "a", "caption": "x"}], [{"id": "a", "captions": ["x y", None]}], "Caption 2 of reference 'a'"),
    ],
)
def test_bad_captions_are_named_in_one_sentence(
    tmp_path: Path, predictions: object, references: object, named: str
) -> None:
    with pytest.raises(UserError, match=named) as caught:
        scored(tmp_path, "captioning", predictions, references)
    assert "\n" not in str(caught.value)


def test_answers_score_as_the_golden_ones(tmp_path: Path) -> None:
    case = ANSWERS["lr_240"]
    references = [{"id": r["id"], "image": r["id"] % 7, "type": r["type"], "answer": r["answer"]} for r in case["rows"]]
    predictions = [{"id": r["id"], "answer": r["prediction"]} for r in case["rows"]]
    found = scored(tmp_path, "vqa", predictions, references)
    expected = case["expected"]
    assert found["metrics"]["OA"]["value"] == pytest.approx(expected["OA"], abs=1e-12)
    assert found["metrics"]["AA"]["value"] == pytest.approx(expected["AA"], abs=1e-12)
    assert found["metrics"]["OA"]["clusters"] == 7
    for kind, figures in expected["per_type"].items():
        assert found["metrics"][f"accuracy_{kind}"]["value"] == pytest.approx(figures["accuracy"], abs=1e-12)


def test_an_absent_type_leaves_aa_null(tmp_path: Path) -> None:
    references = [
        {"id": 1, "image": 1, "type": "count", "answer": "12"},
        {"id": 2, "image": 1, "type": "comp", "answer": "no"},
    ]
    found = scored(tmp_path, "vqa", [{"id": 1, "answer": "90"}, {"id": 2, "answer": "perhaps"}], references)
    values = {name: entry["value"] for name, entry in found["metrics"].items()}
    assert values["AA"] is None
    assert values["AA_present_types"] == 0.5
    assert values["OA"] == 0.5
    assert values["unparsable_rate"] == 0.5
    assert values["count_mae"] == 78.0


REFERENCES = [
    {"id": 1, "image": "a", "type": "presence", "answer": "yes"},
    {"id": 2, "image": "a", "type": "count", "answer": "12"},
    {"id": 3, "image": "b", "type": "count", "answer": 0},
    {"id": 4, "image": "b", "type": "comp", "answer": "no"},
    {"id": 5, "image": "b", "type": "count", "answer": 7},
    {"id": 6, "image": "c", "type": "count", "answer": "between 10 and 100"},
    {"id": 7, "image": "c", "type": "presence", "answer": "no"},
    {"id": 8, "image": "c", "type": "count", "answer": "12"},
]
SAID = ("Yes.", "there are 12", "a lot", "No", "9", 55, "no way", " 15.\n")


def test_free_answers_from_the_command_line(tmp_path: Path) -> None:
    """Unparsable answers are wrong and counted; counts are compared where both are numbers: 9 with 7, 15 with 12."""
    said = [{"id": r["id"], "answer": text} for r, text in zip(REFERENCES, SAID, strict=True)]
    (tmp_path / "p.json").write_text(json.dumps(said))
    (tmp_path / "r.json").write_text(json.dumps(REFERENCES))
    files = ("--predictions", str(tmp_path / "p.json"), "--references", str(tmp_path / "r.json"))
    command = [sys.executable, "-m", "rsbench", "score", "--task", "vqa", *files, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    values = {name: entry["value"] for name, entry in found["metrics"].items()}
    assert values == {
        "OA": 5 / 8,
        "AA": None,
        "AA_present_types": pytest.approx((1 / 2 + 3 / 5 + 1) / 3),
        "accuracy_rural_urban": None,
        "accuracy_presence": 1 / 2,
        "accuracy_count": 3 / 5,
        "accuracy_comp": 1.0,
        "OA_without_count": pytest.approx(2 / 3),
        "AA_without_count": None,
        "unparsable_rate": 3 / 8,
        "count_mae": 2.5,
        "count_rmse": pytest.approx(6.5**0.5),
    }
    assert found["by_group"]["question_type"]["count"] == {"n": 5, "correct": 3, "accuracy": 3 / 5}
    assert found["by_group"]["question_type"]["rural_urban"]["accuracy"] is None


@pytest.mark.parametrize("said", ["1" * 5000, "0" * 5000 + "7", "9" * 60])
def test_answers_of_endless_digits_are_numbers(tmp_path: Path, said: str, recwarn: pytest.WarningsRecorder) -> None:
    predictions = [{"id": 1, "answer": said}, {"id": 2, "answer": 3}]
    references = [{"id": k, "image": k, "type": "count", "answer": "7"} for k in (1, 2)]
    found = scored(tmp_path, "vqa", predictions, references)["metrics"]
    assert found["OA"]["value"] == (1.0 if said.endswith("7") else 0.5)
    assert found["unparsable_rate"]["value"] == 0.0
    assert not recwarn.list


def test_kept_answers_are_what_was_scored(tmp_path: Path) -> None:
    """Files hold float32 counts; one that float32 rounds gives the same error before and after."""
    entries = [{"id": str(k), "image": "a", "type": "count", "answer": "7"} for k in range(3)]
    outcome = outcome_of([{"id": str(k), "answer": 123_456_789 + k} for k in range(3)], entries)
    get_task("vqa").write(tmp_path / "kept.parquet", outcome)
    kept = get_task("vqa").read(tmp_path / "kept.parquet").predictions.counts
    assert kept.tolist() == outcome.predictions.counts.tolist()


@pytest.mark.parametrize("answer", [True, 2.5, None, ["yes"]])
def test_predictions_that_are_no_answers_are_named(tmp_path: Path, answer: object) -> None:
    references = [{"id": 1, "image": 1, "type": "presence", "answer": "yes"}]
    with pytest.raises(UserError, match=r"'1' has no 'answer' that is a text or a whole number\.$"):
        scored(tmp_path, "vqa", [{"id": 1, "answer": answer}], references)


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        ({"id": 1, "image": 1, "type": "count"}, "'1' has no 'answer'"),
        ({"id": 1, "image": 1, "type": "presence", "answer": True}, "'1' has no 'answer'"),
        ({"id": 1, "image": 1, "type": "count", "answer": "many"}, "'many'"),
        ({"id": 1, "image": 1, "type": "counts", "answer": "1"}, "Did you mean 'count'"),
    ],
)
def test_bad_references_are_named(tmp_path: Path, reference: object, named: str) -> None:
    with pytest.raises(UserError, match=named):
        scored(tmp_path, "vqa", [{"id": 1, "answer": "1"}], [reference])
