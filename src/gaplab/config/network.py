"""Settings of the networks. Their names stand here, their mathematics in ``gaplab.networks``."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gaplab.config.checks import check, check_at_least, check_not_negative, check_positive
from gaplab.config.registry import choice, without_builder


class Activation(StrEnum):
    identity = "identity"
    ramp = "ramp"
    step = "step"
    step_ste = "step_ste"
    sign = "sign"
    sign_ste = "sign_ste"
    sigmoid = "sigmoid"
    tanh = "tanh"
    relu = "relu"
    leaky_relu = "leaky_relu"
    elu = "elu"
    selu = "selu"
    gelu = "gelu"
    silu = "silu"
    mish = "mish"
    softplus = "softplus"
    softsign = "softsign"


class Block(StrEnum):
    plain = "plain"
    residual = "residual"
    highway = "highway"
    glu = "glu"
    inception = "inception"


NUM_BRANCHES = 3
"""Of an inception block."""


class Initialization(StrEnum):
    default = "default"
    xavier_uniform = "xavier_uniform"
    xavier_normal = "xavier_normal"
    he_uniform = "he_uniform"
    he_normal = "he_normal"
    lecun_normal = "lecun_normal"
    orthogonal = "orthogonal"
    small_normal = "small_normal"
    zeros = "zeros"


@dataclass(kw_only=True, slots=True)
class NetworkConfig:
    """Any network; a user's own config derives from this class."""

    def build(self, in_features: int, out_features: int, generator: Any) -> Any:
        """Return a module from points [P, in_features] to [P, out_features].

        Its initial weights are drawn from ``generator``, a ``torch.Generator``.

        Raises:
            ConfigError: If a class has no method of its own and no builder is registered for it.
        """
        raise without_builder(self)


@choice("network", "mlp")
@dataclass(kw_only=True, slots=True)
class MLPConfig(NetworkConfig):
    """A multilayer perceptron; ``widths`` lists the hidden layers, so ``[]`` is a linear model."""

    widths: list[int] = field(default_factory=lambda: [100])
    activation: Activation = Activation.relu
    block: Block = Block.plain
    """What stands between two widths: a plain layer, or a residual, gated or branching one."""
    dense_skip: bool = False
    """Let every layer see the input and all layers before it (Lang and Witbrock)."""
    dropout: float = 0.0
    """Share of hidden units dropped in training."""
    initialization: Initialization = Initialization.default
    gain: float = 1.0
    """Factor on the initial weights."""
    rng_skip_widths: list[list[int]] = field(default_factory=list)
    """Hidden widths of networks drawn from the same random stream earlier: repeats published scripts."""

    def __post_init__(self) -> None:
        for key, widths in (
            ("widths", self.widths),
            ("rng_skip_widths", [width for earlier in self.rng_skip_widths for width in earlier]),
        ):
            for width in widths:
                check_at_least(f"network.{key}", width, 1, "Every hidden layer needs at least one unit.")
                check(
                    width >= NUM_BRANCHES or self.block is not Block.inception,
                    f"network.{key}",
                    f"at least {NUM_BRANCHES} units, one for every branch of an inception block",
                    width,
                )
        check(0 <= self.dropout < 1, "network.dropout", "a share in [0, 1)", self.dropout)
        check_positive("network.gain", self.gain)
        check(
            not (self.dense_skip and self.block is not Block.plain),
            "network.dense_skip",
            "network.block=plain beside it",
            self.block.value,
        )

    def build(self, in_features: int, out_features: int, generator: Any) -> Any:
        from gaplab.networks import MLP

        for widths in [*self.rng_skip_widths, self.widths]:
            network = MLP(
                in_features,
                out_features,
                widths,
                activation=self.activation,
                block=self.block,
                dropout=self.dropout,
                dense_skip=self.dense_skip,
                initialization=self.initialization,
                gain=self.gain,
                generator=generator,
            )
        return network


@choice("network", "linear")
@dataclass(kw_only=True, slots=True)
class LinearConfig(NetworkConfig):
    """The softmax model: one linear map from the input to the logits."""

    initialization: Initialization = Initialization.default
    gain: float = 1.0

    def __post_init__(self) -> None:
        check_positive("network.gain", self.gain)

    def build(self, in_features: int, out_features: int, generator: Any) -> Any:
        from gaplab.networks import MLP

        return MLP(
            in_features,
            out_features,
            [],
            initialization=self.initialization,
            gain=self.gain,
            generator=generator,
        )


@choice("network", "perceptron")
@dataclass(kw_only=True, slots=True)
class PerceptronConfig(NetworkConfig):
    """Rosenblatt's perceptron: a linear threshold unit a class, all weights zero at the start.

    Use it with ``task.loss=perceptron optimizer=sgd optimizer.lr=1 data.batch_size=1``, which is
    his learning rule.
    """

    def build(self, in_features: int, out_features: int, generator: Any) -> Any:
        from gaplab.networks import Perceptron

        return Perceptron(in_features, out_features)


@choice("network", "cs231n")
@dataclass(kw_only=True, slots=True)
class CS231nConfig(NetworkConfig):
    """A linear or one-hidden-layer network with the random numbers of the CS231n case study."""

    hidden_units: int | None = None
    """Width of the hidden layer; null for the softmax model."""
    points_drawn_before: int = 300
    """How many points the same NumPy stream gave before the weights."""

    def __post_init__(self) -> None:
        if self.hidden_units is not None:
            check_at_least("network.hidden_units", self.hidden_units, 1)
        check_not_negative("network.points_drawn_before", self.points_drawn_before)

    def build(self, in_features: int, out_features: int, generator: Any) -> Any:
        """Zero biases, and weights that continue NumPy's stream after the points were drawn from it."""
        import numpy as np
        import torch

        from gaplab.data.published_spirals import draw_cs231n_weights
        from gaplab.networks import MLP

        widths = [] if self.hidden_units is None else [self.hidden_units]
        network = MLP(in_features, out_features, widths, initialization="zeros", generator=generator)
        random_state = np.random.RandomState(generator.initial_seed() % 2**32)
        random_state.randn(self.points_drawn_before)
        matrices = [p for p in network.parameters() if p.ndim == 2]
        weights = draw_cs231n_weights(random_state, [in_features, *widths, out_features])
        with torch.no_grad():
            for matrix, weight in zip(matrices, weights, strict=True):
                matrix.copy_(weight)
        return network
