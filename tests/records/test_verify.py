"""Every leaf of a record, edited one by one, is noticed; what a forger who makes the digest anew can still not change."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rsbench_captioners.task import ABOVE_MOST_FREQUENT
from rsbench_throughput import recount
from typer.testing import CliRunner

from rsbench.cli.app import build as app
from rsbench.errors import UserError
from rsbench.records import results, store, verify
from rsbench.records.audit import Place, leaves
from rsbench.records.renew import renewed
from rsbench.records.seal import sealed
from rsbench.records.verify import Evidence
from rsbench.tasks import sanity_checks

RECORDS = Path(__file__).parents[2] / "benchmarks" / "records"
CLASSIFICATION = "eurosat-bmta-split/eurosat-speedrun-bmta-70-15-15-s0-e2319501"
CAPTIONING = "ucm-captions/ucm-captions-vgg19-lstm-ucm-captions-standard-s0-765830e6"
FITTED = "ucm-captions/ucm-captions-csmlf-ucm-captions-standard-s0-56090941"  # an estimator: no work to count
QUESTIONS = "rsvqa-lr-questions/rsvqa-lr-questions-question-only-rsvqa-lr-val-to-test-s0-d54dac3a"
THROUGHPUT = "throughput-tiny-cnn-classification-20261121T195336Z-045758b6"
HONEST = [CLASSIFICATION, CAPTIONING, QUESTIONS]


def current(name: str) -> tuple[dict[str, Any], Evidence]:
    """A committed record in the current form, and what lies beside it."""
    loaded = store.LoadedRecord(RECORDS / name / store.FILE, store.load(RECORDS / name))
    evidence = verify.gather(loaded)
    return sealed(renewed(loaded.record, evidence, lambda: {("macs",): loaded.record["perf"]["macs"]})), evidence


def as_written_first(name: str) -> dict[str, Any]:
    """A committed record in the form that it had, which its amendments give back."""
    record = json.loads((RECORDS / name / store.FILE).read_text())
    for change in record.pop("amended"):
        *above, last = change["field"].split(".")
        part = record
        for key in above:
            part = part[key]
        part[last] = change["was"]
    del record["digest"]
    return record


@pytest.fixture(scope="module", params=HONEST)
def honest(request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, Any], Evidence]]:
    """A record, with metrics computed once for all edits that do not change what they are computed of."""
    known: dict[str, Any] = {}
    computed = results.computed

    def once(record: Any, outcome: Any) -> Any:
        key = json.dumps([record["plan"], list(record["metrics"]), [m.get("note") for m in record["metrics"].values()]])
        if key not in known:
            known[key] = computed(record, outcome)
        return known[key]

    made = current(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "computed", once)
        yield made


def other(value: Any) -> Any:
    """Something else of a like kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + (1 if isinstance(value, int) else 0.01 + abs(value) / 100)
    return {str: f"{value}x", list: ["x"], dict: {"x": 1}}.get(type(value), 0)


def edited(record: dict[str, Any], place: Place) -> dict[str, Any]:
    made = copy.deepcopy(record)
    part: Any = made
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = other(part[place[-1]])
    return made


def found(record: dict[str, Any], evidence: Evidence) -> list[str]:
    """What is wrong with a record, as it is read."""
    try:
        return list(verify.audit(store.accepted(record, "record.json"), evidence).problems)
    except UserError as error:
        return [str(error)]


def test_every_edited_leaf_is_noticed_and_most_of_them_even_where_the_digest_is_made_anew(
    honest: tuple[dict[str, Any], Evidence],
) -> None:
    record, evidence = honest
    verdict = verify.audit(record, evidence)
    assert (verdict.status, verdict.problems) == ("verified", ())
    places = [place for place, _ in leaves(record)]
    assert sum(map(verdict.count, ("recomputed", "agreed", "sealed"))) == len(places) > 400
    problems = {place: found(edited(record, place), evidence) for place in places}
    assert [place for place, wrong in problems.items() if not wrong] == []

    # The digest is named where nothing else is wrong: these a forger could change by making it anew.
    free = [p for p, wrong in problems.items() if all(w.startswith("digest: it is not") for w in wrong)]
    assert len(free) <= verdict.count("sealed")
    assert {p[0] for p in free} <= {
        "created",
        "plan",
        "train",
        "perf",
        "env",
        "checks",
        "artifacts",
        "amended",
        "digest",
    }
    how = {"command", "threads", "out", "data_root", "checkpoint"}  # no part of a run's identity
    assert [p for p in free if p[0] == "plan" and p[1] not in how and p[1:] != ("dataset", "store")] == []
    assert [p for p in free if p[0] == "artifacts" and p[1] != "checkpoint"] == []
    gates = {
        k
        for k, check in enumerate(record["checks"])
        if check["name"] in (sanity_checks.CHANCE, sanity_checks.COLLAPSED)
    }
    assert [p for p in free if p[0] == "checks" and p[1] in gates] == []
    floors = {
        k
        for k, check in enumerate(record["checks"])
        if check["name"] in (sanity_checks.ABOVE_BASELINE, ABOVE_MOST_FREQUENT)
    }
    assert [p for p in free if p[0] == "checks" and p[1] in floors and p[2] == "ok"] == []


def test_predictions_of_other_samples_are_noticed() -> None:
    record, evidence = current(CLASSIFICATION)
    made = evidence.outcome.predictions
    for ids, what in (
        ([made.ids[0]] * len(made), "are of 1 samples"),
        ([f"other-{i}" for i in made.ids], "are not the test split"),
    ):
        outcome = replace(evidence.outcome, predictions=replace(made, ids=ids))
        problems = verify.audit(record, replace(evidence, outcome=outcome)).problems
        assert any(what in problem for problem in problems)
    turned = replace(made, ids=list(reversed(made.ids)))  # the split is a set: order is no part of it
    assert verify.audit(record, replace(evidence, outcome=replace(evidence.outcome, predictions=turned))).problems == ()


def test_a_record_without_its_digest_is_refused_and_an_old_one_says_that_nothing_sealed_it() -> None:
    record, evidence = current(CLASSIFICATION)
    with pytest.raises(UserError, match="digest: there is none"):
        store.accepted(record | {"digest": None}, "record.json")
    old = verify.audit(store.load(RECORDS.parents[1] / "tests" / "data" / "record-1.json"), Evidence())
    assert "sealed by nothing: written before rsbench.record/2" in old.notes
    assert verify.audit(record, evidence).notes == ("model.safetensors is not available",)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a committed record in the current form."""
    place = tmp_path / "runs" / Path(CLASSIFICATION).name
    shutil.copytree(RECORDS / CLASSIFICATION, place)
    store.rewrite(current(CLASSIFICATION)[0], place / store.FILE)
    return tmp_path / "runs"


def rsbench(*words: str | Path) -> Any:
    return CliRunner().invoke(app(), [str(word) for word in words])


def test_command_counts_what_it_verified_and_what_it_did_not(folder: Path, tmp_path: Path) -> None:
    done = rsbench("verify", folder)
    assert done.exit_code == 0
    assert "verified" in done.stdout
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "one").symlink_to(next(folder.iterdir()))
    (folder / "circle").symlink_to(folder)
    assert rsbench("verify", tmp_path / "links").stdout == rsbench("verify", folder).stdout == done.stdout
    empty = rsbench("verify", tmp_path / "links" / "one" / "..", "--json")
    assert json.loads(empty.stdout)[0]["status"] == "verified"
    (tmp_path / "empty").mkdir()
    none = rsbench("verify", tmp_path / "empty")
    assert (none.exit_code, none.stdout) == (3, "There are no records: nothing to verify.\n")
    failed = copy.deepcopy(store.load(next(folder.glob("eurosat*"))))
    error = {"stage": "train", "type": "X", "message": "m"}
    store.save(failed | {"run_id": "f", "status": "failed", "error": error, "artifacts": {}}, tmp_path / "empty" / "f")
    alone = rsbench("verify", tmp_path / "empty")
    assert (alone.exit_code, alone.stdout) == (3, "1 failed run: nothing to verify.\n")
    both = rsbench("verify", tmp_path / "empty", folder)
    assert both.exit_code == 0
    assert both.stdout.startswith("1 record verified (fields: ")
    assert "1 failed run: nothing to verify." in both.stdout


def test_a_missing_plugin_is_named_and_the_other_records_are_verified(folder: Path) -> None:
    record = store.load(next(folder.iterdir()))
    for run_id, change in (("metric", {"their-metric": record["metrics"]["nll"]}), ("task", {})):
        made = copy.deepcopy(record)
        made["metrics"] |= change
        made["plan"]["protocol"]["metrics"] += change
        made["plan"]["task"] = "classification" if change else "their-task"
        made["plan"]["model"]["distribution"] = "rsbench-theirs"
        shutil.copytree(next(folder.glob("eurosat*")), folder / run_id)
        store.rewrite(made | {"run_id": run_id}, folder / run_id / store.FILE)
    found = {Path(v["run_id"]).name: v for v in json.loads(rsbench("verify", folder, "--json").stdout)}
    assert found[Path(CLASSIFICATION).name]["status"] == "verified"
    assert "metric 'their-metric' is not installed; install rsbench-theirs" in found["metric"]["problems"]
    assert (found["task"]["status"], found["task"]["problems"]) == (
        "unverified",
        ["task 'their-task' is not installed; install rsbench-theirs"],
    )
    shutil.rmtree(folder / "metric")
    assert rsbench("verify", folder).exit_code == 3


def test_upgrade_seals_names_what_changed_and_changes_no_value(tmp_path: Path) -> None:
    shutil.copytree(RECORDS / FITTED, tmp_path / "old")
    file = tmp_path / "old" / store.FILE
    file.write_text(json.dumps(as_written_first(FITTED)))
    before = file.read_bytes()
    old = store.load(file)
    told = rsbench("upgrade", tmp_path, "--dry-run")
    assert told.stdout.endswith("1 of 1 records would be upgraded, 0 current.\n")
    assert file.read_bytes() == before
    done = rsbench("upgrade", tmp_path)
    assert done.stdout.endswith("1 of 1 records upgraded, 0 current.\n")
    new = json.loads(file.read_text())
    assert sealed(new) == new
    assert {n: m["value"] for n, m in new["metrics"].items()} == {n: m["value"] for n, m in old["metrics"].items()}
    changes = {change["field"]: change for change in new["amended"]}
    assert changes["schema"]["was"] == "rsbench.record/1"
    interval = changes["metrics.CIDEr-D.ci95"]
    assert (interval["was"], interval["now"]) == (
        old["metrics"]["CIDEr-D"]["ci95"],
        new["metrics"]["CIDEr-D"]["ci95"],
    )
    assert all(change["why"] for change in new["amended"])
    assert rsbench("verify", tmp_path).exit_code == 0
    kept = file.read_bytes()
    assert rsbench("upgrade", tmp_path).stdout == "0 of 1 records upgraded, 1 current.\n"
    assert file.read_bytes() == kept


def test_upgrade_refuses_what_is_not_right_by_name(tmp_path: Path) -> None:
    shutil.copytree(RECORDS / FITTED, tmp_path / "old")
    file = tmp_path / "old" / store.FILE
    record = as_written_first(FITTED)
    record["metrics"]["BLEU-1"]["value"] += 1e-3
    file.write_text(json.dumps(record))
    before = file.read_bytes()
    done = rsbench("upgrade", tmp_path)
    assert done.exit_code == 1
    assert f"{record['run_id']} is not right: BLEU-1: " in done.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize(("counted", "why"), [(46_971_136, "counted anew"), (None, "cannot be built here")])
def test_work_is_counted_anew_or_null(counted: int | None, why: str, tmp_path: Path) -> None:
    shutil.copytree(RECORDS / CAPTIONING, tmp_path / "old")
    file = tmp_path / "old" / store.FILE
    file.write_text(json.dumps(as_written_first(CAPTIONING)))
    loaded = store.LoadedRecord(file, store.load(file))
    made = renewed(loaded.record, verify.gather(loaded), lambda: {("macs",): counted})
    (change,) = [c for c in made["amended"] if c["field"] == "perf.macs"]
    assert (change["was"], change["now"], made["perf"]["macs"]) == (loaded.record["perf"]["macs"], counted, counted)
    assert why in change["why"]


def test_work_of_throughput_is_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that was sealed before its work was counted rightly is mended too, and once."""
    file = RECORDS.parent / "throughput" / "records" / THROUGHPUT / store.FILE
    loaded = store.LoadedRecord(file, store.load(file))
    perf = loaded.record["perf"]
    counted = {mode: 2 * perf[mode]["macs"] for mode in ("inference", "training")}
    monkeypatch.setattr(recount, "count_macs", lambda *_: counted)
    made = renewed(loaded.record, verify.gather(loaded), lambda: recount.recounted(loaded.record))
    for mode, macs in counted.items():
        assert made["perf"][mode]["macs"] == macs
        assert made["perf"][mode]["peak_share"] == pytest.approx(2 * perf[mode]["peak_share"])
    new = made["amended"][len(loaded.record["amended"]) :]
    assert [c["field"] for c in new] == [f"perf.{m}.{f}" for m in counted for f in ("macs", "peak_share")]
    assert verify.audit(sealed(made), verify.gather(loaded)).status == "verified"
    assert renewed(sealed(made), verify.gather(loaded), lambda: recount.recounted(made)) == sealed(made)
    monkeypatch.setattr(recount, "count_macs", lambda *_: None)  # it cannot be built here
    assert renewed(loaded.record, verify.gather(loaded), lambda: recount.recounted(loaded.record)) == loaded.record
