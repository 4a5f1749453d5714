"""Where a finished command has left its files, and what to type next: on standard error, so that no pipe breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rsbench.execution import OUT
from rsbench.foreign import in_one_line
from rsbench.registry import registry

if TYPE_CHECKING:
    from rsbench.engine.launch.run_result import Outcome
    from rsbench.plan import RunPlan


def files(*paths: Path) -> None:
    """Name files that were written."""
    typer.echo(f"Files: {', '.join(map(str, paths))}", err=True)


def following(*commands: str) -> None:
    """Name commands that come next."""
    typer.echo(f"Next:  {'; '.join(commands)}", err=True)


def after_runs(plans: Sequence[RunPlan], outcomes: Sequence[Outcome], out: Path) -> None:
    """Say where runs have left their files, what observers have made of them, and what comes next; nothing where none
    was started."""
    begun = [o for o in outcomes if o.record_path is not None]
    if not begun:
        return
    where = "" if str(out) == OUT else f" --out {out}"
    done = [o for o in begun if o.status in ("ok", "cached")]
    one = begun[0] if len(begun) == 1 else None
    files(one.record_path.parent if one and one.record_path else out)
    for line in _observed([plan for plan in plans if plan.run_id in {o.run_id for o in begun}]):
        typer.echo(line, err=True)
    if one and not done:
        following(f"rsbench runs log {_short(one.run_id)}{where}", f"rsbench runs rm {_short(one.run_id)}{where}")
    elif one:
        following(f"rsbench runs show {_short(one.run_id)}{where}", f"rsbench leaderboard {out}")
    else:
        failed = ["rsbench runs list --state failed" + where] if len(done) < len(begun) else []
        following(f"rsbench runs{where}", *failed, f"rsbench leaderboard {out}")


def _short(run_id: str) -> str:
    return run_id.rpartition("-")[2]


def _observed(plans: Iterable[RunPlan]) -> list[str]:
    """What observers say of runs, each line once."""
    found: dict[str, None] = {}
    for origin, call in registry().callers("rsbench_run_files"):
        for plan in plans:
            found |= dict.fromkeys(registry().ask(origin, "rsbench_run_files", partial(_lines, call, plan)) or ())
    return [*found]


def _lines(call: Callable[..., Any], plan: RunPlan) -> list[str]:
    return [in_one_line(str(line)) for line in call(plan=plan)]
