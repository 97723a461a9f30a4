"""K classifiers at once."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from gaplab.builders import build_data_and_task
from gaplab.callbacks.measures import FinalMeasures
from gaplab.config.measures import Measures
from gaplab.data.datamodule import PointDataModule
from gaplab.metrics.gap import SplitScore
from gaplab.metrics.scorecard import band_edges, scorecard
from gaplab.runs.recorder import Recorder
from gaplab.stacked.batches import SCORED_AT_ONCE, SCORED_EAGERLY, StackedSplit
from gaplab.stacked.capacity import measure_stacked
from gaplab.stacked.classification_fn import classifier_functions
from gaplab.stacked.compile import CompiledFunction
from gaplab.stacked.ensemble import CompiledFunctions, Ensemble, StepLosses
from gaplab.stacked.scoring import score_splits, summed
from gaplab.stacked.stacked_optimizer import StackedOptimizer
from gaplab.stacked.stacking import fill, moved, rows_of, unstack
from gaplab.stacked.step import make_step
from gaplab.tasks.classifier import Classifier

TRAIN_PIECE = 128
"""Points of one model scored at once where only training points are, which may be few."""


class StackedClassifiers(Ensemble):
    """Classifiers of one group; see ``Ensemble``.

    Args:
        members: The runs, all at the same step.
        tasks: Their tasks.
        data: Their points.
        dtype: Precision of weights and points.
        width: Number of models that are computed; those beyond the runs only fill up, so that the compiled
            step has one shape.
        compile: Whether to compile the step and the scoring.
        compiled: Those of an earlier ensemble of the same group and width, to compile only once.
    """

    quantities = {"loss/train_batch": "the loss"}  # noqa: RUF012

    def __init__(
        self,
        members: Sequence[Recorder],
        tasks: Sequence[Classifier],
        data: Sequence[PointDataModule],
        *,
        dtype: torch.dtype,
        width: int,
        compile: bool,
        compiled: CompiledFunctions | None = None,
    ) -> None:
        configs = [member.config for member in members]
        functions = classifier_functions(configs, tasks, dtype)
        optimizers, num_steps = [config.optimizer for config in configs], configs[0].num_steps
        opt = StackedOptimizer("network.", functions.params, optimizers, width=width, num_steps=num_steps)
        step = make_step(functions.loss, opt.update, clips=opt.clips)
        compiled = compiled or {
            "step": CompiledFunction(step, compile=compile),
            "score": CompiledFunction(summed(functions.score), compile=compile),
        }
        super().__init__(members, [one.splits for one in data], [opt], {}, compiled)
        self.functions, self.tasks = functions, list(tasks)
        self.loss_coefficients = {
            name: fill(values, width) for name, values in functions.loss_coefficients.items()
        }

    def on_fit_start(self) -> None:
        """Stack the points on the device."""
        super().on_fit_start()
        data, only_train = self.members[0].config.data, self.members[0].config.trainer.test_only_at_end
        at_once = SCORED_AT_ONCE if self.compiled["score"].compile else SCORED_EAGERLY
        piece = min(at_once, max(data.size_of("test"), data.size_of("val"), 64))
        piece = TRAIN_PIECE if only_train else piece
        self.stacked_splits = {
            name: StackedSplit([splits[name] for splits in self.splits], piece, self.width)
            for name in self.splits[0]
            if name == "train" or not only_train
        }
        self.batches = self.stacked_batches(self.functions.draw)
        self.loss_coefficients = moved(self.loss_coefficients, self.device)

    def take_steps(self, steps: Sequence[int], active: Tensor, flags: Sequence[bool]) -> Iterable[StepLosses]:
        """Take a step of every model for each batch."""
        (opt,) = self.stacked_optimizers
        all_train = all(flags) and not self.compiled["step"].compile
        batches, buffers = self.batches.gather(steps, flags)
        noted = []
        for step, batch, drawn, lr in zip(steps, batches, buffers, opt.rates(steps), strict=True):
            opt.params, opt.state, losses = self.compiled["step"](
                opt.params,
                opt.state,
                None if all_train else active,
                drawn,
                batch,
                self.loss_coefficients,
                opt.hyper | {"lr": lr},
            )
            noted.append(("loss/train_batch", step, losses))
        return noted

    def on_validation_epoch_start(self) -> None:
        self.scores: list[dict[str, SplitScore]] = [{} for _ in self.members]

    def validation_step(self, name: str, batch_idx: int) -> None:
        """Score one split of all models, whole."""
        split = self.stacked_splits[name]
        sums = torch.zeros(3, self.width, dtype=torch.float64, device=self.device)
        for points, labels, mask in split.pieces():
            sums += self.compiled["score"](self.stacked_optimizers[0].params, points, labels, mask)
        for index, (total, squares, correct) in enumerate(sums.T.tolist()[: len(self.members)]):
            self.scores[index][name] = SplitScore.of_sums(total, squares, int(correct), split.counts[index])

    def on_validation_epoch_end(self) -> None:
        self.penalties = self._penalties()
        super().on_validation_epoch_end()

    def measure(self, index: int, step: int) -> bool:
        """Hand the scores of one run to its member."""
        member, scores = self.members[index], self.scores[index]
        if not math.isfinite(scores["train"].loss):
            member.diverge("the loss on the training set", step)
            return False
        if member.config.trainer.test_only_at_end:
            if not member.ends_at(step, scores["train"].loss, scores["train"].accuracy):
                return False
            weights = unstack(self.stacked_optimizers[0].params, index)
            scores |= score_splits(self.functions.score, weights, self.splits[index])
        table = scorecard(scores, self.stacked_optimizers[0].num_parameters, self.penalties[index])
        extras = band_edges(table) | {"optimizer/lr": self.stacked_optimizers[0].rate(index, step)}
        return member.record(step, table, extras | self.block_losses[index])

    def measure_last(self, data: Sequence[PointDataModule], indices: Sequence[int]) -> None:
        """Measure bounds and capacity of the last weights, as far as each run asks for them."""
        capacities = self._capacities(indices)
        for index in indices:
            member, task = self.members[index], self.tasks[index]
            task.to(self.device)
            task.network.load_state_dict(unstack(self.stacked_optimizers[0].params, index))
            level = Measures.bounds if index in capacities else member.config.measures
            found = FinalMeasures(level, lambda config=member.config: build_data_and_task(config)[1])  # type: ignore[misc]
            found.measure(task, data[index])
            found.capacity |= capacities.get(index, {})
            member.bounds, member.measures, member.remarks = found.bounds, found.table, found.remarks

    def _capacities(self, indices: Sequence[int]) -> dict[int, dict[str, float]]:
        """The capacity measures of the models that ask for no more than these."""
        chosen = [i for i in indices if self.members[i].config.measures is Measures.capacity]
        if not chosen:
            return {}
        weights = [unstack(self.stacked_optimizers[0].params, index) for index in chosen]
        initial = [moved(self.functions.params[index], self.device) for index in chosen]
        train = [self.splits[index]["train"] for index in chosen]
        found = measure_stacked(self.tasks[chosen[0]].network, weights, initial, train)
        return dict(zip(chosen, found, strict=True))

    def keep(self, kept: Sequence[int], rows: Tensor) -> None:
        self.tasks = [self.tasks[index] for index in kept]
        self.functions.params = [self.functions.params[index] for index in kept]
        self.loss_coefficients = rows_of(self.loss_coefficients, rows)
        self.batches.keep(kept, rows)
        for split in self.stacked_splits.values():
            split.keep(kept, rows)

    def _penalties(self) -> list[float]:
        """The L2 penalty of each model, as ``tasks.optimizers.l2_penalty`` defines it."""
        (opt,) = self.stacked_optimizers
        if opt.rule == "adamw":
            return [0.0] * len(self.members)
        weights = torch.zeros(2, self.width, dtype=torch.float64, device=self.device)
        for p in opt.params.values():
            weights[int(p.dim() <= 2)] += p.double().square().flatten(1).sum(1)
        decays = torch.stack([opt.hyper["weight_decay"], opt.hyper["bias_decay"]])
        return (0.5 * decays * weights).sum(0).tolist()
