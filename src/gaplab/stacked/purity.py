"""Whether a network is a pure function of its parameters and buffers, which stacked training takes it for."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gaplab.networks import Dropout
from gaplab.stacked.update_rules import Params

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
PROBED = 8
"""Points on which ``refuse_hidden_differences`` compares outputs."""


def running_buffers(network: nn.Module) -> Params:
    """Return the buffers of a network, persistent or not, but the masks of ``Dropout``, which are drawn."""
    masks = {f"{name}.mask" for name, module in network.named_modules() if isinstance(module, Dropout)}
    return {name: buffer.detach() for name, buffer in network.named_buffers() if name not in masks}


def refuse_impure(network: nn.Module) -> None:
    """Refuse what stacked models cannot compute as the network alone would.

    Raises:
        ValueError: For a layer that draws from the global generators, or normalises by the batch in eval mode, and
            for parameters that are not trained.
    """
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    if frozen:
        raise ValueError(
            f"the network's {frozen[0]} is a parameter that is not trained; a buffer can be stacked"
        )
    for name, module in network.named_modules():
        layer = f"{name} ({type(module).__name__})"
        if isinstance(module, DROPOUTS) and module.p > 0:
            raise ValueError(
                f"the network's {layer} draws from the global generator; gaplab.networks.Dropout does not"
            )
        if isinstance(module, BATCH_NORMS) and not module.track_running_stats:
            raise ValueError(f"the network's {layer} normalises by the batch in eval mode too")
        if isinstance(module, BATCH_NORMS) and module.momentum is None:
            raise ValueError(f"the network's {layer} has no momentum: how it averages depends on a count")


def refuse_unmoved(module: nn.Module, outputs: Tensor) -> None:
    """Refuse parameters that ``outputs`` do not depend on: torch's optimisers leave them alone, weight decay included.

    Raises:
        ValueError: With the name of the first one.
    """
    names, params = zip(*module.named_parameters(), strict=True)
    for name, gradient in zip(
        names, torch.autograd.grad(outputs.sum(), params, allow_unused=True), strict=True
    ):
        if gradient is None:
            raise ValueError(f"the parameter {name} is part of nothing that is computed")


def refuse_hidden_differences(
    modules: Sequence[nn.Module], tensors: Sequence[Params], inputs: Sequence[Callable[[], tuple[Any, ...]]]
) -> None:
    """Compare each module with the first one that is given its parameters and buffers, on a few examples.

    Args:
        modules: Networks, or whatever else computes an output of a few examples.
        tensors: The parameters and buffers of each.
        inputs: Returns the arguments of each, anew at every call: a generator among them must not have drawn yet.

    Raises:
        ValueError: If they differ: the modules keep something elsewhere, such as a tensor that is no buffer. Or if a
            parameter of the first one is not used.
    """
    first = copy.deepcopy(modules[0]).eval()  # no statistics move
    with torch.enable_grad():
        refuse_unmoved(first, first(*inputs[0]()))
    with torch.no_grad():
        for module, own, given in zip(modules, tensors, inputs, strict=True):
            training = module.training
            found, expected = functional_call(first, own, given()), module.eval()(*given())
            module.train(training)
            if not torch.allclose(found, expected, rtol=1e-5, atol=1e-7, equal_nan=True):
                raise ValueError(
                    "the networks differ in more than parameters and buffers, such as a tensor that is neither"
                )
