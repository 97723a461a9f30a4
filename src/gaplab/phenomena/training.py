"""Trains several equal networks at once: full-batch Adam or gradient descent on stacked weights.

Both work element by element, so one optimiser over stacked weights does for each network exactly what an
optimiser of its own would do; the sum of the mean losses keeps their gradients apart.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from gaplab.data.corruption import flip_labels
from gaplab.data.spirals import sample_spirals
from gaplab.networks import MLP
from gaplab.randomness import make_generator

Parameters = dict[str, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
"""Outputs [K, P, C] and labels [K, P] (or targets [K, P, C]) to the mean loss of each network [K]."""
Observe = Callable[[int, Parameters], bool | None]
"""Called with the number of steps taken and the weights [K, ...]; True ends the training."""


class Networks:
    """K networks of one architecture with weights stacked along the first dimension."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.parameters: Parameters = {
            name: value.detach().clone() for name, value in stack_module_state(list(networks))[0].items()
        }
        self.template = networks[0].eval()

    def logits(self, points: Tensor, parameters: Parameters | None = None) -> Tensor:
        """Logits [K, P, C] of points [K, P, D], each network's own."""

        def forward(parameters: Parameters, points: Tensor) -> Tensor:
            return functional_call(self.template, parameters, (points,))

        return vmap(forward)(self.parameters if parameters is None else parameters, points)

    def accuracy(self, points: Tensor, labels: Tensor, parameters: Parameters | None = None) -> list[float]:
        """Share of right answers of each network on its points [K, P, D] and labels [K, P]."""
        with torch.no_grad():
            hits = self.logits(points, parameters).argmax(-1) == labels
        return hits.double().mean(dim=1).tolist()

    def error(self, points: Tensor, labels: Tensor, parameters: Parameters | None = None) -> list[float]:
        """Share of wrong answers; counted, as one minus the share of right ones is not 0.02 where 98 of 100 are."""
        with torch.no_grad():
            misses = self.logits(points, parameters).argmax(-1) != labels
        return misses.double().mean(dim=1).tolist()

    def loss(self, points: Tensor, labels: Tensor, parameters: Parameters | None = None) -> list[float]:
        """Mean cross-entropy of each network, in nats."""
        with torch.no_grad():
            return mean_cross_entropy(self.logits(points, parameters), labels).tolist()

    def one(self, index: int) -> Callable[[Tensor], Tensor]:
        """Class probabilities [P, C] of one of the networks, for pictures."""
        parameters = {name: value[index].detach() for name, value in self.parameters.items()}
        return lambda points: functional_call(self.template, parameters, (points,)).softmax(dim=-1)

    def train(
        self,
        points: Tensor,
        labels: Tensor,
        *,
        num_steps: int,
        lr: float = 1e-2,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        penalty: Callable[[Parameters], Tensor] | None = None,
        mask: Parameters | None = None,
        loss: Loss | None = None,
        descent: bool = False,
        observe: Observe | None = None,
        observe_every: int = 50,
    ) -> None:
        """Fit points [K, m, D] and labels [K, m] by Adam (AdamW's decay) on the mean cross-entropy.

        ``penalty`` of the weights [K, ...], summed over the networks, is added to the loss. Weights where ``mask``
        [K, ...] is 0 are 0 and stay so. ``loss`` replaces the cross-entropy, and ``descent`` Adam by plain
        gradient descent.
        """
        mean_losses = loss or mean_cross_entropy
        leaves = {name: value.clone() for name, value in self.parameters.items()}
        for name, kept in (mask or {}).items():
            leaves[name] *= kept
        for name, leaf in leaves.items():
            leaf.requires_grad_()
            if mask is not None and name in mask:
                leaf.register_hook(mask[name].mul)
        optimizer: torch.optim.Optimizer = (
            torch.optim.SGD(list(leaves.values()), lr=lr, weight_decay=weight_decay)
            if descent
            else torch.optim.AdamW(
                list(leaves.values()), lr=lr, betas=betas, weight_decay=weight_decay, fused=True
            )
        )
        for step in range(num_steps):
            if observe is not None and step % observe_every == 0 and observe(step, leaves):
                break
            optimizer.zero_grad()
            total = mean_losses(self.logits(points, leaves), labels).sum()
            (total if penalty is None else total + penalty(leaves)).backward()
            optimizer.step()
        else:
            if observe is not None:
                observe(num_steps, leaves)
        self.parameters = {name: value.detach() for name, value in leaves.items()}


def mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each network [K], in nats, of logits [K, P, C] and labels [K, P]."""
    losses = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view(labels.shape).mean(dim=1)


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of each network [K], of outputs and targets [K, P, C]."""
    return (outputs - targets).square().mean(dim=(1, 2))


def build_networks(seeds: Sequence[int], widths: Sequence[int], **settings: object) -> Networks:
    """One MLP a seed; ``settings`` go to it, with ``in_features`` 2 and ``out_features`` 3 if not given."""
    sizes = {"in_features": 2, "out_features": 3}
    return Networks(
        [
            MLP(widths=list(widths), generator=make_generator(seed, "weights"), **(sizes | settings))  # type: ignore[arg-type]
            for seed in seeds
        ]
    )


def draw_spirals(
    seeds: Sequence[int],
    num_points: int,
    split: str = "train",
    *,
    num_arms: int = 3,
    noise: float = 0.2,
    turns: float | None = None,
    min_radius: float = 0.0,
    label_noise: float = 0.0,
    random_labels: bool = False,
) -> tuple[Tensor, Tensor]:
    """Points [K, P, 2] and labels [K, P] of ``sample_spirals``, a draw a seed and split.

    A share ``label_noise`` of the labels is wrong; ``random_labels`` makes all independent of the points.
    """
    draws = []
    for seed in seeds:
        points, labels = sample_spirals(
            num_points,
            num_arms=num_arms,
            noise=noise,
            turns=turns,
            min_radius=min_radius,
            generator=make_generator(seed, "points", split),
        )
        labels = flip_labels(
            labels,
            num_arms,
            1.0 if random_labels else label_noise,
            include_true=random_labels,
            generator=make_generator(seed, "labels", split),
        )
        draws.append((points, labels))
    return torch.stack([points for points, _ in draws]), torch.stack([labels for _, labels in draws])
