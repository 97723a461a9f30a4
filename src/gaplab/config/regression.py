"""Settings of regression: real targets, by which loss."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from gaplab.config.checks import check_at_least, check_positive
from gaplab.config.network import build_network
from gaplab.config.registry import choice
from gaplab.config.regression_data import RegressionDataConfig
from gaplab.config.sections import Sections
from gaplab.config.task import TaskConfig, build_pictures
from gaplab.errors import ConfigError


class RegressionLoss(StrEnum):
    squared = "squared"
    absolute = "absolute"
    huber = "huber"


@choice("task", "regression")
@dataclass(kw_only=True, slots=True)
class RegressionConfig(TaskConfig):
    """Learn real targets of a point; R² and, where the noise is known, the Bayes error stand beside the loss."""

    stacks: ClassVar[bool] = True

    loss: RegressionLoss = RegressionLoss.squared
    huber_delta: float = 1.0
    """Residual from which on Huber's loss grows along a line."""

    def __post_init__(self) -> None:
        check_positive("task.huber_delta", self.huber_delta)

    def check_fits(self, config: Sections) -> None:
        """Raise ``ConfigError`` where R² has too few points."""
        for key in ("num_points", "num_val_points", "num_test_points"):
            size = getattr(config.data, key)
            if size is not None and (key != "num_val_points" or size > 0):
                check_at_least(f"data.{key}", size, 2, "R² compares points with their mean.")

    def build(self, config: Sections, data: Any, init_stream: Any) -> Any:
        from math import prod

        from gaplab.data.outputs import check_outputs
        from gaplab.losses.regression import bayes_loss, regression_loss
        from gaplab.tasks.regression import Regression

        if not hasattr(data, "num_classes"):
            raise ConfigError(
                "task: expected tensors or Datasets with real targets, but the data are the data module "
                f"{type(data).__name__}. Return its Datasets by split, or take task=lightning."
            )
        if data.num_classes:
            raise ConfigError(
                f"task: expected real targets to learn, but these points have {data.num_classes} classes. Use "
                "task=classification, or points with real targets such as data=sine."
            )
        num_targets, bayes = prod(data.target_shape), None
        if isinstance(config.data, RegressionDataConfig):
            bayes = bayes_loss(self.loss, config.data.noise, num_targets, self.huber_delta)
        network = build_network(
            config.network,
            in_features=data.in_features,
            out_features=num_targets,
            example_shape=data.example_shape,
            generator=init_stream,
        )
        check_outputs(network, data, (num_targets,))
        return Regression(
            network,
            regression_loss(self.loss, self.huber_delta),
            bayes,
            optimizer=config.optimizer,
            num_steps=config.num_steps,
            train_seed=config.train_seed,
        )

    def build_callbacks(
        self, config: Sections, run: Any, recorder: Any, rebuild: Callable[[], Any]
    ) -> list[Any]:
        from gaplab.tasks.regression_figures import regression_figures

        return build_pictures(config, run, regression_figures)
