"""Settings of flow matching: a sampler that is learned by regression, to stand beside the GAN."""

from dataclasses import dataclass
from typing import Any, ClassVar

from gaplab.config.checks import check, check_at_least
from gaplab.config.network import build_network
from gaplab.config.registry import choice
from gaplab.config.sampling import check_law, scale_of_law
from gaplab.config.sections import Sections
from gaplab.config.task import TaskConfig


@choice("task", "flow_matching")
@dataclass(kw_only=True, slots=True)
class FlowMatchingConfig(TaskConfig):
    """Learn to draw new points by the velocity that carries noise to them; ``network`` is that of the velocity."""

    stacks: ClassVar[bool] = True

    sampling_steps: int = 40
    """Steps of Heun's method from noise to a sample, of two velocities each."""
    num_samples: int = 2_500
    """Samples that are judged at the end."""

    def __post_init__(self) -> None:
        check_at_least("task.sampling_steps", self.sampling_steps, 1)
        check_at_least("task.num_samples", self.num_samples, 100, "The scores need a sample.")

    def check_fits(self, config: Sections) -> None:
        """Raise ``ConfigError`` if there is no law, or the network has dropout, which a flow has no masks for."""
        check_law(config)
        dropout = getattr(config.network, "dropout", 0.0)
        check(dropout == 0, "network.dropout", "0 for flow matching", dropout)
        dimensions = config.data.noise_dimensions
        check(dimensions == 0, "data.noise_dimensions", "0 for flow matching", dimensions)

    def build(self, config: Sections, data: Any, init_stream: Any) -> Any:
        from gaplab.tasks.flow_matching import FlowMatching

        scale = scale_of_law("flow_matching", data)
        inputs = data.in_features + 1
        network = build_network(
            config.network,
            in_features=inputs,
            out_features=data.in_features,
            example_shape=(inputs,),
            generator=init_stream,
        )
        task = FlowMatching(
            network, optimizer=config.optimizer, num_steps=config.num_steps, train_seed=config.train_seed
        )
        task.scale.fill_(scale)
        task.section, task.dimension = self, data.in_features
        task.law_scores = config.data.build_law_scores()
        return task
