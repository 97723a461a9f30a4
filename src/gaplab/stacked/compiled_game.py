"""The steps of one GAN in compiled code: a stack of one, in the place of Lightning's manual optimisation."""

from collections import OrderedDict
from typing import Any

import torch
from lightning.pytorch import Trainer

from gaplab.config.gan import GANConfig
from gaplab.config.schema import Config
from gaplab.data.loader import Block
from gaplab.runs.recorder import Recorder
from gaplab.stacked.batches import check_stackable
from gaplab.stacked.compiled_loop import loop_where_it_pays, obstacle_of_run
from gaplab.stacked.gans import AMPLITUDE, AVERAGE, DISCRIMINATOR, StackedGANs
from gaplab.stacked.stack_of_one import StackOfOne, steps_taken_elsewhere
from gaplab.tasks.block_loop import ManualBlockOptimization, count_steps
from gaplab.tasks.gan import GAN

PAYS_FROM = 4_000
"""Steps from which a run saves more (15 ms a step of the ring) than compiling takes where nothing is cached (24 s)."""


def build_compiled_game(config: Config, trainer: Trainer, task: GAN) -> "CompiledGame | None":
    """Return the loop that takes a GAN's steps in compiled code; None where eager steps are to be taken."""
    return loop_where_it_pays(
        config,
        PAYS_FROM,
        lambda: _obstacle(config, trainer, task),
        lambda: CompiledGame(config, trainer, task),
    )


def _obstacle(config: Config, trainer: Trainer, task: GAN) -> str | None:
    assert isinstance(config.task, GANConfig), "who asks has one"
    if type(task) is not GAN:
        return "only the tasks classification and gan have compiled steps"
    return config.task.unstacked or obstacle_of_run(config, trainer, task, task.optimizer_configs)


class CompiledGame(ManualBlockOptimization):
    """Manual optimisation of a GAN by calls of a compiled step.

    Networks and torch optimisers hold the state between two blocks of steps.

    Args:
        config: The configuration of the run.
        trainer: Lightning's, with the data.
        task: The GAN.

    Raises:
        ValueError: If the networks or the data have no stacked form.
    """

    def __init__(self, config: Config, trainer: Trainer, task: GAN) -> None:
        super().__init__(trainer)
        data = trainer.datamodule  # type: ignore[attr-defined]
        check_stackable([data])
        self.task = task
        dtype = next(task.parameters()).dtype
        self.stack = StackedGANs([Recorder(config)], [task], [data], dtype=dtype, width=1, compile=True)
        self.stack.to(trainer.strategy.root_device)
        self.stack.on_fit_start()
        networks = (task.discriminator, task.generator)
        self.players = [
            StackOfOne(opt, network)
            for opt, network in zip(self.stack.stacked_optimizers, networks, strict=True)
        ]

    def advance(self, kwargs: OrderedDict[str, Any]) -> None:
        """Take a step of the game for each batch; with settings that somebody changed, eager ones."""
        block, optimizers = kwargs["batch"], self.trainer.optimizers
        if not isinstance(block, Block) or any(
            player.has_changed(optimizer, float(player.opt.rates([block.steps[0]])[0, 0]))
            for player, optimizer in zip(self.players, optimizers, strict=True)
        ):
            super().advance(kwargs)
            return
        for player, optimizer in zip(self.players, optimizers, strict=True):
            player.take_over(optimizer)
        average = dict(self.task.average.named_parameters())
        self.stack.kept |= {AVERAGE + name: p.detach()[None] for name, p in average.items()}
        with self.trainer.precision_plugin.train_step_context(), torch.no_grad():
            for tag, step, loss in self.stack.take_steps(
                block.steps, torch.ones(1, dtype=torch.bool, device=self.stack.device), [True]
            ):
                self.task.noted.setdefault(tag, {})[step] = loss[0]
            for name, p in average.items():
                p.copy_(self.stack.kept[AVERAGE + name][0])
            if self.stack.waves:
                self.task.discriminator.get_buffer(AMPLITUDE).copy_(
                    self.stack.kept[DISCRIMINATOR + AMPLITUDE][0]
                )
        for player, optimizer in zip(self.players, optimizers, strict=True):
            player.give_back(optimizer)
        self._count(block)

    def _count(self, block: Block) -> None:
        """Move the schedules and Lightning's counters as if each step had been taken by itself."""
        with steps_taken_elsewhere():
            for step in block.steps:
                self.task.move_schedule(0)
                if (step + 1) % self.task.config.discriminator_steps == 0:
                    self.task.move_schedule(1)
        count_steps(self.trainer, len(block))
        self.trainer.fit_loop.epoch_loop._batches_that_stepped += len(block) - 1
