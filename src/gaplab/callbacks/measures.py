"""Bounds and capacity measures of a classifier's last weights, at the end of an ordinary run."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from gaplab.config.measures import Measures, points_are_independent
from gaplab.data.datamodule import PointDataModule
from gaplab.data.splits import Split
from gaplab.metrics.bounds import Bound
from gaplab.metrics.capacity.learning_coefficient import complaint
from gaplab.metrics.capacity.table import capacity_measures
from gaplab.metrics.certificates import (
    FEWEST_POINTS,
    counting_bounds,
    data_prior_certificate,
    pac_bayes_certificate,
)
from gaplab.metrics.scales import gap_scales
from gaplab.networks.memory import kept_beside_parameters
from gaplab.runs.recorder import Recorder
from gaplab.tasks.classifier import Classifier
from gaplab.tensorboard.loggers import event_writer

SEED = 0
"""Of the noise that sharpness and PAC-Bayes draw: equal weights get equal measures."""
LANGEVIN_STEPS = 1_000
"""Of the chains that estimate the local learning coefficient."""
LARGEST_HESSIAN = 2_000
"""Parameters of the largest network whose exact Hessian is taken."""
HESSIAN_PRODUCTS = 100
"""Random vectors behind the trace of a larger one."""
NAMED = 3
"""Buffers that a sentence names."""


def bound_lines(level: Measures, data: PointDataModule, network: nn.Module) -> dict[str, float]:
    """Return the tags and values of the bounds that stay the same in training: they count points and parameters.

    There are none where they are not wanted, or where points depend on each other.
    """
    bounds = [] if level is Measures.none else _counting_bounds(data, network)
    return {f"bound/{bound.name}": bound.value for bound in bounds}


def _counting_bounds(data: PointDataModule, network: nn.Module) -> list[Bound]:
    """Return the bounds that cost nothing, as far as their assumptions hold.

    What a network keeps beside its parameters may depend on the training points, and no bound on its gap counts it;
    Hoeffding's is about test points that it has not seen, and holds for any network.
    """
    if not points_are_independent(data.config):
        return []
    bounds = counting_bounds(network, len(data.splits["train"]), len(data.splits["test"]))
    if kept_beside_parameters(network):
        return [bound for bound in bounds if bound.name == "hoeffding_test"]
    return bounds


def unbounded(network: nn.Module) -> str | None:
    """Return the sentence that says why a network gets no bound on its gap; None where it gets one."""
    kept = kept_beside_parameters(network)
    if not kept:
        return None
    names = ", ".join(kept[:NAMED]) + (f" and {len(kept) - NAMED} more" if len(kept) > NAMED else "")
    return (
        f"No bound on the gap: beside its parameters the network keeps {names}, which may depend on the training "
        "points, and bounds count parameters only."
    )


class FinalMeasures(Callback):
    """Writes ``bound/...``, ``scale/...`` and ``capacity/...`` of the last weights; the result keeps them.

    Bounds are left out where their assumption fails: points on a grid, wrong labels in training only, or a network
    that keeps more than its parameters.

    Args:
        level: How much is measured.
        rebuild: Builds the task with its initial weights again; the PAC-Bayes prior and the distances from
            initialisation need them.
        recorder: Takes in what was measured.
    """

    def __init__(
        self, level: Measures, rebuild: Callable[[], LightningModule], recorder: Recorder | None = None
    ) -> None:
        self.level = level
        self.rebuild = rebuild
        self.recorder = recorder
        self.bounds: list[Bound] = []
        self.remarks: list[str] = []
        """Why a bound or a measure is missing or not to be trusted."""
        self.scales: dict[str, float] = {}
        self.capacity: dict[str, float] = {}

    @property
    def table(self) -> dict[str, float]:
        """One number a tag."""
        bounds = {f"bound/{bound.name}": bound.value for bound in self.bounds}
        scales = {f"scale/{name}": value for name, value in self.scales.items()}
        return bounds | scales | {f"capacity/{name}": value for name, value in self.capacity.items()}

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        task, data = cast(Classifier, pl_module), trainer.datamodule  # type: ignore[attr-defined]
        self.measure(task, data)
        if self.recorder is not None:
            self.recorder.bounds, self.recorder.measures = self.bounds, self.table
            self.recorder.remarks = self.remarks
        writer = event_writer(trainer)
        if writer is not None:
            for tag, value in self.news(task, data).items():
                writer.add_scalar(tag, value, trainer.global_step)

    def news(self, task: Classifier, data: PointDataModule) -> dict[str, float]:
        """Return the part of ``table`` that TensorBoard has not had at every measurement."""
        known = bound_lines(self.level, data, task.network)
        return {tag: value for tag, value in self.table.items() if tag not in known}

    def measure(self, task: Classifier, data: PointDataModule) -> None:
        """Fill ``bounds`` and ``capacity`` as far as the level asks for."""
        if self.level is Measures.none:
            return
        network, train = task.network, data.splits["train"]
        training = task.training
        task.eval()
        with torch.enable_grad():
            independent, why = points_are_independent(data.config), unbounded(network)
            self.bounds = _counting_bounds(data, network)
            self.remarks = [why] if why is not None and independent else []
            if self.level in (Measures.capacity, Measures.full):
                try:
                    self._measure_capacity(network, train, independent and why is None)
                except ValueError as error:  # a network of a user's that has no weight matrices
                    self.remarks.append(f"No capacity measures: {error}")
        task.train(training)

    def _measure_capacity(self, network: nn.Module, train: Split, bounded: bool) -> None:
        fresh = cast(Classifier, self.rebuild())
        initial = {name: p.detach().to(train.points) for name, p in fresh.network.named_parameters()}
        full = self.level is Measures.full
        if full and bounded and len(train) >= FEWEST_POINTS:
            self.bounds += [
                certificate(
                    network, initial, train.points, train.labels, generator=measure_noise(train.points.device)
                )
                for certificate in (pac_bayes_certificate, data_prior_certificate)
                if len(train) >= 2 * FEWEST_POINTS or certificate is pac_bayes_certificate
            ]
        self.capacity = capacity_measures(
            network,
            initial,
            train.points,
            train.labels,
            generator=measure_noise(train.points.device),
            max_hessian_parameters=LARGEST_HESSIAN if full else 0,
            num_hessian_products=HESSIAN_PRODUCTS if full and find_spec("scipy") else 0,
            num_langevin_steps=LANGEVIN_STEPS if full else 0,
        )
        if full:
            self.remarks += _doubts(self.capacity)
            self.scales = gap_scales(
                network,
                initial,
                train.points,
                train.labels,
                effective_dimension=self.capacity.get("effective_dimension"),
            )


def _doubts(capacity: dict[str, float]) -> list[str]:
    """Return why some measures are missing or not to be trusted."""
    doubts = []
    if "hessian_trace" not in capacity:
        doubts.append("No curvature of a network this large without SciPy: pip install 'gaplab[metrics]'.")
    if (mean := capacity.get("local_learning_coefficient")) is not None:
        why = complaint(mean, capacity["local_learning_coefficient_r_hat"])
        if why is not None:
            doubts.append(f"The local learning coefficient is not to be trusted: {why}.")
    return doubts


def measure_noise(device: torch.device) -> torch.Generator:
    """The generator of the noise that measures draw."""
    return torch.Generator(device).manual_seed(SEED)
