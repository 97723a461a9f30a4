"""K tasks written as ``losses`` at once."""

import copy
import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gaplab.data.datamodule import PointDataModule
from gaplab.data.loader import Batch
from gaplab.data.splits import Split, to_device
from gaplab.metrics.scorecard import band_edges
from gaplab.networks import Dropout
from gaplab.randomness import make_generator
from gaplab.runs.recorder import Recorder
from gaplab.stacked.compile import CompiledFunction
from gaplab.stacked.drawn_numbers import Call, DrawingRecorded, DrawingReplaced, draw_all
from gaplab.stacked.ensemble import CompiledFunctions, Ensemble, StepLosses
from gaplab.stacked.purity import PROBED, refuse_hidden_differences, refuse_impure, running_buffers
from gaplab.stacked.stacked_optimizer import StackedOptimizer
from gaplab.stacked.stacking import rows_of, stack, unstack
from gaplab.stacked.step import Loss, make_step
from gaplab.stacked.update_rules import Params
from gaplab.tasks.losses_task import LossesTask

OWN = (
    *("losses", "score", "predictions", "metrics", "higher_is_better", "scorecard", "monitor", "quantities"),
    *("forward", "layer_outputs", "from_config", "section", "uses_dropout"),
)
"""What a task may define by itself and still be stacked: nothing of it decides how a step is taken."""


class StackedLosses(Ensemble):
    """Tasks written as ``losses`` of one group; see ``Ensemble``.

    Steps are taken by all models at once and never compiled, as ``losses`` may ask for the number of the step. The
    models are measured one after another, each by its own task.

    Args:
        members: The runs, all at the same step.
        tasks: Their tasks.
        data: Their points.
        dtype: Precision of weights and points.
        width: Number of models that are computed.
        compile: Ignored.
        compiled: Ignored.

    Raises:
        ValueError: If the tasks cannot be stacked; the text says why.
    """

    quantities = LossesTask.quantities

    def __init__(
        self,
        members: Sequence[Recorder],
        tasks: Sequence[LossesTask],
        data: Sequence[PointDataModule],
        *,
        dtype: torch.dtype,
        width: int,
        compile: bool,
        compiled: CompiledFunctions | None = None,
    ) -> None:
        _refuse_own_loops(tasks[0])
        if members[0].config.trainer.test_only_at_end:
            raise ValueError("trainer.test_only_at_end is for classifiers")
        if len({len(one.splits["train"]) for one in data}) > 1:
            raise ValueError(
                "a loss that may compare the examples of a batch needs equally many training points a run"
            )
        for task in tasks:
            task.to(dtype)
        params = [{name: p.detach() for name, p in task.named_parameters()} for task in tasks]
        running = [running_buffers(task) for task in tasks]
        configs = [member.config for member in members]
        optimizer = StackedOptimizer(
            "", params, [config.optimizer for config in configs], width=width, num_steps=configs[0].num_steps
        )
        self.step_number = 0
        _check(tasks, [one.splits["train"] for one in data], dtype)
        step = make_step(
            self._loss(tasks[0]), optimizer.update, clips=optimizer.clips, sharpens=optimizer.sharpens
        )
        stacked = stack(running, width)
        saved = set(tasks[0].state_dict())
        super().__init__(
            members,
            [one.splits for one in data],
            [optimizer],
            {name: buffer for name, buffer in stacked.items() if name in saved},
            {"step": CompiledFunction(step, compile=False)},
        )
        self.tasks, self.data = list(tasks), list(data)
        self.unsaved = {name: buffer for name, buffer in stacked.items() if name not in saved}
        """Stacked buffers that are no part of the state dict."""

    def _loss(self, task: LossesTask) -> Loss:
        """The training loss of one model, as ``LossesTask.training_step`` has it."""
        function = _Losses(copy.deepcopy(task).train())

        def loss(
            params: Params, running: Params, buffers: Params, batch: tuple[Tensor, Tensor], _: Params
        ) -> tuple[Tensor, Params]:
            points, labels = batch
            drawn = {name: tensor for name, tensor in buffers.items() if " " in name}
            masks = {name: tensor for name, tensor in buffers.items() if " " not in name}
            tensors = params | {name: buffer.clone() for name, buffer in running.items()} | masks
            named = {f"task.{name}": tensor for name, tensor in tensors.items()}
            generator = torch.Generator()
            whole = Batch(points, labels, 0, len(labels), self.step_number)
            with DrawingReplaced(generator, self._calls[len(labels)], drawn):
                losses = functional_call(function, named, (whole, generator))
            return losses.mean(), {name: named[f"task.{name}"].detach() for name in running}

        return loss

    def on_fit_start(self) -> None:
        """Stack the points on the device."""
        super().on_fit_start()
        for task in self.tasks:
            task.to(self.device)
        self.unsaved = {name: buffer.to(self.device) for name, buffer in self.unsaved.items()}
        self._calls: dict[int, list[Call]] = {}
        """What ``losses`` draws, by the size of the batch."""
        self.batches = self.stacked_batches(self._drawing(), exact=True)

    def _drawing(self) -> Callable[[int, int, int], Params]:
        tasks = list(self.tasks)
        train = self.splits[0]["train"]
        prober = copy.deepcopy(tasks[0])

        def draw(model: int, step: int, num_points: int) -> Params:
            task = tasks[model]
            if num_points not in self._calls:
                some = train[slice(0, num_points)]
                batch = Batch(some.points, some.labels, 0, num_points, step)
                with torch.no_grad():
                    self._calls[num_points] = _draws_of(prober, batch)
            drawn = draw_all(self._calls[num_points], make_generator(task.train_seed, "losses", step))
            if task.uses_dropout:
                task.draw_dropout(Batch(None, train.labels[:num_points], 0, num_points, step))
                layers = [name for name, module in task.named_modules() if isinstance(module, Dropout)]
                drawn |= {f"{name}.mask": task.get_buffer(f"{name}.mask") for name in layers}
            return drawn

        return draw

    def take_steps(self, steps: Sequence[int], active: Tensor, flags: Sequence[bool]) -> Iterable[StepLosses]:
        """Take a step of every model for each batch."""
        (opt,) = self.stacked_optimizers
        noted: list[StepLosses] = []
        batches, buffers = self.batches.gather(steps, flags)
        for step, (points, labels, *_), drawn, lr in zip(
            steps, batches, buffers, opt.rates(steps), strict=True
        ):
            self.step_number = step
            opt.params, opt.state, running, losses = self.compiled["step"](
                opt.params,
                opt.state,
                self.kept | self.unsaved,
                None if all(flags) else active,
                drawn,
                (points, labels),
                {},
                opt.hyper | {"lr": lr},
            )
            self.kept = {name: running[name] for name in self.kept}
            self.unsaved = {name: running[name] for name in self.unsaved}
            noted.append(("loss/train_batch", step, losses))
        return noted

    def on_validation_epoch_start(self) -> None:
        self.snapshot = self.weights() | self.unsaved

    def measure(self, index: int, step: int) -> bool:
        """Measure one run as its task would alone."""
        member = self.members[index]
        table = self._table(index, self.snapshot)
        if not math.isfinite(table["loss/train"]):
            member.diverge("the loss on the training set", step)
            return False
        extras = band_edges(table) | {"optimizer/lr": self.stacked_optimizers[0].rate(index, step)}
        return member.record(step, table, extras | self.block_losses[index])

    def _table(self, index: int, weights: Params) -> dict[str, float]:
        task = self.tasks[index]
        tensors = dict(task.named_parameters()) | dict(task.named_buffers())
        with torch.no_grad():
            for name, tensor in unstack(weights, index).items():
                tensors[name].copy_(tensor)
            task.eval()
            with self.trainer.precision_plugin.val_step_context():
                return task.measure(self.data[index])

    def keep(self, kept: Sequence[int], rows: Tensor) -> None:
        self.tasks = [self.tasks[index] for index in kept]
        self.data = [self.data[index] for index in kept]
        self.unsaved = rows_of(self.unsaved, rows)
        self.batches.keep(kept, rows)


class _Losses(nn.Module):
    """``losses`` of a task as a module's forward, for ``functional_call``."""

    def __init__(self, task: LossesTask) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return self.task.checked_losses(batch, generator)


def _refuse_own_loops(task: object) -> None:
    """Refuse tasks that change how a step is taken or what is measured.

    Raises:
        ValueError: With the name of what they change.
    """
    if not isinstance(task, LossesTask):
        raise ValueError(f"{type(task).__name__} is no LossesTask")
    for kind in type(task).__mro__[: type(task).__mro__.index(LossesTask)]:
        for name in vars(kind):
            if hasattr(LossesTask, name) and name not in OWN and not name.startswith("__"):
                raise ValueError(f"{kind.__name__} has a {name} of its own")


def _draws_of(task: LossesTask, batch: Batch) -> list[Call]:
    """Return what ``losses`` draws for a batch."""
    generator = torch.Generator()
    if task.uses_dropout:
        task.draw_dropout(batch)
    with DrawingRecorded(generator) as recorded:
        task.train().losses(batch, generator)
    return recorded.calls


def _check(tasks: Sequence[LossesTask], splits: Sequence[Split], dtype: torch.dtype) -> None:
    """Refuse tasks that are no pure functions of their parameters and buffers, or that do not move all of them.

    Raises:
        ValueError: With the reason.
    """

    def inputs(split: Split) -> Callable[[], tuple[Batch, torch.Generator]]:
        some = split[slice(0, PROBED)]
        some.moved(to_device(None, dtype))
        batch = Batch(some.points, some.labels, 0, len(some.labels), 0)
        return lambda: (batch, make_generator(0, "losses", 0))

    refuse_impure(tasks[0])
    modules = [_Losses(task) for task in tasks]
    tensors = [
        {
            name: tensor.detach().clone()
            for name, tensor in (*module.named_parameters(), *module.named_buffers())
        }
        for module in modules
    ]
    refuse_hidden_differences(modules, tensors, [inputs(split) for split in splits])
