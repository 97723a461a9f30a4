"""The plan of a run, as its processes learn it from rank 0: plain data, from which each makes the configuration."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gaplab.config.compose import Composed, restore
from gaplab.distributed.process_group import broadcast_from_rank0
from gaplab.distributed.ranks import Ranks
from gaplab.runs.resume import Plan


def plan_together(ranks: Ranks, decide: Callable[[], Plan]) -> Plan:
    """Return the plan that rank 0 decides on, on all ranks.

    Raises:
        ConfigError: On all ranks, if there is none.
    """
    plans: list[Plan] = []

    def tell() -> dict[str, Any]:
        plans.append(decide())
        return as_plain(plans[0])

    plain = broadcast_from_rank0(ranks, tell)
    return plans[0] if plans else from_plain(plain)


def as_plain(plan: Plan) -> dict[str, Any]:
    """Return a plan as numbers, texts, lists and mappings."""
    return {
        "resolved": plan.composed.resolved,
        "overrides": plan.composed.overrides,
        "varied": plan.composed.varied,
        "number": plan.composed.number,
        "path": str(plan.path),
        "checkpoint": None if plan.checkpoint is None else str(plan.checkpoint),
        "finished": plan.finished,
        "anew": plan.anew,
        "until": plan.until,
    }


def from_plain(plain: dict[str, Any]) -> Plan:
    """Return the plan that ``as_plain`` was given.

    Raises:
        ConfigError: If the configuration is not one of this version.
    """
    config = restore(plain["resolved"], "the plan of process 0")
    checkpoint = plain["checkpoint"]
    return Plan(
        Composed(config, plain["resolved"], plain["overrides"], plain["varied"], plain["number"]),
        Path(plain["path"]),
        None if checkpoint is None else Path(checkpoint),
        finished=plain["finished"],
        anew=plain["anew"],
        until=plain["until"],
    )
