"""The LightningModule that trains K runs at once, whatever they learn."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from gaplab.data.datamodule import PointDataModule
from gaplab.data.splits import Split, to_device
from gaplab.runs.recorder import Recorder
from gaplab.stacked.averaging import StackedAverage
from gaplab.stacked.batches import StackedBatches
from gaplab.stacked.build_together import build_together
from gaplab.stacked.compile import CompiledFunction, Program
from gaplab.stacked.stacked_optimizer import DrawBuffers, StackedOptimizer
from gaplab.stacked.stacking import moved, stack
from gaplab.stacked.update_rules import Params, select
from gaplab.tasks.block_loop import count_steps

GATHERED = 20
"""Steps whose batches are gathered at once; more would leave the cache."""
CompiledFunctions = dict[str, CompiledFunction]
"""The functions that take the time, by name."""
StepLosses = tuple[str, int, Tensor]
"""A tag, a step and the losses [K] of all models."""


class Ensemble(LightningModule):
    """K runs of equal shapes; every model keeps its own data, order, settings and stopping point.

    What a step is and what is measured, the classes for each task say.

    Args:
        members: The runs, all at the same step.
        splits: The points of each run.
        stacked_optimizers: One for each optimiser of a run.
        kept: Stacked tensors of the state dict that no optimiser moves, by their whole names.
        compiled: The compiled functions.
    """

    quantities: dict[str, str]
    """What is noted of a block of steps, by tag, and what it is called where it is not finite."""
    average: StackedAverage | None = None
    """The averages of weights, where they are what is measured."""

    def __init__(
        self,
        members: Sequence[Recorder],
        splits: Sequence[dict[str, Split]],
        stacked_optimizers: Sequence[StackedOptimizer],
        kept: Params,
        compiled: CompiledFunctions,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.members, self.splits, self.stacked_optimizers, self.kept, self.compiled = (
            members,
            splits,
            stacked_optimizers,
            kept,
            compiled,
        )
        self.width = stacked_optimizers[0].width
        self.best = {name: p.clone() for name, p in self.weights().items()}
        self.block_losses: list[dict[str, float]] = [{} for _ in members]
        """Mean losses of the latest block of steps, by tag, of each run."""

    @abstractmethod
    def take_steps(self, steps: Sequence[int], active: Tensor, flags: Sequence[bool]) -> Iterable[StepLosses]:
        """Take some steps with the models that are ``active`` (bool [K]; ``flags`` are those of the runs)."""

    @abstractmethod
    def measure(self, index: int, step: int) -> bool:
        """Measure one run and hand the scores to its member; return whether its weights are the best so far.

        Raises:
            DivergedError: If the run has diverged.
            Exception: Whatever else ends this run, and no other.
        """

    @abstractmethod
    def keep(self, kept: Sequence[int], rows: Tensor) -> None:
        """Leave out all models but those at the positions ``kept`` (``rows`` as a tensor) of what is its own."""

    def programs(self) -> list[Program]:
        """Return what scoring and steps are going to compile; asked on the device."""
        return []

    def measure_last(self, data: Sequence[PointDataModule], indices: Sequence[int]) -> None:
        """Measure the last weights of some runs beyond their scores, and give it to their members."""

    def weights(self) -> Params:
        """Return the state dicts of all runs' tasks, stacked."""
        moving = {
            f"{opt.prefix}{name}": p for opt in self.stacked_optimizers for name, p in opt.params.items()
        }
        return moving | self.kept

    def restore(self, weights: Sequence[Params], best: Sequence[Params], states: Sequence[list[Any]]) -> None:
        """Continue from the state dicts of each run, its best ones, and the states of its optimisers."""
        for number, opt in enumerate(self.stacked_optimizers):
            own = [{name: one[opt.prefix + name] for name in opt.params} for one in weights]
            opt.params = stack(own, self.width)
            opt.restore([one[number] for one in states])
        self.kept = stack([{name: one[name] for name in self.kept} for one in weights], self.width)
        self.best = stack([{name: one[name] for name in self.best} for one in best], self.width)

    def stacked_batches(
        self, draw: DrawBuffers | None, *, exact: bool = False, compiled: bool = False
    ) -> StackedBatches:
        """Return the batches of all runs, from the points on their device."""
        return StackedBatches(
            [splits["train"] for splits in self.splits],
            [member.config.train_seed for member in self.members],
            self.members[0].config.data.points_per_step,
            self.width,
            draw,
            exact=exact,
            compiled=compiled,
        )

    def on_fit_start(self) -> None:
        """Move points and weights to the device."""
        dtype = next(iter(self.stacked_optimizers[0].params.values())).dtype
        for splits in self.splits:
            for split in splits.values():
                split.moved(to_device(self.device, dtype))
        for opt in self.stacked_optimizers:
            opt.to(self.device)
        self.kept, self.best = moved(self.kept, self.device), moved(self.best, self.device)

    def on_train_start(self) -> None:
        """Compile before the first measurement, which needs only a part of it, together with others of a sweep."""
        if any(function.compile for function in self.compiled.values()):
            with self.trainer.precision_plugin.train_step_context():
                build_together(self.programs())

    def configure_optimizers(self) -> None:
        """Return nothing: the update rules are pure functions."""

    def training_step(self, block: list[int], batch_idx: int) -> None:
        """Take the steps of a block with all models that still train."""
        flags = [member.active for member in self.members]
        active = torch.tensor(flags + [False] * (self.width - len(flags)), device=self.device)
        found: dict[str, list[tuple[int, Tensor]]] = {tag: [] for tag in self.quantities}
        for begin in range(0, len(block), GATHERED):
            for tag, step, losses in self.take_steps(block[begin : begin + GATHERED], active, flags):
                found[tag].append((step, losses))
        count_steps(self.trainer, len(block))
        self.block_losses = [{} for _ in flags]
        for tag, noted in found.items():
            if noted:
                steps, values = zip(*noted, strict=True)
                self._note(tag, torch.stack(values)[:, : len(flags)].cpu(), steps)

    def _note(self, tag: str, losses: Tensor, steps: Sequence[int]) -> None:
        """Keep the mean losses [K] of some steps; models whose loss is not finite have diverged."""
        for table, mean in zip(self.block_losses, mean_over_steps(losses).tolist(), strict=True):
            table[tag] = mean
        broken = ~losses.isfinite()
        for index in broken.any(dim=0).nonzero().flatten().tolist():
            self.members[index].diverge(self.quantities[tag], steps[int(broken[:, index].nonzero()[0])])

    def validation_step(self, name: str, batch_idx: int) -> None:
        """Score one split of all models, where a task is measured split by split."""

    def on_validation_epoch_end(self) -> None:
        """Measure each run that still trains, and keep the weights of those that are at their best."""
        step = self.trainer.global_step
        improved = [False] * self.width
        for index, member in enumerate(self.members):
            if member.active:
                try:
                    improved[index] = self.measure(index, step)
                except Exception as error:  # of one run: the others go on
                    member.fail(error)
        with torch.inference_mode(False):
            self.best = select(torch.tensor(improved, device=self.device), self.weights(), self.best)


def mean_over_steps(losses: Tensor) -> Tensor:
    """Return the mean [K] of losses [S, K], added up step by step: a model's does not depend on its neighbours.

    A reduction by torch takes another order for one column than for two: a run that continues without its
    neighbour would note another last digit.

    >>> mean_over_steps(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    tensor([2., 4.], dtype=torch.float64)
    """
    total = torch.zeros(losses.shape[1], dtype=torch.float64)
    for row in losses:
        total += row
    return total / len(losses)
