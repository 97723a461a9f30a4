"""Settings of samplers that are learned by regression, to stand beside the GAN."""

from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar

from gaplab.config.checks import check, check_at_least
from gaplab.config.network import build_network
from gaplab.config.registry import choice
from gaplab.config.sampling import check_law, scale_of_law
from gaplab.config.sections import Sections
from gaplab.config.task import TaskConfig


@dataclass(kw_only=True, slots=True)
class PointSamplerConfig(TaskConfig):
    """What carries noise to points by a field that ``network`` gives for a point and a number: a time, or a size."""

    title: ClassVar[str]
    """The sampler's name in sentences."""

    sampling_steps: int = 40
    """Steps of Heun's method from noise to a sample, of two evaluations of the network each."""
    num_samples: int = 2_500
    """Samples that are judged at the end."""

    def __post_init__(self) -> None:
        check_at_least("task.sampling_steps", self.sampling_steps, 1)
        check_at_least("task.num_samples", self.num_samples, 100, "The scores need a sample.")

    def check_fits(self, config: Sections) -> None:
        """Raise ``ConfigError`` if there is no law, or the network has dropout, which a flow has no masks for."""
        check_law(config)
        dropout = getattr(config.network, "dropout", 0.0)
        check(dropout == 0, "network.dropout", f"0 for {self.title}", dropout)
        dimensions = config.data.noise_dimensions
        check(dimensions == 0, "data.noise_dimensions", f"0 for {self.title}", dimensions)

    def build_sampler(self, sampler: Any, config: Sections, data: Any, init_stream: Any) -> Any:
        """Build the task of a class."""
        scale = scale_of_law(self.title.replace(" ", "_"), data)
        inputs = data.in_features + 1
        network = build_network(
            config.network,
            in_features=inputs,
            out_features=data.in_features,
            example_shape=(inputs,),
            generator=init_stream,
        )
        task = sampler(
            network, optimizer=config.optimizer, num_steps=config.num_steps, train_seed=config.train_seed
        )
        task.scale.fill_(scale)
        task.section, task.dimension = self, data.in_features
        task.law_scores = config.data.build_law_scores()
        return task


@choice("task", "flow_matching")
@dataclass(kw_only=True, slots=True)
class FlowMatchingConfig(PointSamplerConfig):
    """Learn to draw new points by the velocity that carries noise to them; ``network`` is that of the velocity."""

    stacks: ClassVar[bool] = True
    title: ClassVar[str] = "flow matching"

    def build(self, config: Sections, data: Any, init_stream: Any) -> Any:
        from gaplab.tasks.flow_matching import FlowMatching

        return self.build_sampler(FlowMatching, config, data, init_stream)


@choice("task", "diffusion")
@dataclass(kw_only=True, slots=True)
class DiffusionConfig(PointSamplerConfig):
    """Learn to draw new points by taking noise of every size away; ``network`` is that of the denoiser."""

    stacks: ClassVar[bool] = True
    title: ClassVar[str] = "diffusion"

    noise_levels: list[float] = field(default_factory=lambda: [0.001, 20.0])
    """Smallest and largest noise, over the standard deviation of the data; well below the finest structure, and far
    above the data."""

    def __post_init__(self) -> None:
        PointSamplerConfig.__post_init__(self)
        levels = self.noise_levels
        check(
            len(levels) == 2 and 0 < levels[0] < levels[1] < inf,
            "task.noise_levels",
            "a positive number and a larger one, both finite",
            levels,
        )

    def build(self, config: Sections, data: Any, init_stream: Any) -> Any:
        from gaplab.tasks.diffusion import Diffusion

        return self.build_sampler(Diffusion, config, data, init_stream)
