"""When pictures are drawn and where they go: TensorBoard's slider and the folder ``figures/``."""

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from gaplab.storage.atomic import write_bytes
from gaplab.tensorboard.loggers import event_writer, write_picture

_log = logging.getLogger(__name__)

Figures = Callable[[Any, Any, int], dict[str, Callable[[], Tensor]]]
"""Task, data module and step to the pictures by name; the first one is drawn during training."""


class Pictures(Callback):
    """Draws the first picture of a figures at every n-th measurement, and all of them at the end.

    One that cannot be drawn, on data or with a network of a user's, is named in a warning and left out.

    Args:
        folder: Where ``<name>.png`` shows the end of the run.
        figures: What there is to draw.
        every_n_evaluations: Measurements between two drawings.
        all_along: Draw all of them every time.
    """

    def __init__(self, folder: Path, figures: Figures, every_n_evaluations: int, all_along: bool) -> None:
        self.folder = folder
        self.figures = figures
        self.every_n_evaluations = every_n_evaluations
        self.all_along = all_along
        self.num_evaluations = 0
        self.logged: dict[str, int] = {}
        """Step of the latest picture by name: the end may be a measurement too."""

    def state_dict(self) -> dict[str, Any]:
        return {"num_evaluations": self.num_evaluations, "logged": self.logged}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.num_evaluations, self.logged = state_dict["num_evaluations"], state_dict["logged"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self.num_evaluations += 1
        last = trainer.global_step >= trainer.datamodule.num_steps  # type: ignore[attr-defined]
        if self.num_evaluations % self.every_n_evaluations == 0 and not last:
            self._draw(trainer, pl_module, final=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw(trainer, pl_module, final=True)

    def _draw(self, trainer: Trainer, task: LightningModule, final: bool) -> None:
        if not trainer.is_global_zero:
            return
        # Pillow is needed from here on only.
        from gaplab.figures.canvas import encode_png

        try:
            pictures = self.figures(task, trainer.datamodule, trainer.global_step)  # type: ignore[attr-defined]
        except (
            Exception
        ) as error:  # whatever data and network a user brings: a run is worth more than its pictures
            warn_of_undrawn("The pictures", error)
            return
        if not (final or self.all_along):
            pictures = dict(itertools.islice(pictures.items(), 1))
        writer = event_writer(trainer)
        for place, (name, draw) in enumerate(pictures.items(), start=1):
            try:
                pixels = draw()
                png = encode_png(pixels)
            except Exception as error:
                warn_of_undrawn(f"The picture {name}", error)
                continue
            if final:
                write_bytes(self.folder / f"{name}.png", png, durable=False)
            if writer is not None and self.logged.get(name) != trainer.global_step:
                self.logged[name] = trainer.global_step
                # TensorBoard sorts by tag; the picture that tells most comes first.
                write_picture(writer, f"pictures/{place}_{name}", pixels, trainer.global_step, png)


def warn_of_undrawn(what: str, error: Exception) -> None:
    """Say that something is left out because it could not be drawn."""
    _log.warning(
        "%s could not be drawn (%s: %s); the run goes on. logging.pictures=false draws none.",
        what,
        type(error).__name__,
        error,
    )
