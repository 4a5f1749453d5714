"""Plans are executed by the runner that they name, in the skeleton that all runners share."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from one_run import one_run

from rsbench.engine.events import Interrupted
from rsbench.engine.run import run
from rsbench.engine.run.report import RunContext
from rsbench.extensions import RunnerSpec
from rsbench.leaderboard.result import leaderboard
from rsbench.plan import RunPlan, groups
from rsbench.records import store
from rsbench.records.verify import examine
from rsbench.registry import registry


def counted(plans: Sequence[RunPlan], context: RunContext) -> Iterator[dict[str, Any]]:
    """Yield the number of each plan; those of seed 7 raise."""
    for number, plan in enumerate(plans):
        with context.stages.stage("count"):
            context.check()
            if plan.seed == 7:
                raise ValueError("seven")
        yield {"perf": {"params": number}, "env": context.machine.environment()}


def silent(plans: Sequence[RunPlan], context: RunContext) -> Iterator[dict[str, Any]]:
    """Yield nothing."""
    return iter(())


Plans = Callable[..., list[RunPlan]]


@pytest.fixture
def plans(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plans:
    """Plans of these seeds, of one group, for a runner of this file."""
    first = one_run(root, tmp_path, {})

    def made(*seeds: int, runner: str = "counted", **facts: Any) -> list[RunPlan]:
        spec = RunnerSpec(name=runner, summary="Count.", run=f"{__name__}:{runner}", **facts)
        monkeypatch.setitem(registry()._specs["runner"], runner, spec)
        own = {"runner": runner, "group": {"id": "group"}, "command": "rsbench count --threads 2 --compile none"}
        return [dataclasses.replace(first, run_id=f"counted-{seed}", seed=seed, **own) for seed in seeds]

    return made


def ignore(event: dict[str, Any]) -> None:
    """Nobody listens."""


def test_each_plan_of_a_group_gets_its_record(plans: Plans, tmp_path: Path) -> None:
    group = plans(0, 1, keeps=("threads",))
    assert [*groups([*group, *group])] == [[*group, *group]]
    records = run.execute_together(group, ignore)
    assert [r["perf"]["params"] for r in records] == [0, 1]
    for record in records:
        assert record["path"] == str(tmp_path / record["run_id"] / store.FILE)
        kept = json.loads(Path(record["path"]).read_text())
        assert kept["status"] == "ok"
        assert [*kept["timing"]["stages"]] == ["count"]
        assert "runner" not in kept["plan"]
        assert kept["plan"]["command"] == "rsbench count --threads 2"


def test_a_failure_leaves_what_is_finished_and_is_made_up_for(plans: Plans) -> None:
    whole, failed = run.execute_together(plans(0, 7), ignore)
    assert (whole["status"], failed["status"], failed["error"]["stage"]) == ("ok", "failed", "count")
    assert failed["env"]["device"]["type"] == "cpu"
    again = run.execute_together(plans(0, 8), ignore)
    assert [r["status"] for r in again] == ["ok", "ok"]
    assert again[0] | {"digest": None} == whole  # the digest is made as it is written
    finished = run.execute_together(plans(0, 8), ignore)  # nothing is run
    assert [r | {"digest": None} for r in finished] == [whole, again[1]]


def test_a_runner_that_says_nothing_of_a_plan_has_failed(plans: Plans) -> None:
    (record,) = run.execute_together(plans(0, runner="silent"), ignore)
    assert (record["status"], record["error"]["type"]) == ("failed", "ValueError")


def test_one_that_is_not_installed_is_named(plans: Plans) -> None:
    (plan,) = plans(0)
    record = run.execute(dataclasses.replace(plan, runner="counter"), ignore)
    assert record["error"]["message"].startswith("There is no runner 'counter'. Did you mean 'counted'?")


def test_an_interrupt_leaves_no_record(plans: Plans, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run.execute_together(plans(0, 1), ignore, lambda: True)
    assert store.load_all([tmp_path]) == []


def test_a_runner_has_a_division_of_its_own_and_names_its_group(plans: Plans, tmp_path: Path) -> None:
    (plan,) = plans(0, division="counts", group="company")
    company = {"id": "two", "members": ["a", "b"], "member": "a"}
    record = run.execute(dataclasses.replace(plan, division="counts", group=company), ignore)
    kept = store.load(tmp_path / "counted-0")
    assert (record["status"], kept["plan"]["division"], kept["plan"]["company"]) == ("ok", "counts", company)
    assert RunPlan.from_record(kept["plan"]).group == company
    board = leaderboard(tmp_path)
    assert (board.tables, dict(board.board.census.left_out)["of counts"]) == ([], 1)
    assert examine(store.LoadedRecord(tmp_path / "counted-0" / store.FILE)).status == "verified"
