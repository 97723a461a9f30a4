"""What the hidden layers of a task's networks compute."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gaplab.networks import CNN, MLP

SAME = 1e-6
"""Outputs of a unit that differ by no more than this count as the same."""


def hidden_layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the hidden blocks of every MLP and CNN in ``module``, from input to output, with short names."""
    networks = [(name, part) for name, part in module.named_modules() if isinstance(part, MLP | CNN)]
    for name, network in networks:
        prefix = f"{name}." if len(networks) > 1 else ""
        for number, layer in enumerate(network.hidden):
            yield f"{prefix}hidden.{number}", layer


@torch.no_grad()
def hidden_outputs(module: nn.Module, network: nn.Module, points: Tensor) -> dict[str, Tensor]:
    """Return the outputs [P, H] of the hidden layers below ``module`` while ``network`` sees points [P, D].

    The network runs in eval mode and is left in the mode that it had.
    """
    outputs: dict[str, Tensor] = {}
    training = network.training
    handles = [
        layer.register_forward_hook(
            lambda _, __, output, name=name: outputs.update({name: output.flatten(1)})
        )
        for name, layer in hidden_layers(module)
    ]
    try:
        network.eval()
        network(points)
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return outputs


def dead_share(outputs: Tensor) -> float:
    """Return the share of the units [P, H] whose output is the same for all P points.

    >>> dead_share(torch.tensor([[0.0, 1.0], [0.0, 2.0]]))
    0.5
    """
    spread = outputs.amax(dim=0) - outputs.amin(dim=0)
    return float((spread <= SAME).double().mean())
