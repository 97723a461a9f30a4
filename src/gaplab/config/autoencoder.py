"""Settings of the autoencoder: how narrow its middle is, and what noise it has to remove."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gaplab.config.checks import check_at_least, check_not_negative
from gaplab.config.network import MLPConfig
from gaplab.config.registry import build_choice, choice
from gaplab.config.sections import Sections
from gaplab.config.task import TaskConfig


@choice("task", "autoencoder")
@dataclass(kw_only=True, slots=True)
class AutoencoderConfig(TaskConfig):
    """Learn to rebuild a point from fewer numbers; ``network`` describes the encoder, and the decoder mirrors it."""

    bottleneck: int = 1
    """Numbers between encoder and decoder."""
    noise: float = 0.0
    """Standard deviation of the noise on the inputs in training, which is not to be rebuilt; 0 for none."""

    def __post_init__(self) -> None:
        check_at_least("task.bottleneck", self.bottleneck, 1)
        check_not_negative("task.noise", self.noise)

    def build(self, config: Sections, data: Any, init_stream: Any) -> Any:
        from gaplab.tasks.autoencoder import Autoencoder

        encoder = mirrored = config.network
        if isinstance(encoder, MLPConfig):
            mirrored = replace(encoder, widths=encoder.widths[::-1])
        return Autoencoder(
            build_choice(encoder, data.in_features, self.bottleneck, init_stream),
            build_choice(mirrored, self.bottleneck, data.in_features, init_stream),
            noise=self.noise,
            optimizer=config.optimizer,
            num_steps=config.num_steps,
            train_seed=config.train_seed,
        )

    def build_callbacks(
        self, config: Sections, run: Any, recorder: Any, rebuild: Callable[[], Any]
    ) -> list[Any]:
        from gaplab.callbacks.pictures import Pictures
        from gaplab.tasks.autoencoder_figures import autoencoder_figures

        logging = config.logging
        if not logging.pictures:
            return []
        every, all_along = logging.pictures_every_n_evaluations, logging.diagnostics == "full"
        return [Pictures(run.figures, autoencoder_figures, every, all_along)]
