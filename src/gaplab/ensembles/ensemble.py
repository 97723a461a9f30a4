"""The LightningModule that trains K runs at once."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.func import vmap

from gaplab.data.datamodule import Split
from gaplab.ensembles.batches import SCORED_AT_ONCE, StackedBatches, StackedSplit
from gaplab.ensembles.compilation import Kernel
from gaplab.ensembles.member import Member
from gaplab.ensembles.optimizers import RULES, initial_state, stack_hyperparameters
from gaplab.ensembles.problem import Problem, norm_limits, rule_of, settings_of
from gaplab.ensembles.stacking import stack
from gaplab.ensembles.step import make_step
from gaplab.metrics.gap import SplitScore
from gaplab.metrics.scorecard import band_edges, scorecard
from gaplab.tasks.optimization import count_steps, schedule_factor

GATHERED = 20
"""Steps whose batches are gathered at once; more would leave the cache."""


class Kernels(NamedTuple):
    """The two functions that take the time."""

    step: Kernel
    score: Kernel


class Ensemble(LightningModule):
    """K runs of equal shapes; every model keeps its own data, order, settings and stopping point.

    Args:
        members: The runs, all at the same step.
        problem: Their pure functions and initial parameters.
        splits: The points of each run.
        width: Number of models that are computed; those beyond the runs only fill up, so that the compiled
            step has one shape.
        compile: Whether to compile the step and the scoring.
        kernels: Those of an earlier ensemble of the same group and width, to compile only once.
    """

    def __init__(
        self,
        members: Sequence[Member],
        problem: Problem,
        splits: Sequence[dict[str, Split]],
        *,
        width: int,
        compile: bool,
        kernels: Kernels | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.members, self.problem, self.splits = members, problem, splits
        self.width = width
        configs = [member.config for member in members]
        optimizers = [config.optimizer for config in configs]
        self.rule = rule_of(optimizers[0])
        step = make_step(problem.loss, RULES[self.rule], clips=optimizers[0].clip_norm is not None)
        self.kernels = kernels or Kernels(
            Kernel(step, compile=compile), Kernel(vmap(problem.score), compile=compile)
        )
        self.params = stack(problem.params, width)
        self.best = {name: p.clone() for name, p in self.params.items()}
        self.state = initial_state(self.rule, self.params)
        self.knobs = {name: _fill(values, width) for name, values in problem.knobs.items()}
        self.hyper = stack_hyperparameters(self.rule, len(members), settings_of(optimizers))
        self.hyper["clip_norm"] = norm_limits(optimizers)
        self.hyper = {name: _fill(values, width) for name, values in self.hyper.items()}
        self.losses: list[float] = []

    def on_fit_start(self) -> None:
        """Stack the points on the device."""
        first = self.members[0].config
        dtype = next(iter(self.params.values())).dtype
        for splits in self.splits:
            for split in splits.values():
                split.points = split.points.to(self.device, dtype)
                split.labels = split.labels.to(self.device)
        largest = max(first.data.num_test_points, first.data.num_val_points, 64)
        piece = min(SCORED_AT_ONCE, largest)
        self.stacked_splits = {
            name: StackedSplit([splits[name] for splits in self.splits], piece, self.width)
            for name in self.splits[0]
        }
        self.batches = StackedBatches(
            [splits["train"] for splits in self.splits],
            [member.config.order_seed for member in self.members],
            first.data.points_per_step,
            self.width,
            self.problem.draw,
        )
        move = _mover(self.device)
        self.params, self.best = move(self.params), move(self.best)
        self.state = self.state._replace(
            steps=self.state.steps.to(self.device),
            buffers={name: move(buffer) for name, buffer in self.state.buffers.items()},
        )
        self.knobs, self.hyper = move(self.knobs), move(self.hyper)

    def configure_optimizers(self) -> None:
        """Return nothing: the update rules are pure functions."""

    def training_step(self, block: list[int], batch_idx: int) -> None:
        """Take the steps of a block with all models that still train."""
        flags = [member.active for member in self.members]
        active = torch.tensor(flags + [False] * (self.width - len(flags)), device=self.device)
        losses = []
        for begin in range(0, len(block), GATHERED):
            steps = block[begin : begin + GATHERED]
            batches, buffers = self.batches.gather(steps, flags)
            rates = self._learning_rates(steps)
            for batch, drawn, lr in zip(batches, buffers, rates, strict=True):
                self.params, self.state, loss = self.kernels.step(
                    self.params, self.state, active, drawn, batch, self.knobs, self.hyper | {"lr": lr}
                )
                losses.append(loss)
        count_steps(self.trainer, len(block))
        self._note_losses(torch.stack(losses)[:, : len(flags)].cpu(), block)

    def _learning_rates(self, steps: Sequence[int]) -> Tensor:
        """The learning rate of every model at every step, float64 [S, K]."""
        rates = [
            [c.lr * schedule_factor(c, step, self.members[0].config.num_steps) for c in self._optimizers()]
            for step in steps
        ]
        return _fill(torch.tensor(rates, dtype=torch.float64).T, self.width).T.contiguous().to(self.device)

    def _optimizers(self) -> list[Any]:
        return [member.config.optimizer for member in self.members]

    def _note_losses(self, losses: Tensor, block: list[int]) -> None:
        """Keep the mean loss [K] of the block; models whose loss is not finite have diverged."""
        self.losses = losses.mean(dim=0).tolist()
        broken = ~losses.isfinite()
        for index in broken.any(dim=0).nonzero().flatten().tolist():
            if self.members[index].active:
                self.members[index].diverged_at = block[int(broken[:, index].nonzero()[0])]

    def validation_step(self, name: str, batch_idx: int) -> None:
        """Score one split of all models, whole."""
        split = self.stacked_splits[name]
        sums = torch.zeros(3, self.width, dtype=torch.float64, device=self.device)
        for points, labels, mask in split.pieces():
            losses, hits = self.kernels.score(self.params, points, labels)
            losses = torch.where(mask, losses, 0).double()
            sums += torch.stack([losses.sum(1), losses.square().sum(1), (hits & mask).double().sum(1)])
        for index, (total, squares, correct) in enumerate(sums.T.tolist()[: len(self.members)]):
            self.scores[index][name] = split_score(total, squares, int(correct), split.counts[index])

    def on_validation_epoch_start(self) -> None:
        self.scores: list[dict[str, SplitScore]] = [{} for _ in self.members]

    def on_validation_epoch_end(self) -> None:
        """Hand each model's scores to its member, and keep the weights of those that are at their best."""
        step = self.trainer.global_step
        improved = [False] * self.width
        penalties = self._penalties()
        num_parameters = sum(p[0].numel() for p in self.params.values())
        for index, member in enumerate(self.members):
            if not member.active:
                continue
            scores = self.scores[index]
            table = scorecard(scores, num_parameters, penalties[index])
            improved[index] = member.record(step, scores, table)
            member.extras[step] = band_edges(table) | {
                "optimizer/lr": self._learning_rate_after(index, step),
                "loss/train_batch": self.losses[index],
            }
        with torch.inference_mode(False):
            choice = torch.tensor(improved, device=self.device)
            self.best = {
                name: torch.where(choice.view(-1, *[1] * (p.dim() - 1)), p, self.best[name])
                for name, p in self.params.items()
            }

    def _penalties(self) -> list[float]:
        """The L2 penalty of each model, as `tasks.optimization.l2_penalty` defines it."""
        if self.rule == "adamw":
            return [0.0] * len(self.members)
        weights = torch.zeros(2, self.width, dtype=torch.float64, device=self.device)
        for p in self.params.values():
            weights[int(p.dim() <= 2)] += p.double().square().flatten(1).sum(1)
        decays = torch.stack([self.hyper["weight_decay"], self.hyper["bias_decay"]])
        return (0.5 * decays * weights).sum(0).tolist()

    def _learning_rate_after(self, index: int, step: int) -> float:
        config = self.members[index].config
        return config.optimizer.lr * schedule_factor(config.optimizer, step, config.num_steps)


def split_score(total: float, squares: float, correct: int, count: int) -> SplitScore:
    """Make a score of the sums over a split, as `metrics.gap.SplitScores` does."""
    mean = total / count
    variance = max(squares - count * mean**2, 0.0) / (count - 1) if count > 1 else float("nan")
    return SplitScore(mean, (variance / count) ** 0.5, correct / count, count)


def _fill(values: Tensor, width: int) -> Tensor:
    """Repeat the first of K values until there are `width`."""
    return torch.cat([values, values[:1].expand(width - len(values), *values.shape[1:])])


def _mover(device: torch.device) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda tensors: {name: tensor.to(device) for name, tensor in tensors.items()}
