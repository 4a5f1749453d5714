"""What the rules find in the claims that are shipped, and what they must pass."""

from __future__ import annotations

import json

import pytest
from rsbench_claims.check import check, claim_sets
from rsbench_claims.finding import CONSISTENT, INCONSISTENT, Finding

from rsbench.registry import registry
from rsbench.specs import Claim, to_jsonable

RSVQA, UCM = "table of RSVQA-LR", "table of UCM-captions"
COMPARED = ("Lobry 2020", "Yuan 2022", "Bazi 2022")
BMTA = "BMTA, balanced 12-layer"


@pytest.fixture(scope="module")
def outcomes() -> list[Finding]:
    return check(claim_sets())


def about(outcomes: list[Finding], paper: str, rule: str, status: str) -> list[Finding]:
    return [o for o in outcomes if (o.paper, o.rule, o.status) == (paper, rule, status)]


def numbers(name: str) -> dict[str, Claim]:
    return {claim.id: claim for claim in registry().specs("claims")[name].rows}


def test_average_and_overall_of_spatialnet_are_found(outcomes: list[Finding]) -> None:
    means = about(outcomes, "spatialnet-vit", "mean", INCONSISTENT)
    assert [o.claims[0] for o in means] == [f"{place} / SpatialNet-ViT / AA" for place in (RSVQA, "text")]
    assert all("is 90.8125 %, but 92.81 % is printed" in o.text for o in means)
    (overall,) = about(outcomes, "spatialnet-vit", "overall", INCONSISTENT)
    assert overall.claims[0] == f"{RSVQA} / SpatialNet-ViT / OA"
    assert "is 89.5171 %, but 90.18 % is printed" in overall.text
    (single_typo,) = about(outcomes, "spatialnet-vit", "single_typo", INCONSISTENT)
    assert "count 88.21 for AA and 82.47 for OA" in single_typo.text


def test_text_of_spatialnet_against_its_table_is_found(outcomes: list[Finding]) -> None:
    found = {o.claims for o in about(outcomes, "spatialnet-vit", "text", INCONSISTENT)}
    captions = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "CIDEr-D")
    expected = {tuple(f"{place} / SpatialNet-ViT / {m}" for place in ("text", UCM)) for m in captions}
    assert found == expected | {tuple(f"{place} / {s} / OA" for place in ("text", RSVQA)) for s in COMPARED}


def test_averages_given_as_overalls_are_found(outcomes: list[Finding]) -> None:
    (mixed,) = about(outcomes, "spatialnet-vit", "column", INCONSISTENT)
    assert mixed.claims[::3] == tuple(f"text / {system} / OA" for system in COMPARED)
    assert mixed.claims[1::3] == tuple(f"{RSVQA} / {system} / AA" for system in COMPARED)
    assert "text gives as OA what table of RSVQA-LR has as AA" in mixed.text


def test_class_accuracies_that_no_count_gives_are_found(outcomes: list[Finding]) -> None:
    found = about(outcomes, "class-focal", "count", INCONSISTENT)
    of_second = [o.claims[0] for o in found if o.claims[0].startswith("table 4")]
    assert [c.rpartition(" / ")[2] for c in of_second] == ["accuracy[Highway]", "accuracy[Residential]"]
    (share,) = about(outcomes, "class-focal", "share", INCONSISTENT)
    of_table = {c for c in numbers("class-focal-eurosat") if c.startswith("table 4")}
    assert set(share.claims) == {c for c in of_table if "accuracy[" in c}
    assert "at 100 % not Highway (.9750)" in share.text
    assert "at 50 % not HerbaceousVegetation (.9550), Highway (.9750)" in share.text


def test_counts_of_the_first_table_give_its_accuracies(outcomes: list[Finding]) -> None:
    printed = [c for c in numbers("class-focal-eurosat").values() if c.metric == "correct"]
    assert sum(int(c.value) for c in printed) == 12941
    assert sum(c.n or 0 for c in printed) == 13500
    held = {o.claims[0] for o in about(outcomes, "class-focal", "count", CONSISTENT)}
    assert {c.id for c in printed} <= held


def test_predictions_that_no_classifier_makes_are_found(outcomes: list[Finding]) -> None:
    """Twenty numbers of the focal paper's second table ask for more predictions than there are images."""
    (found,) = about(outcomes, "class-focal", "predicted", INCONSISTENT)
    assert len(found.claims) == 20
    assert "add up to 27543 to 27559 predictions of 27000 samples" in found.text
    assert "read as precisions, the accuracies give 26459 to 26474" in found.text


def test_numbers_of_the_focal_paper_are_read_in_it() -> None:
    rows = numbers("class-focal-eurosat").values()
    assert [sum(c.metric == metric for c in rows) for metric in ("accuracy", "f1", "correct")] == [20, 10, 10]
    assert {c.certainty for c in rows} == {"paper"}


def test_an_improvement_that_no_system_allows_is_found(outcomes: list[Finding]) -> None:
    """ "15 to 20 %", over the lowest of the systems compared 11 points."""
    found = [
        o for o in about(outcomes, "spatialnet-vit", "relation", INCONSISTENT) if o.claims[0].startswith("summary")
    ]
    assert ["> 15, but 92.81 less 81.49 is 11.32" in o.text for o in found] == [True, False]
    assert "> 15, but 90.18 less 79.08 is 11.10" in found[1].text


def test_cut_off_accuracies_of_the_first_table_are_found(outcomes: list[Finding]) -> None:
    cut = [o for o in about(outcomes, "class-focal", "count", INCONSISTENT) if "cut off." in o.text]
    names = [o.claims[0].rpartition(" / ")[2] for o in cut if o.claims[0].startswith("table 3")]
    assert names == ["accuracy[Forest]", "accuracy[HerbaceousVegetation]"]


def test_sentences_about_numbers_are_found(outcomes: list[Finding]) -> None:
    """All classes "exceeding" the lowest; a text that "surpasses" 71.49 with 70.90; a CIDEr in percent."""
    (lowest,) = about(outcomes, "bmta", "relation", INCONSISTENT)
    assert lowest.claims[1].endswith("accuracy[PermanentCrop]")
    (surpassing, *_) = about(outcomes, "spatialnet-vit", "relation", INCONSISTENT)
    assert "70.90" in surpassing.text
    percent = about(outcomes, "spatialnet-vit", "unit", INCONSISTENT)
    assert [o.text.split("CIDEr-D: ")[1][:7] for o in percent] == ["22.27 %", "45.10 %"]


def test_bmta_passes(outcomes: list[Finding]) -> None:
    counts = [o for o in about(outcomes, "bmta", "count", CONSISTENT) if "accuracy[" in o.claims[0]]
    correct = [int(o.text.split(": ")[1].split(" of ")[0]) for o in counts]
    assert correct == [451, 436, 450, 378, 373, 292, 358, 440, 361, 399]
    (total,) = about(outcomes, "bmta", "sum", CONSISTENT)
    assert "add up to 3938 of 4050, 97.2346 %, and 97.23 % is printed" in total.text
    (kappa,) = about(outcomes, "bmta", "kappa", CONSISTENT)
    assert "give 0.969208 to 0.969247, and 0.9692 is printed" in kappa.text
    for rule in ("share", "overall", "minimum", "difference"):
        assert len(about(outcomes, "bmta", rule, CONSISTENT)) == 1
    assert {o.rule for o in outcomes if o.paper == "bmta" and o.status == INCONSISTENT} == {"relation"}


@pytest.mark.parametrize("system", COMPARED)
def test_compared_rows_of_rsvqa_pass(outcomes: list[Finding], system: str) -> None:
    own = [o for o in outcomes if o.set == "spatialnet-vit-vqa" and o.claims[0].startswith(f"{RSVQA} / {system} /")]
    assert [o for o in own if o.status == INCONSISTENT] == []
    assert {o.rule for o in own if o.status == CONSISTENT} >= {"mean", "overall", "count", "unit"}


def test_rows_change_sides_when_their_digits_do() -> None:
    """The rules look at the numbers: mended ones pass and spoilt ones are found."""
    import dataclasses

    def with_value(name: str, claim_id: str, value: str) -> set[tuple[str, str]]:
        found = registry().specs("claims")[name]
        rows = tuple(dataclasses.replace(c, value=value) if c.id == claim_id else c for c in found.rows)
        return {
            (o.rule, o.claims[0]) for o in check([dataclasses.replace(found, rows=rows)]) if o.status == INCONSISTENT
        }

    average, overall = f"{RSVQA} / SpatialNet-ViT / AA", f"{RSVQA} / SpatialNet-ViT / OA"
    assert ("mean", average) not in with_value("spatialnet-vit-vqa", average, "90.81")
    assert ("overall", overall) not in with_value("spatialnet-vit-vqa", overall, "89.52")
    lobry = f"{RSVQA} / Lobry 2020 / OA"
    assert ("overall", lobry) in with_value("spatialnet-vit-vqa", lobry, "79.18")
    highway = "table 4 / ResNet-18, cross entropy / accuracy[Highway]"
    assert ("count", highway) not in with_value("class-focal-eurosat", highway, ".9752")
    kappa = f"abstract / {BMTA} / cohen_kappa"
    assert ("kappa", kappa) in with_value("bmta-eurosat", kappa, "0.9693")
    total = f"abstract / {BMTA} / overall_accuracy"
    assert {("sum", total), ("overall", total)} <= with_value("bmta-eurosat", total, "97.26")


def test_every_set_says_what_a_reader_needs() -> None:
    sets = claim_sets()
    assert {s.paper for s in sets} == {"bmta", "class-focal", "helber", "spatialnet-vit"}
    for found in sets:
        assert found.dataset in registry().specs("dataset")
        assert registry().get("protocol", found.measured_by).dataset == found.dataset
        assert found.protocol
        assert found.left_open
        assert found.citation
        assert set(found.models) <= {claim.system for claim in found.rows}
        for model in (m for models in found.models.values() for m in models):
            name, _, recipe = model.partition("@")
            assert not recipe or recipe in registry().get("model", name).recipes
        json.dumps(to_jsonable(found))


def test_metrics_have_the_names_of_records() -> None:
    known = set(registry().specs("metric"))
    types = {f"accuracy_{c.part}" for c in registry().specs("claims")["spatialnet-vit-vqa"].rows if c.part}
    assert types <= known
    others = {c.metric for found in claim_sets() for c in found.rows} - known
    assert others == {
        "accuracy",
        "f1",
        "correct",
        "minimum_class_accuracy",
        "alpha",
        "params",
        "errors_river_highway",
    }
