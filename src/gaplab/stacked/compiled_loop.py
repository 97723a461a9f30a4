"""The steps of one classifier in compiled code: a stack of one, in the place of Lightning's optimisation loop.

Network and torch optimiser hold the state between two blocks of steps, so that callbacks, pictures, measurements
and checkpoints are those of any run.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from gaplab.config.network import is_pointwise
from gaplab.config.optimizer import LBFGSConfig, OptimizerConfig
from gaplab.config.registry import built_otherwise
from gaplab.config.schema import Config
from gaplab.data.loader import Block
from gaplab.stacked.batches import StackedBatches, check_stackable
from gaplab.stacked.classification_fn import classifier_functions
from gaplab.stacked.compile import CompiledFunction, has_compiler
from gaplab.stacked.stack_of_one import StackOfOne, steps_taken_elsewhere
from gaplab.stacked.stacked_optimizer import StackedOptimizer
from gaplab.stacked.step import Carried, make_step, scanned
from gaplab.tasks.block_loop import BlockOptimization, obstacle
from gaplab.tasks.classifier import Classifier

PAYS_FROM = 100_000
"""Optimiser steps from which a run saves more than compiling takes where nothing is cached. It must not depend on
what is cached: the same command gives the same numbers."""

Loop = TypeVar("Loop")

_log = logging.getLogger(__name__)


def build_compiled_loop(config: Config, trainer: Trainer, task: Classifier) -> "CompiledBlocks | None":
    """Return the loop that takes a classifier's steps in compiled code; None where eager steps are to be taken."""
    return loop_where_it_pays(
        config,
        PAYS_FROM,
        lambda: _obstacle(config, trainer, task),
        lambda: CompiledBlocks(config, trainer, task),
    )


def loop_where_it_pays(
    config: Config, pays_from: int, reason_against: Callable[[], str | None], build: Callable[[], Loop]
) -> Loop | None:
    """Return what ``build`` returns if ``trainer.compile`` asks for it, or a run has ``pays_from`` steps; else None.

    Where ``trainer.compile=true`` cannot be done, for a reason or because ``build`` raises a ValueError, one sentence
    says why.
    """
    wanted = config.trainer.compile
    if wanted is False or (wanted == "auto" and config.num_steps < pays_from):
        return None
    reason = reason_against()
    if reason is None:
        try:
            return build()
        except ValueError as error:
            reason = str(error)
    if wanted is True:
        _log.warning("trainer.compile=true: the steps are taken without the compiler, because %s.", reason)
    return None


def _obstacle(config: Config, trainer: Trainer, task: Classifier) -> str | None:
    if type(task) is not Classifier:
        return "only the tasks classification and gan have compiled steps"
    if not is_pointwise(config.network):
        return f"the network {type(config.network).__name__} may look at several points at once"
    return obstacle_of_run(config, trainer, task, [config.optimizer])


def obstacle_of_run(
    config: Config, trainer: Trainer, task: LightningModule, optimizers: Sequence[OptimizerConfig]
) -> str | None:
    """Return why the steps of a run cannot be compiled, whatever it learns, as the end of a sentence; or None."""
    if trainer.world_size > 1:
        return "the run is spread over several processes"
    for optimizer in optimizers:
        if isinstance(optimizer, LBFGSConfig) or optimizer.update_rule is None:
            return f"the optimizer {type(optimizer).__name__} has no compiled update rule"
        if built_otherwise(optimizer, "update_rule"):
            return f"the optimizer {type(optimizer).__name__} is built by code of its own"
    if config.trainer.precision not in ("32-true", "64-true"):
        return f"trainer.precision={config.trainer.precision} rounds inside a step"
    if config.schedule is not None:
        return "the section schedule moves the learning rate"
    if trainer.gradient_clip_val:
        return "trainer.gradient_clip_val is set; optimizer.max_grad_norm can be compiled"
    if not has_compiler(trainer.strategy.root_device):
        return "there is no compiler for this device"
    return obstacle(trainer, task)


class CompiledBlocks(BlockOptimization):
    """Automatic optimisation of a classifier by calls of a compiled step, from one to the next without Python's books.

    Args:
        config: The configuration of the run.
        trainer: Lightning's, with the data.
        task: The classifier.

    Raises:
        ValueError: If the network has a state that a pure function cannot update, or the data have no stacked form.
    """

    def __init__(self, config: Config, trainer: Trainer, task: Classifier) -> None:
        super().__init__(trainer)
        dtype = next(task.parameters()).dtype
        data = trainer.datamodule  # type: ignore[attr-defined]
        check_stackable([data])
        self.task = task
        self.functions = classifier_functions([config], [task], dtype, data.example_shape)
        self.opt = StackedOptimizer(
            "network.", self.functions.params, [config.optimizer], width=1, num_steps=config.num_steps
        )
        self.model = StackOfOne(self.opt, task.network)
        step = make_step(
            self.functions.loss, self.opt.update, clips=self.opt.clips, sharpens=self.opt.sharpens
        )
        self.step = CompiledFunction(scanned(step), compile=True)
        seeds, points_per_step = [config.train_seed], config.data.points_per_step
        self.batches = StackedBatches(
            [data.splits["train"]], seeds, points_per_step, 1, self.functions.draw, compiled=True
        )
        self.opt.to(trainer.strategy.root_device)

    def take_steps(self, optimizer: Optimizer, block: Block, kwargs: OrderedDict[str, Any]) -> dict[str, Any]:
        """Take an optimiser step for each batch; with settings that somebody changed, eager ones."""
        rates = self.opt.rates(block.steps)
        if self.model.has_changed(optimizer, float(rates[0, 0])):
            return super().take_steps(optimizer, block, kwargs)
        self.model.take_over(optimizer)
        with self.trainer.precision_plugin.train_step_context():  # whose default type dropout masks have
            losses = self._losses(list(block.steps), rates)
        self.model.give_back(optimizer)
        noted = dict(zip(block.steps, losses.unbind(), strict=True))
        self.task.noted["loss/train_batch"] = self.task.noted.get("loss/train_batch", {}) | noted
        with steps_taken_elsewhere():
            for _ in block.steps[1:]:
                self.step_schedules()
        return {"loss": losses[-1]}

    def _losses(self, steps: list[int], rates: Tensor) -> Tensor:
        """Take steps; return their losses [S]."""
        opt = self.opt
        tensors, drawn = self.batches.gather_steps(steps, [True])
        batches = zip(zip(*(tensor.unbind() for tensor in tensors), strict=True), drawn, rates, strict=True)
        (opt.params, opt.state, _), losses = self.step.scan(
            Carried(opt.params, opt.state, {}),
            batches,
            (None, self.functions.loss_coefficients, opt.hyper),
        )
        return torch.cat(losses)
