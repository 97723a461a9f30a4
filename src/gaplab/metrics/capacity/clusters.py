"""How well a network's first representation separates the classes."""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import one_hot

from gaplab.metrics.capacity.weights import Forward, Parameters, functional_forward, weight_names


def davies_bouldin_index(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Mean over classes of max_{j ≠ i} (s_i + s_j)/d_ij; small where classes are compact and far apart.

    s_i is the mean distance of the points of class i to their centroid, d_ij the distance of two centroids
    (Davies and Bouldin 1979). ``features`` [m, H], ``labels`` [m]. Classes without points do not count; 0
    where there is only one, infinite where two centroids coincide.
    """
    members = one_hot(labels, num_classes).to(features.dtype)
    counts = members.sum(0)
    centroids = (members.mT @ features) / counts.clamp(min=1)[:, None]
    spread = (members * torch.linalg.vector_norm(features[:, None] - centroids, dim=-1)).sum(0)
    spread = spread / counts.clamp(min=1)
    distances = torch.linalg.vector_norm(centroids[:, None] - centroids, dim=-1)
    there = counts > 0
    other = there[:, None] & there & ~torch.eye(num_classes, dtype=torch.bool, device=labels.device)
    ratios = torch.where(other, (spread[:, None] + spread) / distances, 0.0)
    return ratios.amax(1).sum() / there.sum()


def first_representation(network: nn.Module, points: Tensor) -> Forward:
    """Return the function (parameters, points [P, ...]) -> [P, H] to the features of the first hidden layer.

    They are what the first linear or convolutional layer sees that does not see the points themselves: after
    activation, norm and pooling, flattened. The logits of a network without such a layer. One of ``points``
    goes through the network once, to find the layer.
    """
    names = [name.removesuffix(".weight") for name in weight_names(network)]
    layers = {name: module for name, module in network.named_modules() if name in names}
    where = points.untyped_storage().data_ptr()
    hidden: list[str] = []

    def note(name: str, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].untyped_storage().data_ptr() != where:
            hidden.append(name)

    handles = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: note(name, inputs))
        for name, layer in layers.items()
    ]
    try:
        with torch.no_grad():
            network(points[:1])
    finally:
        for handle in handles:
            handle.remove()
    return _seen_by(network, layers[hidden[0]]) if hidden else functional_forward(network)


def _seen_by(network: nn.Module, layer: nn.Module) -> Forward:
    def features(parameters: Parameters, points: Tensor) -> Tensor:
        seen: list[Tensor] = []
        handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            functional_call(network, parameters, (points,))
        finally:
            handle.remove()
        return seen[0].flatten(1)

    return features
