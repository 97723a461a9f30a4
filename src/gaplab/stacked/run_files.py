"""Checkpoints of one run out of an ensemble, in the form that Lightning writes for a run alone."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch import Trainer
from tensorboard.plugins.hparams import api_pb2
from torch import Tensor

from gaplab.callbacks.hparams_row import HParamsRow
from gaplab.config.compose import Composed
from gaplab.config.hparams import flat_settings, shown_settings
from gaplab.runs.recorder import STATE_KEY, Recorder
from gaplab.stacked.ensemble import Ensemble
from gaplab.stacked.stacking import unstack
from gaplab.storage.atomic import replacing
from gaplab.tensorboard.event_files import WholeEventFile, event_sizes
from gaplab.tensorboard.loggers import MetricsTable


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint under a temporary name and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        torch.save(content, temporary)


def save_weights(path: Path, weights: Mapping[str, Tensor], step: int) -> None:
    """Write ``best.ckpt``: the state dict of a run's task and the step that it belongs to."""
    save_checkpoint(path, {**_head(step), "state_dict": _on_cpu(weights)})


class Progress(NamedTuple):
    """How far a trainer is, and how its loops say so: the same for all runs of a chunk."""

    step: int
    loops: dict[str, Any]


def progress_of(trainer: Trainer) -> Progress:
    return Progress(trainer.global_step, trainer._checkpoint_connector._get_loops_state_dict())


def member_checkpoint(progress: Progress, ensemble: Ensemble, index: int, run: Path) -> dict[str, Any]:
    """Return the content of one run's ``last.ckpt``, from which the run alone or a chunk can continue."""
    member = ensemble.members[index]
    states = [opt.torch_states(index, member.step) for opt in ensemble.stacked_optimizers]
    return {
        **_head(member.step),
        "state_dict": _on_cpu(unstack(ensemble.weights(), index)),
        "loops": progress.loops,
        "callbacks": _callback_states(member, run),
        "optimizer_states": [optimizer for optimizer, _ in states],
        "lr_schedulers": [schedule for _, schedule in states if schedule is not None],
    }


def _head(step: int) -> dict[str, Any]:
    return {"epoch": 0, "global_step": step, "pytorch-lightning_version": lightning.__version__}


def _on_cpu(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.cpu() for name, tensor in weights.items()}


def _callback_states(member: Recorder, run: Path) -> dict[str, Any]:
    return {STATE_KEY: member.state_dict(), "Checkpoints": {"event_sizes": event_sizes(run)}}


def write_metrics(path: Path, tables: Mapping[int, Mapping[str, float]]) -> None:
    """Append a row a step to ``metrics.csv``."""
    MetricsTable(path).append(tables)


def write_hparams_row(
    folder: Path,
    composed: Composed,
    member: Recorder,
    final: Mapping[str, float] | None = None,
    pruned_at: int | None = None,
) -> None:
    """Write the run's row on the HPARAMS page; without ``final`` the run was pruned at a step, or has failed."""
    if not composed.config.logging.tensorboard:
        return
    config = composed.config
    shown = shown_settings(config, composed.overrides, composed.varied)
    row = HParamsRow(folder, flat_settings(config), shown, number=composed.number)
    row.open(partial(WholeEventFile, folder, HParamsRow.SUFFIX))
    if final is not None:
        weights = "best" if member.has_best else "last"
        row.end(final, max(member.history), api_pb2.STATUS_SUCCESS, weights)
    else:
        row.end_early(member, pruned_at)
