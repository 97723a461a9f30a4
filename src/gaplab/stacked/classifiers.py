"""K classifiers at once."""

import math
from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor

from gaplab.builders import build_data_and_task
from gaplab.callbacks.measures import FinalMeasures
from gaplab.config.measures import Measures
from gaplab.config.network import is_pointwise
from gaplab.data.datamodule import PointDataModule
from gaplab.data.splits import to_device
from gaplab.metrics.gap import SplitScore
from gaplab.metrics.scorecard import band_edges, scorecard
from gaplab.runs.recorder import Recorder
from gaplab.stacked.averaging import StackedAverage
from gaplab.stacked.batches import SCORED_AT_ONCE, SCORED_EAGERLY, StackedSplit
from gaplab.stacked.capacity import measure_stacked
from gaplab.stacked.classification_fn import classifier_functions
from gaplab.stacked.compile import CompiledFunction, Program, laid_out
from gaplab.stacked.ensemble import CompiledFunctions, Ensemble, StepLosses
from gaplab.stacked.purity import PROBED, refuse_hidden_differences
from gaplab.stacked.scoring import score_splits, summed
from gaplab.stacked.stacked_optimizer import StackedOptimizer
from gaplab.stacked.stacking import fill, moved, rows_of, stack, unstack
from gaplab.stacked.step import Carried, make_step, scanned
from gaplab.stacked.update_rules import Params
from gaplab.tasks.classifier import Classifier

PREFIX = "network."
"""Before the names of a network's tensors in the state dict of its task."""
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

    Raises:
        ValueError: If the networks cannot be stacked; the text says why.
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
        functions = classifier_functions(configs, tasks, dtype, data[0].example_shape)
        optimizers, num_steps = [config.optimizer for config in configs], configs[0].num_steps
        self.exact = not is_pointwise(configs[0].network)
        if self.exact:
            _check_brought(tasks, functions.params, functions.running, data, dtype)
        opt = StackedOptimizer(PREFIX, functions.params, optimizers, width=width, num_steps=num_steps)
        step = make_step(functions.loss, opt.update, clips=opt.clips, sharpens=opt.sharpens)
        compiled = compiled or {
            "step": CompiledFunction(scanned(step), compile=compile),
            "score": CompiledFunction(summed(functions.score), compile=compile),
        }
        saved = {name.removeprefix(PREFIX) for name in tasks[0].state_dict()}
        running = stack(functions.running, width)
        kept = {PREFIX + name: buffer for name, buffer in running.items() if name in saved}
        super().__init__(members, [one.splits for one in data], [opt], kept, compiled)
        self.functions, self.tasks = functions, list(tasks)
        if configs[0].trainer.averages:
            if running:
                raise ValueError(
                    "the average of a network with running statistics is taken by a run by itself"
                )
            self.average = StackedAverage(configs, opt.params, PREFIX, width)
        self.unsaved = {name: buffer for name, buffer in running.items() if name not in saved}
        """Stacked buffers that are no part of the state dict."""
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
            name: StackedSplit(
                [splits[name] for splits in self.splits],
                piece,
                self.width,
                compiled=self.compiled["score"].compile,
            )
            for name in self.splits[0]
            if name == "train" or not only_train
        }
        self.batches = self.stacked_batches(
            self.functions.draw, exact=self.exact, compiled=self.compiled["step"].compile
        )
        if self.average is not None:
            self.average.to(self.device)
        self.unsaved = moved(self.unsaved, self.device)
        self.loss_coefficients = moved(self.loss_coefficients, self.device)
        if self.compiled["step"].compile:
            (opt,) = self.stacked_optimizers
            opt.params, opt.state, self.running = laid_out(Carried(opt.params, opt.state, self.running))

    @property
    def running(self) -> Params:
        """The stacked buffers that training may change, by their names in the network."""
        return {name.removeprefix(PREFIX): buffer for name, buffer in self.kept.items()} | self.unsaved

    @running.setter
    def running(self, buffers: Params) -> None:
        self.kept = {name: buffers[name.removeprefix(PREFIX)] for name in self.kept}
        self.unsaved = {name: buffers[name] for name in self.unsaved}

    def measured_params(self) -> Params:
        """Return the stacked parameters that are measured: the averages where weights are averaged."""
        params = self.stacked_optimizers[0].params
        return params if self.average is None else self.average.measured(params)

    def tensors(self) -> Params:
        """Return all stacked parameters and buffers of the networks that are measured."""
        return self.measured_params() | self.running

    def weights(self) -> Params:
        return {PREFIX + name: p for name, p in self.measured_params().items()} | self.kept

    def programs(self) -> list[Program]:
        (opt,) = self.stacked_optimizers
        batches, buffers = self.batches.gather([0], [True] * len(self.members))
        carried = Carried(opt.params, opt.state, self.running)
        active = torch.ones(self.width, dtype=torch.bool, device=self.device)
        fixed = active, self.loss_coefficients, opt.hyper
        piece = next(self.stacked_splits["train"].pieces())
        batch = batches[0], buffers[0], opt.rates([0])[0]
        return [
            *self.compiled["score"].programs_of_call(self.tensors(), *piece),
            *self.compiled["step"].programs_of_scan(carried, batch, fixed),
        ]

    def take_steps(self, steps: Sequence[int], active: Tensor, flags: Sequence[bool]) -> Iterable[StepLosses]:
        """Take a step of every model for each batch."""
        (opt,) = self.stacked_optimizers
        all_train = all(flags) and not self.compiled["step"].compile
        batches, buffers = self.batches.gather(steps, flags)
        numbers = iter(steps)

        def average(carried: Carried) -> None:
            assert self.average is not None, "who asks has one"
            self.average.update(carried.params, next(numbers), active)

        (opt.params, opt.state, self.running), losses = self.compiled["step"].scan(
            Carried(opt.params, opt.state, self.running),
            zip(batches, buffers, opt.rates(steps), strict=True),
            (None if all_train else active, self.loss_coefficients, opt.hyper),
            None if self.average is None else average,
        )
        return [("loss/train_batch", step, loss) for step, loss in zip(steps, losses, strict=True)]

    def on_validation_epoch_start(self) -> None:
        self.sums: dict[str, list[list[float]]] = {}
        """By split, of each run: the sum of the losses, of their squares, and the number of hits."""

    def validation_step(self, name: str, batch_idx: int) -> None:
        """Score one split of all models, whole."""
        split = self.stacked_splits[name]
        sums = torch.zeros(3, self.width, dtype=torch.float64, device=self.device)
        for points, labels, mask in split.pieces():
            sums += self.compiled["score"](self.tensors(), points, labels, mask)
        self.sums[name] = sums.T.tolist()[: len(self.members)]

    def on_validation_epoch_end(self) -> None:
        self.penalties = self._penalties()
        super().on_validation_epoch_end()

    def measure(self, index: int, step: int) -> bool:
        """Hand the scores of one run to its member."""
        member, scores = self.members[index], {}
        for name, sums in self.sums.items():
            total, squares, correct = sums[index]
            count = self.stacked_splits[name].counts[index]
            scores[name] = SplitScore.of_sums(total, squares, int(correct), count)
        if not math.isfinite(scores["train"].loss):
            member.diverge("the loss on the training set", step)
            return False
        if member.config.trainer.test_only_at_end:
            if not member.ends_at(step, scores["train"].loss, scores["train"].accuracy):
                return False
            weights = unstack(self.tensors(), index)
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
            task.load_state_dict(unstack(self.weights(), index))
            level = Measures.bounds if index in capacities else member.config.measures
            found = FinalMeasures(level, lambda config=member.config: build_data_and_task(config)[1])  # type: ignore[misc]
            found.measure(task, data[index])
            found.capacity |= capacities.get(index, {})
            member.bounds, member.measures, member.remarks = found.bounds, found.table, found.remarks

    def _capacities(self, indices: Sequence[int]) -> dict[int, dict[str, float]]:
        """The capacity measures of the models that ask for no more than these."""
        chosen = [i for i in indices if self.members[i].config.measures is Measures.capacity]
        if not chosen or self.running:  # measured one by one, each with buffers of its own
            return {}
        weights = [unstack(self.measured_params(), index) for index in chosen]
        initial = [moved(self.functions.params[index], self.device) for index in chosen]
        train = [self.splits[index]["train"] for index in chosen]
        found = measure_stacked(self.tasks[chosen[0]].network, weights, initial, train)
        return dict(zip(chosen, found, strict=True))

    def keep(self, kept: Sequence[int], rows: Tensor) -> None:
        self.tasks = [self.tasks[index] for index in kept]
        self.functions.params = [self.functions.params[index] for index in kept]
        self.functions.running = [self.functions.running[index] for index in kept]
        self.unsaved = rows_of(self.unsaved, rows)
        if self.average is not None:
            self.average.keep(rows)
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
        for p in self.measured_params().values():
            weights[int(p.dim() <= 2)] += p.double().square().flatten(1).sum(1)
        decays = torch.stack([opt.hyper["weight_decay"], opt.hyper["bias_decay"]])
        return (0.5 * decays * weights).sum(0).tolist()


def _check_brought(
    tasks: Sequence[Classifier],
    params: Sequence[Params],
    running: Sequence[Params],
    data: Sequence[PointDataModule],
    dtype: torch.dtype,
) -> None:
    """Refuse networks of a user's own that stacked models cannot stand for.

    Raises:
        ValueError: With the reason.
    """
    if len({len(one.splits["train"]) for one in data}) > 1:
        raise ValueError(
            "a network that may compare the points of a batch needs equally many training points a run"
        )
    change = to_device(None, dtype)
    some = [change(one.splits["train"].points[:PROBED]) for one in data]
    refuse_hidden_differences(
        [task.network for task in tasks],
        [own | more for own, more in zip(params, running, strict=True)],
        [partial(tuple, [points]) for points in some],
    )
