"""Settings of the networks. Their names stand here, their mathematics in ``gaplab.networks``."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from inspect import Parameter, signature
from types import MethodType
from typing import Any, ClassVar

from gaplab.config.checks import check, check_at_least, check_not_negative, check_positive, check_waves
from gaplab.config.registry import builder_of, built_otherwise, choice, without_builder
from gaplab.errors import ConfigError


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


class Norm(StrEnum):
    none = "none"
    batch = "batch"
    """BatchNorm: means and variances over the batch; running ones in eval mode."""
    layer = "layer"
    """LayerNorm over the features of a point."""
    group = "group"
    """GroupNorm with up to 8 groups: nothing is shared between points."""


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


def build_network(
    section: "NetworkConfig", *, in_features: int, out_features: int, example_shape: Any, generator: Any
) -> Any:
    """Build a network with what the signature of its builder asks for by name.

    Args:
        section: The settings of the network.
        in_features: Numbers that one point has.
        out_features: Numbers that the network should return for a point.
        example_shape: Shape of one point; of each part by name, where points are dicts.
        generator: The ``torch.Generator`` of the initial weights.

    A builder with required parameters of other names gets ``(in_features, out_features, generator)`` by position.
    """
    build = builder_of(section)
    offered = {
        "in_features": in_features,
        "out_features": out_features,
        "example_shape": example_shape,
        "generator": generator,
    }
    asked = _parameters(build)
    free = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    if any(
        (one.default is Parameter.empty and name not in offered and one.kind not in free)
        or (one.kind is Parameter.POSITIONAL_ONLY)
        for name, one in asked.items()
    ):
        return build(in_features, out_features, generator)
    if any(one.kind is Parameter.VAR_KEYWORD for one in asked.values()):
        return build(**offered)
    return build(**{name: value for name, value in offered.items() if name in asked})


def _parameters(build: Callable[..., Any]) -> Mapping[str, Parameter]:
    """Return the parameters of a builder by name; a method's are those of all objects of its class."""
    method = getattr(build, "__func__", None)
    return signature(build).parameters if method is None else _parameters_of_method(method)


@functools.cache
def _parameters_of_method(function: Callable[..., Any]) -> Mapping[str, Parameter]:
    return signature(MethodType(function, object())).parameters


@dataclass(kw_only=True, slots=True)
class NetworkConfig:
    """Any network; a user's own config derives from this class."""

    pointwise: ClassVar[bool] = False
    """Whether the output of a point depends on no other point of its batch, as BatchNorm's does in training."""

    def build(self, in_features: int, out_features: int, generator: Any) -> Any:
        """Return a module from points [P, ...] to [P, out_features].

        A method or builder of your own may ask by name for any of ``in_features``, ``out_features``,
        ``example_shape`` (of one point) and ``generator``, a ``torch.Generator`` for the initial weights; or for none.

        Raises:
            ConfigError: If a class has no method of its own and no builder is registered for it.
        """
        raise without_builder(self)


def is_pointwise(network: NetworkConfig) -> bool:
    """Whether a network treats every point by itself: the shipped ones do, of others nothing is known."""
    compares = getattr(network, "norm", Norm.none) is Norm.batch
    return network.pointwise and not compares and not built_otherwise(network, "pointwise")


@choice("network", "mlp")
@dataclass(kw_only=True, slots=True)
class MLPConfig(NetworkConfig):
    """A multilayer perceptron; ``widths`` lists the hidden layers, so ``[]`` is a linear model."""

    pointwise: ClassVar[bool] = True

    widths: list[int] = field(default_factory=lambda: [100])
    activation: Activation = Activation.relu
    block: Block = Block.plain
    """What stands between two widths: a plain layer, or a residual, gated or branching one."""
    dense_skip: bool = False
    """Let every layer see the input and all layers before it (Lang and Witbrock)."""
    dropout: float = 0.0
    """Share of hidden units dropped in training."""
    norm: Norm = Norm.none
    """What stands between a hidden layer's weights and its activation."""
    initialization: Initialization = Initialization.default
    gain: float = 1.0
    """Factor on the initial weights."""
    fourier_features: int = 0
    """Waves of the input, of random directions and phases, that the network sees beside it (Tancik et al. 2020)."""
    fourier_frequencies: list[float] = field(default_factory=lambda: [1.0, 60.0])
    """Slowest and fastest of these waves, in radians per unit of the input; log-spaced in between."""
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
        check_waves("network", self.fourier_features, self.fourier_frequencies)
        check(
            self.norm is Norm.none or self.block is Block.plain,
            "network.norm",
            "none unless network.block=plain",
            self.norm.value,
        )
        check(
            not (self.dense_skip and self.block is not Block.plain),
            "network.dense_skip",
            "network.block=plain beside it",
            self.block.value,
        )

    def build(self, in_features: int, out_features: int, generator: Any, example_shape: Any = (0,)) -> Any:
        from gaplab.networks import MLP

        ndim, waves = _ndim_of(self, example_shape), self.fourier_features
        for widths in [*self.rng_skip_widths, self.widths]:
            network = MLP(
                in_features + waves,
                out_features,
                widths,
                activation=self.activation,
                block=self.block,
                dropout=self.dropout,
                dense_skip=self.dense_skip,
                initialization=self.initialization,
                gain=self.gain,
                norm=self.norm,
                generator=generator,
                point_ndim=1 if waves else ndim,
            )
        if not waves:
            return network
        from torch import nn

        from gaplab.networks.fourier_features import FourierFeatures

        slow, fast = self.fourier_frequencies
        features = FourierFeatures(in_features, waves, (slow, fast), generator)
        return nn.Sequential(nn.Flatten(-ndim), features, network)


@choice("network", "linear")
@dataclass(kw_only=True, slots=True)
class LinearConfig(NetworkConfig):
    """The softmax model: one linear map from the input to the logits."""

    pointwise: ClassVar[bool] = True

    initialization: Initialization = Initialization.default
    gain: float = 1.0

    def __post_init__(self) -> None:
        check_positive("network.gain", self.gain)

    def build(self, in_features: int, out_features: int, generator: Any, example_shape: Any = (0,)) -> Any:
        from gaplab.networks import MLP

        return MLP(
            in_features,
            out_features,
            [],
            initialization=self.initialization,
            gain=self.gain,
            generator=generator,
            point_ndim=_ndim_of(self, example_shape),
        )


@choice("network", "perceptron")
@dataclass(kw_only=True, slots=True)
class PerceptronConfig(NetworkConfig):
    """Rosenblatt's perceptron: a linear threshold unit a class, all weights zero at the start.

    Use it with ``task.loss=perceptron optimizer=sgd optimizer.lr=1 data.batch_size=1``, which is
    his learning rule.
    """

    pointwise: ClassVar[bool] = True

    def build(self, in_features: int, out_features: int, generator: Any, example_shape: Any = (0,)) -> Any:
        from gaplab.networks import Perceptron

        return Perceptron(in_features, out_features, _ndim_of(self, example_shape))


@choice("network", "cs231n")
@dataclass(kw_only=True, slots=True)
class CS231nConfig(NetworkConfig):
    """A linear or one-hidden-layer network with the random numbers of the CS231n case study."""

    pointwise: ClassVar[bool] = True

    hidden_units: int | None = None
    """Width of the hidden layer; null for the softmax model."""
    points_drawn_before: int = 300
    """How many points the same NumPy stream gave before the weights."""

    def __post_init__(self) -> None:
        if self.hidden_units is not None:
            check_at_least("network.hidden_units", self.hidden_units, 1)
        check_not_negative("network.points_drawn_before", self.points_drawn_before)

    def build(self, in_features: int, out_features: int, generator: Any, example_shape: Any = (0,)) -> Any:
        """Zero biases, and weights that continue NumPy's stream after the points were drawn from it."""
        import numpy as np
        import torch

        from gaplab.data.published_spirals import draw_cs231n_weights
        from gaplab.networks import MLP

        widths = [] if self.hidden_units is None else [self.hidden_units]
        network = MLP(
            in_features,
            out_features,
            widths,
            initialization="zeros",
            generator=generator,
            point_ndim=_ndim_of(self, example_shape),
        )
        random_state = np.random.RandomState(generator.initial_seed() % 2**32)
        random_state.randn(self.points_drawn_before)
        matrices = [p for p in network.parameters() if p.ndim == 2]
        weights = draw_cs231n_weights(random_state, [in_features, *widths, out_features])
        with torch.no_grad():
            for matrix, weight in zip(matrices, weights, strict=True):
                matrix.copy_(weight)
        return network


@choice("network", "cnn")
@dataclass(kw_only=True, slots=True)
class CNNConfig(NetworkConfig):
    """Convolutions with stride 2 from one to the next, the mean over all pixels, and a linear layer."""

    channels: list[int] = field(default_factory=lambda: [16, 32])
    """Channels after each convolution."""
    kernel_size: int = 3
    """Pixels on each side of a kernel, an odd number."""
    activation: Activation = Activation.relu
    norm: Norm = Norm.none
    """What stands between a convolution and its activation."""
    initialization: Initialization = Initialization.default
    gain: float = 1.0
    """Factor on the initial weights."""

    def __post_init__(self) -> None:
        check_at_least("network.channels", len(self.channels), 1, "A CNN needs a convolution.")
        for channels in self.channels:
            check_at_least("network.channels", channels, 1, "Every convolution needs at least one channel.")
        check(
            self.kernel_size >= 1 and self.kernel_size % 2 == 1,
            "network.kernel_size",
            "an odd number of pixels",
            self.kernel_size,
        )
        check_positive("network.gain", self.gain)

    def build(self, in_features: int, out_features: int, generator: Any, example_shape: Any = (0,)) -> Any:
        from gaplab.networks.cnn import CNN

        if isinstance(example_shape, dict) or len(example_shape) != 3:
            raise ConfigError(
                f"network=cnn: expected images [channels, height, width], but a point of these data has the shape "
                f"{example_shape}. Take network=mlp, or for the digits data.flat=false."
            )
        return CNN(
            example_shape[0],
            out_features,
            self.channels,
            kernel_size=self.kernel_size,
            activation=self.activation,
            norm=self.norm,
            initialization=self.initialization,
            gain=self.gain,
            generator=generator,
        )


def _ndim_of(section: NetworkConfig, example_shape: Any) -> int:
    """Return the dimensions of a point, which a network of linear layers flattens."""
    if isinstance(example_shape, dict):
        raise ConfigError(
            f"network: expected points in one tensor, but those of these data are dicts of "
            f"{', '.join(example_shape)}, which {type(section).__name__} cannot take. Register a network of your own."
        )
    return len(example_shape)
