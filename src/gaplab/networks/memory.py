"""What a network keeps beside its parameters, and may have learned from the training points."""

from torch import nn

from gaplab.networks.dropout import Dropout


def kept_beside_parameters(network: nn.Module) -> list[str]:
    """Return the names of the buffers of a network, such as BatchNorm's running statistics or stored points.

    The masks of our own dropout are left out: they are not used where a network is measured.
    """
    return [
        f"{path}.{name}".lstrip(".")
        for path, module in network.named_modules()
        if not isinstance(module, Dropout)
        for name, _ in module.named_buffers(recurse=False)
    ]
