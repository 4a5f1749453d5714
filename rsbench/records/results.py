"""What predictions say again: metrics with their intervals, the breakdown, and sanity checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rsbench.plan import is_baseline
from rsbench.records.audit import AGREED, RECOMPUTED, Audit
from rsbench.records.installed import absent, advice, metric_specs
from rsbench.records.seal import was_unsealed
from rsbench.tasks.sanity_checks import same_detail
from rsbench.tasks.scoring import entries_of
from rsbench.tasks.task import Outcome, get_task, metric_context

OLD_INTERVAL: Final = "bootstrap-percentile"  # of schema 1: drawn in an order that depended on the processor
FROM_PREDICTIONS: Final = ("value", "ci95", "method", "n", "clusters", "note")
FROM_SPECS: Final = ("version", "unit", "higher_is_better", "primary")


def computed(record: Mapping[str, Any], outcome: Outcome) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return the entries of the metrics that are installed, and the breakdown, as predictions give them today."""
    plan = record["plan"]
    context = metric_context(plan)
    known = replace(outcome, reasons=_reasons(record, outcome))
    metrics = entries_of(known, metric_specs(record), context, plan["protocol"]["primary"])
    return metrics, get_task(plan["task"]).by_group(outcome, context)


def recompute(audit: Audit, outcome: Outcome) -> None:
    """Hold metrics, breakdown and sanity checks of a record against its predictions."""
    record, plan = audit.record, audit.record["plan"]
    audit.hold(AGREED, ("error",), None)
    if missing := absent(record):
        audit.missing.append(advice(record, missing))
    metrics, groups = computed(record, outcome)
    for name, entry in metrics.items():
        _metric(audit, name, entry)
    audit.hold(RECOMPUTED, ("by_group",), groups)
    for check in get_task(plan["task"]).sanity_checks(outcome, record["metrics"], record["checks"]):
        _sanity_check(audit, check)


def _reasons(record: Mapping[str, Any], outcome: Outcome) -> dict[str, str]:
    """Why metrics were null whose statistics would have been kept: known to the run alone."""
    if outcome.references is not None:
        return {}
    return {name: m["note"] for name, m in record["metrics"].items() if m.get("note") and name not in outcome.kept}


def _metric(audit: Audit, name: str, again: Mapping[str, Any]) -> None:
    stored = audit.record["metrics"][name]
    if stored["version"] != again["version"]:
        audit.wrong.append(f"{name}: computed by version {stored['version']}, installed is {again['version']}")
        return
    if again["value"] is None and again.get("note") and stored["value"] is not None:
        audit.missing.append(f"{name}: {again['note']}")
        return
    old = stored["method"] == OLD_INTERVAL and was_unsealed(audit.record)
    if old:
        note = (
            f"intervals by {OLD_INTERVAL} depended on the processor and were not computed again: rsbench upgrade does"
        )
        audit.notes += [note] * (note not in audit.notes)
    for how, fields in ((RECOMPUTED, FROM_PREDICTIONS), (AGREED, FROM_SPECS)):
        for field in fields:
            if not (old and field in ("ci95", "method")) and (field in again or field in stored):
                audit.hold(how, ("metrics", name, field), again.get(field))


def _sanity_check(audit: Audit, made: Mapping[str, Any]) -> None:
    plan = audit.record["plan"]
    stored = [k for k, check in enumerate(audit.record["checks"]) if check["name"] == made["name"]]
    gated = "device" in plan and plan["division"] != "debug" and not is_baseline(plan["model"])
    if gated and not stored:
        audit.wrong.append(f"{made['name']}: nothing is stored, '{made['detail']}' comes out")
    for k in stored:
        check = audit.record["checks"][k]
        same = check["ok"] == made["ok"] and same_detail(check["detail"], made["detail"])
        text = f"{made['name']}: '{check['detail']}' is stored, '{made['detail']}' comes out"
        audit.expect(AGREED, same, text, ("checks", k))
