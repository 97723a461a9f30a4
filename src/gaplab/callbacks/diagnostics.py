"""Why a run learns or does not: gradient norms, dead units, histograms."""

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from gaplab.networks.hidden_outputs import dead_share
from gaplab.tasks.task import Task
from gaplab.tensorboard.loggers import event_writer

MOST_POINTS = 2_000


class LayerDiagnostics(Callback):
    """Logs at every measurement ``gradient_norm/<layer>`` and, for a classifier, ``dead_units/<layer>``.

    The gradient is that of the last step before the measurement, after clipping.

    Args:
        histograms: Also write ``weights/<parameter>`` and ``activations/<layer>`` to TensorBoard.
    """

    def __init__(self, histograms: bool) -> None:
        self.histograms = histograms
        self.gradient_norms: dict[str, float] = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Lightning sets gradients to None before a validation.
        self.gradient_norms = gradient_norms(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        train = trainer.datamodule.splits["train"]  # type: ignore[attr-defined]
        layers = cast(Task, pl_module).layer_outputs(train[:MOST_POINTS].points)
        table = {f"gradient_norm/{name}": norm for name, norm in self.gradient_norms.items()}
        table |= {f"dead_units/{name}": dead_share(outputs) for name, outputs in layers.items()}
        for logger in trainer.loggers:
            logger.log_metrics(table, step=trainer.global_step)
        if self.histograms:
            write_histograms(trainer, pl_module, layers)


def gradient_norms(module: nn.Module) -> dict[str, float]:
    """Return the Euclidean norm of the gradient of each layer (its weights and biases together)."""
    squares: dict[str, float] = {}
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            layer = short_name(name.rpartition(".")[0])
            squares[layer] = squares.get(layer, 0.0) + float(parameter.grad.double().square().sum())
    return {layer: square**0.5 for layer, square in squares.items()}


def short_name(name: str) -> str:
    """Return a module's name without what all names of a classifier share.

    >>> short_name("network.hidden.0.linear")
    'hidden.0.linear'
    """
    return name.removeprefix("network.") or "network"


def write_histograms(trainer: Trainer, module: nn.Module, layers: dict[str, Tensor]) -> None:
    writer = event_writer(trainer)
    if writer is None:
        return
    for name, parameter in module.named_parameters():
        writer.add_histogram(f"weights/{short_name(name)}", parameter, trainer.global_step)
    for name, outputs in layers.items():
        writer.add_histogram(f"activations/{name}", outputs, trainer.global_step)
