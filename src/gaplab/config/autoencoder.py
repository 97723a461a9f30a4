"""Settings of the autoencoder: how narrow its middle is, and what noise it has to remove."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gaplab.config.checks import check_at_least, check_not_negative
from gaplab.config.network import MLPConfig, build_network
from gaplab.config.registry import choice
from gaplab.config.sections import Sections
from gaplab.config.task import TaskConfig, build_pictures
from gaplab.errors import ConfigError


@choice("task", "autoencoder")
@dataclass(kw_only=True, slots=True)
class AutoencoderConfig(TaskConfig):
    """Learn to rebuild a point from fewer numbers; ``network`` describes the encoder, and the decoder mirrors it."""

    stacks: ClassVar[bool] = True

    bottleneck: int = 1
    """Numbers between encoder and decoder."""
    noise: float = 0.0
    """Standard deviation of the noise on the inputs in training, which is not to be rebuilt; 0 for none."""

    def __post_init__(self) -> None:
        check_at_least("task.bottleneck", self.bottleneck, 1)
        check_not_negative("task.noise", self.noise)

    def build(self, config: Sections, data: Any, init_stream: Any) -> Any:
        from gaplab.data.outputs import check_outputs
        from gaplab.tasks.autoencoder import Autoencoder

        shape = getattr(data, "example_shape", None)
        if shape is None or isinstance(shape, dict):
            came = "a data module" if shape is None else "points that are dicts"
            raise ConfigError(f"task: expected points that are one tensor each to rebuild, but got {came}.")
        encoder = mirrored = config.network
        if isinstance(encoder, MLPConfig):
            mirrored = replace(encoder, widths=encoder.widths[::-1])

        def network(section: Any, inputs: int, outputs: int) -> Any:
            return build_network(
                section,
                in_features=inputs,
                out_features=outputs,
                example_shape=(inputs,),
                generator=init_stream,
            )

        autoencoder = Autoencoder(
            network(encoder, data.in_features, self.bottleneck),
            network(mirrored, self.bottleneck, data.in_features),
            noise=self.noise,
            optimizer=config.optimizer,
            num_steps=config.num_steps,
            train_seed=config.train_seed,
        )
        check_outputs(autoencoder, data, shape)
        return autoencoder

    def build_callbacks(
        self, config: Sections, run: Any, recorder: Any, rebuild: Callable[[], Any]
    ) -> list[Any]:
        from gaplab.tasks.autoencoder_figures import autoencoder_figures

        return build_pictures(config, run, autoencoder_figures)
