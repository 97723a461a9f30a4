"""K GANs at once."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gaplab.config.gan import GANConfig
from gaplab.config.network import is_pointwise
from gaplab.data.datamodule import PointDataModule
from gaplab.metrics.scorecard import band_edges
from gaplab.randomness import make_generator
from gaplab.runs.recorder import Recorder
from gaplab.stacked.compile import CompiledFunction, Program
from gaplab.stacked.ensemble import CompiledFunctions, Ensemble, StepLosses
from gaplab.stacked.gan_step import Players, make_game_step
from gaplab.stacked.stacked_optimizer import StackedOptimizer
from gaplab.stacked.stacking import fill, moved, rows_of, stack, unstack
from gaplab.stacked.update_rules import Params
from gaplab.tasks.gan import GAN
from gaplab.tasks.gan_losses import (
    draw_latents,
    fourier_amplitude,
    penalties_are_due,
    penalty_factor,
    unpenalised,
    weight_of_past,
)

AVERAGE = "average."
DISCRIMINATOR = "discriminator."
AMPLITUDE = "fourier.amplitude"


class StackedGANs(Ensemble):
    """GANs of one group; see ``Ensemble``.

    Their samples are judged one model after another by the task of each: most of that work is on thousands of
    points, where a stack saves nothing.

    Args:
        members: The runs, all at the same step.
        tasks: Their tasks.
        data: Their points.
        dtype: Precision of weights and points.
        width: Number of models that are computed.
        compile: Whether to compile the step.
        compiled: Those of an earlier ensemble of the same group and width.
    """

    quantities = {  # noqa: RUF012
        "loss/discriminator_batch": "the discriminator's loss",
        "loss/generator_batch": "the generator's loss",
    }

    def __init__(
        self,
        members: Sequence[Recorder],
        tasks: Sequence[GAN],
        data: Sequence[PointDataModule],
        *,
        dtype: torch.dtype,
        width: int,
        compile: bool,
        compiled: CompiledFunctions | None = None,
    ) -> None:
        for task in tasks:
            task.to(dtype)
        first, num_steps = tasks[0], members[0].config.num_steps
        _refuse_padded(members, data)
        every = first.config.discriminator_steps
        stacked_optimizers = [
            StackedOptimizer(
                f"{name}.",
                [_parameters(getattr(task, name)) for task in tasks],
                [task.optimizer_configs[number] for task in tasks],
                width=width,
                num_steps=num_steps,
                every=(1, every)[number],
                step_dtype=dtype,
            )
            for number, name in enumerate(("discriminator", "generator"))
        ]
        kept = [{f"{AVERAGE}{k}": p for k, p in _parameters(task.average).items()} for task in tasks]
        kept = [
            one | {"scale": task.scale} | {DISCRIMINATOR + k: b for k, b in _waves(task).items()}
            for one, task in zip(kept, tasks, strict=True)
        ]
        if compiled is None:
            networks = copy.deepcopy((first.discriminator, first.generator))
            compiled = {
                _name(both, due): CompiledFunction(
                    make_game_step(config, networks, stacked_optimizers, both=both), compile=compile
                )
                for due, config in ((True, first.config), (False, unpenalised(first.config)))
                for both in (False, True)
            }
        super().__init__(
            members, [one.splits for one in data], stacked_optimizers, stack(kept, width), compiled
        )
        self.tasks, self.data, self.dtype_of_points = tasks, data, dtype
        self.config: GANConfig = first.config
        self.waves = list(_waves(first))
        """What the discriminator keeps besides its parameters."""
        self.loss_coefficients = {
            name: fill(values, width) for name, values in _loss_coefficients(tasks, dtype).items()
        }

    def on_fit_start(self) -> None:
        """Stack the points on the device, over each run's scale."""
        super().on_fit_start()
        for task in self.tasks:
            task.to(self.device)
        self.loss_coefficients = moved(self.loss_coefficients, self.device)
        self.batches = self.stacked_batches(_drawing(self.tasks))
        self.batches.points /= self.kept["scale"][: len(self.members), :, None]

    def programs(self) -> list[Program]:
        active, flags = (
            torch.ones(self.width, dtype=torch.bool, device=self.device),
            [True] * len(self.members),
        )
        period = math.lcm(self.config.discriminator_steps, self.config.penalty_every_n_steps)
        kept = self.kept.copy()
        calls = self._calls(range(min(period, self.members[0].config.num_steps)), active, flags)
        by_name = {name: arguments for _, name, arguments in calls}
        self.kept = kept
        return [
            program
            for name, arguments in by_name.items()
            for program in self.compiled[name].programs_of_call(*arguments)
        ]

    def take_steps(self, steps: Sequence[int], active: Tensor, flags: Sequence[bool]) -> Iterable[StepLosses]:
        """Take a step of every discriminator for each batch, and the generators' when due."""
        noted: list[StepLosses] = []
        for step, name, arguments in self._calls(steps, active, flags):
            players, losses = self.compiled[name](*arguments)
            self._put(players)
            noted += [(tag, step, loss) for tag, loss in zip(self.quantities, losses, strict=False)]
        return noted

    def _calls(
        self, steps: Sequence[int], active: Tensor, flags: Sequence[bool]
    ) -> Iterator[tuple[int, str, tuple[Any, ...]]]:
        """Yield steps, the names of their compiled functions, and the arguments as the step before has left them."""
        batches, drawn = self.batches.gather(steps, flags)
        rates = [opt.rates(steps) for opt in self.stacked_optimizers]
        for row, step in enumerate(steps):
            hypers = [p.hyper | {"lr": lr[row]} for p, lr in zip(self.stacked_optimizers, rates, strict=True)]
            both = (step + 1) % self.config.discriminator_steps == 0
            batch = self._batch(batches[row], drawn[row]) | self._waves_at(step, active)
            coefficients = self.loss_coefficients | self._loss_coefficients_at(step)
            name = _name(both, penalties_are_due(self.config, step))
            yield step, name, (self._players(), active, batch, coefficients, hypers)

    def _batch(self, batch: tuple[Tensor, Tensor, Tensor, Tensor], drawn: Params) -> Params:
        """What a step looks at: see ``make_game_step``."""
        points, labels, mask, sizes = batch
        pack = self.config.pack
        packs = mask[:, ::pack]
        result = {"points": points, "labels": labels, "latents": drawn["latents"].to(points.dtype)}
        result["weights"] = packs * (packs.shape[1] / (sizes / pack))[:, None]
        if "mixing" in drawn:
            result["mixing"] = drawn["mixing"][:, : packs.shape[1]].to(points.dtype)
        return result

    def _loss_coefficients_at(self, step: int) -> Params:
        """The numbers of every model that change from step to step."""
        number = step // self.config.discriminator_steps
        return {
            "factor": self._column(penalty_factor(task.config, step, task.num_steps) for task in self.tasks),
            "present": self._column(1 - weight_of_past(task.config.ema, number) for task in self.tasks),
        }

    def _waves_at(self, step: int, active: Tensor) -> Params:
        """The waves that discriminators see at a step; models that have stopped keep their amplitude."""
        if not self.waves:
            return {}
        amplitudes = (fourier_amplitude(task.config, step, task.num_steps) for task in self.tasks)
        key = DISCRIMINATOR + AMPLITUDE
        self.kept[key] = torch.where(active, self._column(amplitudes), self.kept[key])
        found = {name: self.kept[DISCRIMINATOR + name] for name in self.waves}
        # A compiled step reads whole vectors of waves where those of one coordinate lie side by side.
        return {name: t.mT.contiguous().mT if t.dim() == 3 else t for name, t in found.items()}

    def _column(self, values: Iterable[float]) -> Tensor:
        """One number of every model, [K]."""
        return fill(torch.tensor(list(values), dtype=self.dtype_of_points), self.width).to(self.device)

    def _players(self) -> Players:
        d, g = self.stacked_optimizers
        average = {name: self.kept[AVERAGE + name] for name in g.params}
        return Players(d.params, d.state, g.params, g.state, average)

    def _put(self, players: Players) -> None:
        d, g = self.stacked_optimizers
        d.params, d.state, g.params, g.state, average = players
        self.kept = self.kept | {f"{AVERAGE}{name}": p for name, p in average.items()}

    def keep(self, kept: Sequence[int], rows: Tensor) -> None:
        self.tasks = [self.tasks[index] for index in kept]
        self.data = [self.data[index] for index in kept]
        self.loss_coefficients = rows_of(self.loss_coefficients, rows)
        self.batches.keep(kept, rows)

    def on_validation_epoch_start(self) -> None:
        self.snapshot = self.weights()

    def measure(self, index: int, step: int) -> bool:
        """Judge the samples of one run as its task would alone."""
        member, task = self.members[index], self.tasks[index]
        task.load_state_dict(unstack(self.snapshot, index))
        table = task.measure(self.data[index], step, full=False)
        extras = band_edges(table) | {"optimizer/lr": self.stacked_optimizers[0].rate(index, step)}
        return member.record(step, table, extras | self.block_losses[index])


def _name(both: bool, penalties_due: bool) -> str:
    """Name the compiled step of one or both players; only those that occur are ever compiled."""
    return ("both" if both else "discriminator") + ("" if penalties_due else ", no penalty")


def _refuse_padded(members: Sequence[Recorder], data: Sequence[PointDataModule]) -> None:
    """Refuse networks that may compare the points of a batch, where some batches are filled up.

    Raises:
        ValueError: If an epoch does not consist of whole batches.
    """
    for member, one in zip(members, data, strict=True):
        networks, _ = member.config.task.networks_of(member.config)
        if (
            not all(map(is_pointwise, networks))
            and len(one.splits["train"]) % member.config.data.points_per_step
        ):
            raise ValueError("a network that may compare the points of a batch needs epochs of whole batches")


def _waves(task: GAN) -> Params:
    """The buffers of the discriminator's Fourier features by their names in it; none where there are none."""
    fourier = task.discriminator.fourier
    return {} if fourier is None else {f"fourier.{name}": b for name, b in fourier.named_buffers()}


def _parameters(network: nn.Module) -> Params:
    """The parameters of a network.

    Raises:
        ValueError: If it has a state besides its parameters, which a pure function cannot update.
    """
    params = {name: p.detach() for name, p in network.named_parameters()}
    extra = {name for name in network.state_dict() if not name.startswith("fourier.")} - set(params)
    if extra:
        raise ValueError(f"the network keeps {', '.join(sorted(extra))} besides its parameters")
    return params


def _loss_coefficients(tasks: Sequence[GAN], dtype: torch.dtype) -> Params:
    """The numbers [K] that a step reads."""
    names = ["r1", "r2", "gradient_penalty"]
    if tasks[0].config.clip_weights is not None:
        names.append("clip_weights")
    return {name: torch.tensor([getattr(task.config, name) for task in tasks], dtype=dtype) for name in names}


def _drawing(tasks: Sequence[GAN]) -> Callable[[int, int, int], Params]:
    def draw(model: int, step: int, num_points: int) -> Params:
        config, seed = tasks[model].config, tasks[model].train_seed
        drawn = {"latents": draw_latents(config, num_points, make_generator(seed, "latent", step))}
        if config.gradient_penalty:
            mixing = make_generator(seed, "mixing", step)
            drawn["mixing"] = torch.rand(num_points // config.pack, 1, generator=mixing, dtype=torch.float32)
        return drawn

    return draw
