"""Which tensors of a network count as weight matrices, and the network as a function of its parameters."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.func import functional_call

CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
Parameters = dict[str, Tensor]
Forward = Callable[[Parameters, Tensor], Tensor]
"""(parameters, points [P, D]) -> logits [P, C]."""


def functional_forward(network: nn.Module) -> Forward:
    """The network as a pure function of its parameters (buffers stay as they are; use eval mode)."""

    def forward(parameters: Parameters, points: Tensor) -> Tensor:
        return functional_call(network, parameters, (points,))

    return forward


def weight_names(network: nn.Module) -> list[str]:
    """Names of the weight matrices from input to output: the ``weight`` of every linear and convolutional layer.

    A network without such layers: every parameter of two or more dimensions. Biases never count.
    """
    layers = [
        f"{name}.weight".lstrip(".")
        for name, module in network.named_modules()
        if isinstance(module, (nn.Linear, *CONVOLUTIONS))
    ]
    names = layers or [name for name, parameter in network.named_parameters() if parameter.ndim >= 2]
    if not names:
        raise ValueError("Expected a network with weight matrices, but no parameter has two dimensions.")
    return names


def weight_matrices(parameters: Parameters, names: Sequence[str]) -> list[Tensor]:
    """The named weights, each as a matrix [units, inputs] (further dimensions flattened into the inputs)."""
    return [parameters[name].flatten(1) for name in names]
