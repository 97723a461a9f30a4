"""Checkpoints of one run out of an ensemble, in the form that Lightning writes for a run alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor, nn

from gaplab.callbacks.checkpoints import event_sizes
from gaplab.ensembles.ensemble import Ensemble
from gaplab.ensembles.member import Member
from gaplab.ensembles.problem import optimizer_names
from gaplab.ensembles.stacking import torch_state
from gaplab.runs.atomic import replacing
from gaplab.tasks.optimization import build_optimizer, build_schedule, schedule_factor


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint under a temporary name and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        torch.save(content, temporary)


def save_weights(path: Path, prefix: str, weights: Mapping[str, Tensor], step: int) -> None:
    """Write ``best.ckpt``: weights and the step that they belong to."""
    save_checkpoint(path, {**_head(step), "state_dict": _named(prefix, weights)})


def member_checkpoint(
    trainer: Trainer, ensemble: Ensemble, index: int, weights: Mapping[str, Tensor], run: Path
) -> dict[str, Any]:
    """Return the content of one run's ``last.ckpt``, from which the run alone or a chunk can continue."""
    member = ensemble.members[index]
    optimizer, schedule = _optimizer_states(ensemble, member, index, weights)
    return {
        **_head(member.step),
        "state_dict": _named(ensemble.problem.prefix, weights),
        "loops": trainer._checkpoint_connector._get_loops_state_dict(),
        "callbacks": _callback_states(member, run),
        "optimizer_states": [optimizer],
        "lr_schedulers": [] if schedule is None else [schedule],
    }


def _head(step: int) -> dict[str, Any]:
    return {"epoch": 0, "global_step": step, "pytorch-lightning_version": lightning.__version__}


def _named(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor.cpu() for name, tensor in weights.items()}


def _callback_states(member: Member, run: Path) -> dict[str, Any]:
    states: dict[str, Any] = {
        "GapCurves": {"history": member.history},
        "Checkpoints": {
            "best_loss": member.best_loss,
            "best_step": member.best_step,
            "event_sizes": event_sizes(run),
        },
    }
    patience = member.config.trainer.early_stopping_patience
    if patience is not None:
        states[EarlyStopping("loss/val", patience=patience).state_key] = {
            "wait_count": member.stale,
            "stopped_epoch": 0,
            "best_score": torch.tensor(member.lowest),
            "patience": patience,
        }
    return states


def _optimizer_states(
    ensemble: Ensemble, member: Member, index: int, weights: Mapping[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The states that the run's torch optimiser and schedule would have."""
    config, step = member.config.optimizer, member.step
    optimizer = build_optimizer(config, [nn.Parameter(tensor) for tensor in weights.values()])
    schedule = build_schedule(config, optimizer, member.config.num_steps)
    state = optimizer.state_dict()
    names = optimizer_names(config, dict(weights))
    # Without momentum torch's SGD keeps nothing.
    keeps = getattr(config, "momentum", 1.0) > 0
    moments = torch_state(ensemble.rule, ensemble.state, index, names) if keeps else {}
    state["state"] = {n: {k: v.cpu() for k, v in m.items()} for n, m in moments.items()}
    rate = config.lr * schedule_factor(config, step, member.config.num_steps)
    for group in state["param_groups"]:
        group |= {"lr": rate, "initial_lr": config.lr}
    if schedule is None:
        return state, None
    rates = [rate] * len(state["param_groups"])
    return state, schedule.state_dict() | {"last_epoch": step, "_step_count": step + 1, "_last_lr": rates}
