"""Runs plans in a pool of workers, such as processes of this machine.

This module is imported by the CLI's process and imports neither torch nor NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from rsbench.containment import contained
from rsbench.engine.launch.pool import Launch, OnEvent, Pool, drive
from rsbench.engine.launch.run_result import Outcome
from rsbench.plan import RunPlan, groups
from rsbench.registry import registry
from rsbench.specs import load_attribute

__all__ = ["Launch", "run_plans"]


def run_plans(plans: Sequence[RunPlan], *, on_event: OnEvent, launch: Launch | None = None) -> list[Outcome]:
    """Run *plans* and return, in their order, an outcome for each that was started.

    Plans of a group that follow each other are run together.  A plan whose finished record exists is not run again,
    nor is a group all of whose records exist.  After an interrupt no further plan is started.
    ``on_event`` gets the workers' events; an exception in it ends everything.

    Raises:
        UserError: the launcher cannot be used: what it needs is missing, or nodes do not see the folders of plans.
    """
    with open_pool(launch or Launch(), plans) as pool:
        outcomes = drive(pool, groups(plans), on_event)
    order = {plan.run_id: i for i, plan in enumerate(plans)}
    return sorted(outcomes, key=lambda o: order[o.run_id])


def open_pool(launch: Launch, plans: Sequence[RunPlan]) -> AbstractContextManager[Pool]:
    """Return the pool of the launcher; to enter it is to see whether it can be used."""
    spec, origin = registry().get("launcher", launch.launcher), registry().origin("launcher", launch.launcher)
    with contained(origin, f"launcher '{spec.name}'"):
        pool: AbstractContextManager[Pool] = load_attribute(spec.pool)(launch, plans)
    return pool
