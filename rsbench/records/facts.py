"""What a record says of itself, held against hashes of it, against its own other numbers, and against its files."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

from rsbench.plan import COMPARABLE, IDENTITY, NARROWER, fingerprint, group_of, run_id
from rsbench.records import external
from rsbench.records.audit import AGREED, RECOMPUTED, Audit, Place, close
from rsbench.records.curve import score_name
from rsbench.records.measured import is_measured, runner_of
from rsbench.records.seal import digest_of, was_unsealed
from rsbench.records.upgrade import PREFIX
from rsbench.specs import load_attribute

UNSEALED: Final = f"sealed by nothing: written before {PREFIX}2"
PLAN: Final = "plan"


def seal(audit: Audit) -> None:
    """The digest covers every field; a record that was written before there was one says so."""
    record, stored = audit.record, audit.get("digest")
    if stored is None:
        old = was_unsealed(record)
        audit.expect(AGREED, old, "digest: there is none")
        audit.notes += [UNSEALED] * old
        return
    # Where something has been found already, that the digest is another one as well says nothing more.
    if stored == digest_of(record):
        audit.cover(AGREED, ("digest",))
    elif not audit.wrong:
        audit.wrong.append("digest: it is not that of this record; a field that cannot be computed again was edited")


def amendments(audit: Audit) -> None:
    """What was amended is as the amendment says."""
    for k, change in enumerate(audit.record["amended"]):
        if change["field"] != PLAN:
            found = _at(audit.record, change["field"])
            audit.expect(AGREED, close_all(found, change["now"]), f"amended.{k}: {change['field']} is not as it says")


def identity(audit: Audit) -> None:
    """The run id follows from the plan: names, options, recipe, data and protocol are those that were run."""
    record, plan = audit.record, audit.record["plan"]
    if is_measured(record):
        runner = runner_of(record)
        if runner is None or runner.run_id is None:
            return
        found = load_attribute(runner.run_id)(plan)
        same = record["run_id"].endswith(f"-{found}")
        parts: list[Place] = [(PLAN, k) for k in ("model", "dataset", "protocol", "recipe", "device", "threads")]
    elif plan["model"].get("kind") == external.EXTERNAL:
        sha256 = audit.get("artifacts", "predictions", "sha256")
        if sha256 is None:
            return
        seeds = (plan["seed"], *[None] * was_unsealed(record))
        names = [external.run_id(plan["model"]["label"], s, plan["dataset"], plan["protocol"], sha256) for s in seeds]
        found = names[0]
        same = record["run_id"] in names
        parts = [(PLAN, *at) for at in (("model", "label"), ("dataset", "name"), ("protocol", "fingerprint"))]
        parts += [(PLAN, "seed")] * (record["run_id"] == found)
    else:
        found = given_run_id(record) or ""
        same = found == (_changed(record) or record["run_id"])
        parts = [*((PLAN, name) for name in (*IDENTITY, *group_of(plan), "seed")), ("env", "rsbench")]
    text = f"run_id: the plan gives another one ({found[-8:]}): something of it is not what was run"
    audit.expect(AGREED, same, text, *parts)
    if same and not _changed(record):
        audit.cover(AGREED, ("run_id",))
    if "run_id" in plan:
        audit.hold(AGREED, (PLAN, "run_id"), record["run_id"])


def _changed(record: Mapping[str, Any]) -> str | None:
    """The run id that a plan gives which is known to have been changed after the run."""
    known = [change["now"] for change in record["amended"] if change["field"] == PLAN]
    return known[-1] if known else None


def protocol(audit: Audit) -> None:
    """The fingerprint follows from what makes results comparable."""
    record, plan = audit.record, audit.record["plan"]
    block = plan["protocol"]
    if lost := [name for name in block["metrics"] if name not in record["metrics"]]:
        audit.wrong.append(f"{', '.join(lost)}: nothing is stored, the protocol asks for it")
        return
    versions = {name: record["metrics"][name]["version"] for name in block["metrics"]}
    found = fingerprint(block, plan["dataset"], versions, plan.get("overfit"))
    places = [
        *((PLAN, "protocol", name) for name in (*COMPARABLE, *NARROWER, "metrics", "fingerprint")),
        *((PLAN, "dataset", name) for name in ("name", "version", "fingerprint")),
        *(("metrics", name, "version") for name in versions),
        (PLAN, "overfit"),
    ]
    stored = block["fingerprint"]
    audit.expect(AGREED, stored == found, f"fingerprint: {stored} is stored, the plan gives {found}", *places)
    audit.hold(AGREED, (PLAN, "protocol", "task"), plan["task"])


def given_run_id(record: Mapping[str, Any]) -> str | None:
    """Return the run id that the plan of a run gives; ``None`` where it is not a run's."""
    plan = record["plan"]
    if "device" not in plan or record["env"] is None or is_measured(record):
        return None
    common = {name: plan[name] for name in IDENTITY}
    return run_id(common | group_of(plan), plan["seed"], record["env"]["rsbench"])


def samples(audit: Audit, ids: Sequence[str]) -> None:
    """The predictions are of the samples of the test split, each once."""
    block, overfit = audit.record["plan"]["protocol"], audit.get(PLAN, "overfit")
    unique = len(set(ids))
    audit.expect(RECOMPUTED, unique == len(ids), f"ids: {len(ids)} predictions are of {unique} samples")
    audit.hold(RECOMPUTED, (PLAN, "protocol", "split_sizes", "test"), len(ids))
    stored = block["split_sha256"].get("test")
    if overfit is not None or stored is None:  # these images are a part of the training split
        return
    found = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()
    audit.expect(
        RECOMPUTED,
        found == stored,
        f"ids: the samples of the predictions are not the test split {stored[:16]}",
        (PLAN, "protocol", "split_sha256", "test"),
    )


def training(audit: Audit) -> None:
    """Epochs, time, the selected epoch and times to targets follow from the learning curve."""
    train, perf = audit.get("train"), audit.get("perf") or {}
    if train is None:
        return
    curve, seconds = train["curve"], train["seconds"]
    if perf.get("train_samples_per_s") is not None:
        audit.hold(RECOMPUTED, ("perf", "train_samples_per_s"), train["samples"] / max(seconds, 1e-9))
        audit.cover(AGREED, ("train", "samples"))
    if (sweep := train.get("sweep")) is not None:
        _sweep(audit, sweep)
    audit.hold(RECOMPUTED, ("train", "epochs"), len(curve))
    for k in range(len(curve)):
        audit.hold(AGREED, ("train", "curve", k, "epoch"), k + 1)
    if not curve:
        return
    passed = list(accumulate(epoch["seconds"] for epoch in curve))
    whole = close(passed[-1], seconds)  # a run that was resumed within an epoch has counted a part of it
    above = f"train.seconds: {seconds} is stored, its epochs took {passed[-1]}"
    audit.expect(RECOMPUTED, whole or passed[-1] < seconds, above, *[("train", "seconds")] * whole)
    if whole:
        for k in range(len(curve)):
            audit.cover(AGREED, ("train", "curve", k, "seconds"))
    _selection(audit, curve, passed if whole else None)


def _sweep(audit: Audit, sweep: Mapping[str, Any]) -> None:
    """Of settings that were tried, the one with the best validation score was taken."""
    tried, by = sweep["tried"], sweep["by"]
    scored = [one for one in tried if one.get(by) is not None] if by else []
    if scored:
        best = max(scored, key=lambda one: one[by])  # the first of several
        audit.hold(RECOMPUTED, ("train", "sweep", "chosen"), best.get(sweep["option"]))


def _selection(audit: Audit, curve: Sequence[Mapping[str, Any]], passed: Sequence[float] | None) -> None:
    block = audit.record["plan"]["protocol"]
    key = score_name(curve[-1:])
    if key is None:
        return
    scores = [epoch.get(key) for epoch in curve]
    best = max((s for s in scores if s is not None), default=None)
    chosen = len(curve) if block["selection"] == "last" else scores.index(best) + 1
    audit.hold(RECOMPUTED, ("train", "selected_epoch"), chosen)
    reached: dict[str, float] = {}
    for target in block["targets"]:
        first = next((k for k, score in enumerate(scores) if score is not None and score >= target), None)
        if first is not None and passed is not None:
            reached[str(target)] = passed[first]
    if passed is not None:
        audit.hold(RECOMPUTED, ("train", "time_to"), reached)


def timing(audit: Audit) -> None:
    """The time of a run is that of its stages, and its first loss is the one that was checked."""
    stages = audit.get("timing", "stages")
    if stages:
        audit.hold(RECOMPUTED, ("timing", "total"), math.fsum(stages.values()))
    loss = audit.get("train", "initial_loss")
    for k, check in enumerate(audit.record["checks"]):
        if check["name"] == "preflight:initial-loss" and loss is not None:
            same = check["detail"].startswith(f"{loss:.4f} at start")
            text = f"train.initial_loss: {loss} is stored, '{check['detail']}' was checked"
            audit.expect(AGREED, same, text, ("train", "initial_loss"), ("checks", k, "name"), ("checks", k, "detail"))


def close_all(a: Any, b: Any) -> bool:
    """Whether two parts of a record are the same."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(close_all(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(close_all, a, b))
    return close(a, b)


def _at(part: Any, dotted: str) -> Any:
    """Return what is at a dotted path, the keys of which may hold dots themselves; ``None`` where nothing is."""
    if not isinstance(part, Mapping):
        return None
    if dotted in part:
        return part[dotted]
    heads = [key for key in part if dotted.startswith(f"{key}.")]
    return _at(part[max(heads, key=len)], dotted[len(max(heads, key=len)) + 1 :]) if heads else None
