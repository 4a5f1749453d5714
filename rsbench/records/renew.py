"""Old records in the current form: sealed, with what is computed otherwise today computed anew, and every change named.

What a record says of its results stays: a metric whose value comes out differently is no matter of form.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from rsbench.errors import UserError
from rsbench.records.audit import Place, leaves
from rsbench.records.facts import PLAN, given_run_id
from rsbench.records.results import OLD_INTERVAL, computed
from rsbench.records.seal import digest_of, was_unsealed
from rsbench.records.verify import Evidence, audit
from rsbench.tasks.task import Outcome

INTERVAL: Final = "computed by the current method"
GROUPS: Final = "its form has changed"
MACS: Final = "counted anew from the plan: the work of fused layers had been left out"
NO_MACS: Final = "the work of fused layers may have been left out, and the network cannot be built here"
OTHER_PLAN: Final = (
    "the plan gives this run id, not the record's: it was changed after the run, or the id was made otherwise; what it "
    "was is not known"
)


Work = Callable[[], Mapping[Place, Any]]


def renewed(record: Mapping[str, Any], evidence: Evidence, work: Work) -> dict[str, Any]:
    """Return a record in the current form, each change of it in ``amended``; one that needs none comes back as it is.

    Its digest is made as it is written.

    Args:
        record: in the current schema.
        evidence: what lies beside it.
        work: counts multiply-accumulates and what follows from them anew: place in ``perf`` -> value, ``None`` where
            the network cannot be built.

    Raises:
        UserError: something of the record, such as a metric's value, is not right; the message names it.
    """
    made = copy.deepcopy(dict(record))
    if record["digest"] not in (None, digest_of(record)):
        raise UserError(f"{record['run_id']} was edited: its digest is another one.")
    if record["status"] == "ok":
        if record["digest"] is None:
            _plan(made)
        if was_unsealed(record):
            _work(made, work)
        if evidence.outcome is not None:
            _results(made, evidence.outcome)
    verdict = audit(made | {"digest": record["digest"] and digest_of(made)}, evidence)
    if verdict.status == "wrong":
        raise UserError(f"{record['run_id']} is not right: {verdict.problems[0]}.")
    return made


def _plan(made: dict[str, Any]) -> None:
    given = given_run_id(made)
    if given not in (None, made["run_id"]):
        made["amended"].append({"field": PLAN, "was": None, "now": given, "why": OTHER_PLAN})


def _work(made: dict[str, Any], work: Work) -> None:
    counted = work()
    known = any(value is not None for value in counted.values())
    if known or made["digest"] is None:  # else it was counted where the network could be built
        for place, value in counted.items():
            _amend(made, ("perf", *place), value, MACS if known else NO_MACS)


def _results(made: dict[str, Any], outcome: Outcome) -> None:
    again, groups = computed(made, outcome)
    for name, entry in again.items():
        if made["metrics"][name]["method"] == OLD_INTERVAL:
            for field in ("ci95", "method", "note"):
                if field in entry or field in made["metrics"][name]:
                    _amend(made, ("metrics", name, field), entry.get(field), INTERVAL)
    if {place for place, _ in leaves(made["by_group"])} != {place for place, _ in leaves(groups)}:
        _amend(made, ("by_group",), groups, GROUPS)


def _amend(made: dict[str, Any], place: Place, now: Any, why: str) -> None:
    part: Any = made
    for key in place[:-1]:
        part = part[key]
    was = part.get(place[-1])
    if was != now:
        part[place[-1]] = now
        made["amended"].append({"field": ".".join(map(str, place)), "was": was, "now": now, "why": why})
