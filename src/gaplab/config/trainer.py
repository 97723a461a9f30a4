"""Settings of the Trainer: how long, on what, and how often to look."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gaplab.config.checks import check, check_at_least, check_at_most, check_positive, check_share
from gaplab.config.parts import open_mapping
from gaplab.config.registry import choice
from gaplab.config.trainer_extra import check_extra
from gaplab.errors import ConfigError


class Accelerator(StrEnum):
    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"
    mps = "mps"


PRECISIONS = ("32-true", "64-true", "bf16-mixed", "16-mixed")
MOST_THREADS = 1024
"""More than a machine has; with very many PyTorch ends the process."""
CLIPPING = ("norm", "value")


@choice("trainer", "default")
@dataclass(kw_only=True, slots=True)
class TrainerConfig:
    """What is handed to Lightning's Trainer, in units of optimiser steps."""

    max_steps: int | None = None
    """Optimiser steps; null: max_epochs decides, or 10,000 steps if that is null too."""
    max_epochs: int | None = None
    """Passes over the training points."""
    accelerator: Accelerator = Accelerator.auto
    devices: int | str = "auto"
    """Processes a node, each with one device; ``auto``: those that torchrun or srun started, else one for
    each GPU, else one on the CPU."""
    num_nodes: int | str = "auto"
    """Nodes; ``auto``: those on which torchrun or srun started processes, else one."""
    rendezvous_seconds: float = 300.0
    """How long the processes of a run wait for each other at its start."""
    precision: str = "32-true"
    accumulate_grad_batches: int = 1
    """Batches whose gradients are averaged for one optimiser step; steps count as steps, not batches."""
    gradient_clip_val: float | None = None
    """Limit of every gradient, for any task with automatic optimisation; ``optimizer.max_grad_norm`` is
    the same for one optimiser's norm."""
    gradient_clip_algorithm: str = "norm"
    """What ``gradient_clip_val`` limits: the ``norm`` of the whole gradient or each ``value``."""
    block_steps: int | None = None
    """Most optimiser steps in one call of the training loop; null for 50, 1 for Lightning's own loop, which gives
    the same weights more slowly and calls every hook at every step."""
    compile: bool | str = "auto"
    """Take the steps of a classifier or GAN in compiled code: true, false, or ``auto``, where a run (or a stack of
    runs) is long enough to pay for compiling. Weights are those of eager steps up to rounding."""
    deterministic: bool = True
    """Refuse operations whose result may differ from run to run."""
    num_threads: int | None = 1
    """Threads of one process on the CPU (small networks gain nothing from more); null: PyTorch's choice."""
    eval_every_n_steps: int | None = None
    """Steps between two measurements of all splits; null for step 0 and five steps a decade from 10 on, or a tenth
    of the run with early stopping, whose patience counts measurements."""
    test_only_at_end: bool = False
    """Measure only the training points until a run is over: in sweeps a large test set costs more than the
    steps between two measurements. For stacked runs; a run by itself always measures all splits."""
    early_stopping_patience: int | None = None
    """Stop after that many measurements without a better validation loss; null for never."""
    stop_at_train_loss: float | None = None
    """Stop once the loss on the whole training set is at most this."""
    stop_at_train_accuracy: float | None = None
    """Stop once the accuracy on the whole training set is at least this."""
    ema_decay: float | None = None
    """Weight of the past in an exponential moving average of the weights, updated after every step: what is measured
    and kept is the average; null for none."""
    swa_start: float | None = None
    """Share of the steps after which weights are averaged evenly, step by step (SWA, Izmailov et al. 2018): what is
    measured and kept is the average; null for none."""
    checkpoint_every_n_seconds: float = 30.0
    """Seconds between two savings of last.ckpt; it is also saved at the end."""
    progress_bar: bool = True
    profiler: bool = False
    """Write a PyTorch profiler trace into the run directory."""
    extra: dict[str, Any] = field(default_factory=open_mapping)
    """Further arguments of Lightning's Trainer: ``limit_train_batches``, ``overfit_batches``, ``fast_dev_run`` (that
    many steps, then a measurement), ``max_time``, ``detect_anomaly``, ``strategy``, ..."""

    def __post_init__(self) -> None:
        if self.max_steps is not None and self.max_epochs is not None:
            raise ConfigError(
                "trainer.max_steps, trainer.max_epochs: expected one of them, but got "
                f"{self.max_steps} and {self.max_epochs}. Set the other one to null."
            )
        for key in (
            *("max_steps", "max_epochs", "eval_every_n_steps", "early_stopping_patience"),
            *("accumulate_grad_batches", "block_steps"),
        ):
            value = getattr(self, key)
            if value is not None:
                check_at_least(f"trainer.{key}", value, 1)
        if self.test_only_at_end and self.early_stopping_patience is not None:
            raise ConfigError(
                "trainer.test_only_at_end: expected false beside trainer.early_stopping_patience, which "
                "watches the validation points all along. Set one of them back."
            )
        if self.stop_at_train_loss is not None:
            check_positive("trainer.stop_at_train_loss", self.stop_at_train_loss)
        if self.stop_at_train_accuracy is not None:
            check_share("trainer.stop_at_train_accuracy", self.stop_at_train_accuracy)
        if self.gradient_clip_val is not None:
            check_positive("trainer.gradient_clip_val", self.gradient_clip_val)
        if self.ema_decay is not None and self.swa_start is not None:
            raise ConfigError(
                "trainer.ema_decay, trainer.swa_start: expected one of them, but got "
                f"{self.ema_decay} and {self.swa_start}. Set the other one to null."
            )
        for key in ("ema_decay", "swa_start"):
            share = getattr(self, key)
            check(share is None or 0 <= share < 1, f"trainer.{key}", "a number in [0, 1), or null", share)
        algorithm = self.gradient_clip_algorithm
        check(algorithm in CLIPPING, "trainer.gradient_clip_algorithm", " or ".join(CLIPPING), algorithm)
        check_positive("trainer.checkpoint_every_n_seconds", self.checkpoint_every_n_seconds)
        if self.num_threads is not None:
            check_at_least("trainer.num_threads", self.num_threads, 1)
            check_at_most("trainer.num_threads", self.num_threads, MOST_THREADS)
        check(
            self.precision in PRECISIONS,
            "trainer.precision",
            f"one of {', '.join(PRECISIONS)}",
            self.precision,
            "In bf16-true even the points and what is measured would be rounded; bf16-mixed trains as fast."
            if self.precision == "bf16-true"
            else "",
        )
        check_extra(self.extra)
        check_positive("trainer.rendezvous_seconds", self.rendezvous_seconds)
        if isinstance(self.compile, str):
            check(self.compile == "auto", "trainer.compile", "auto, true or false", self.compile)
        for key in ("devices", "num_nodes"):
            number = getattr(self, key)
            if isinstance(number, str):
                check(number == "auto", f"trainer.{key}", "a whole number or auto", number)
            else:
                check_at_least(f"trainer.{key}", number, 1)

    @property
    def averages(self) -> bool:
        """Whether averaged weights are what is measured."""
        return self.ema_decay is not None or self.swa_start is not None

    @property
    def fast_dev_steps(self) -> int | None:
        """Steps after which ``trainer.extra.fast_dev_run`` ends a run; None without it."""
        return int(self.extra.get("fast_dev_run", 0)) or None

    @property
    def num_processes(self) -> int | None:
        """Processes over all nodes, or None while ``devices`` or ``num_nodes`` is ``auto``."""
        if isinstance(self.devices, str) or isinstance(self.num_nodes, str):
            return None
        return self.devices * self.num_nodes

    def build(self, **settings: Any) -> Any:
        """Return Lightning's ``Trainer`` with the settings that gaplab derives from the section."""
        from lightning.pytorch import Trainer

        return Trainer(**settings)


@choice("trainer", "ddp")
@dataclass(kw_only=True, slots=True)
class DDPTrainerConfig(TrainerConfig):
    """Two processes on one machine; raise ``trainer.devices`` for more."""

    devices: int | str = 2
