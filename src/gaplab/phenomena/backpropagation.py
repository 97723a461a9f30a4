"""Back-propagation against numerical gradients, in double precision."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from gaplab.data.spirals import sample_spirals
from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.losses.classification import LOSSES
from gaplab.networks import BLOCKS, MLP
from gaplab.phenomena.verdict import Phenomenon, Row, Verdict, at_least, at_most
from gaplab.randomness import make_generator

STEPS = tuple(10.0**-exponent for exponent in range(1, 13))
BEST_STEP = 1e-5
SMOOTH = ("identity", "sigmoid", "tanh", "softsign", "elu", "gelu", "silu", "softplus", "mish")

Loss = Callable[[Tensor, Tensor], Tensor]


def backpropagated_by_hand(network: MLP, points: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the mean cross-entropy of in-H-C with tanh, by the four formulas of the textbook.

    Forward: a = W₁x + b₁, h = tanh(a), z = W₂h + b₂, p = softmax(z). Backward, with the errors
    δ₂ = (p − one-hot(y))/P and δ₁ = (W₂ᵀδ₂)·(1 − h²): ∂L/∂W = δ·inputᵀ and ∂L/∂b = δ, summed over points.
    In the order of ``network.parameters()``.
    """
    w1, b1, w2, b2 = (parameter.detach() for parameter in network.parameters())
    hidden = torch.tanh(points @ w1.T + b1)
    probabilities = (hidden @ w2.T + b2).softmax(dim=1)
    delta2 = (probabilities - nn.functional.one_hot(labels, len(b2))) / len(labels)
    delta1 = (delta2 @ w2) * (1 - hidden.square())
    pieces = (delta1.T @ points, delta1.sum(0), delta2.T @ hidden, delta2.sum(0))
    return torch.cat([piece.flatten() for piece in pieces])


def automatic_gradient(network: nn.Module, loss: Loss, points: Tensor, labels: Tensor) -> Tensor:
    """Gradient [N] of the mean loss by autograd."""
    value = loss(network(points), labels).mean()
    return parameters_to_vector(torch.autograd.grad(value, list(network.parameters())))


def numerical_gradient(
    network: nn.Module, loss: Loss, points: Tensor, labels: Tensor, step: float = BEST_STEP
) -> Tensor:
    """Gradient [N] by central differences (L(w + h) − L(w − h))/2h, one weight at a time."""
    moved = copy.deepcopy(network)
    center = parameters_to_vector(network.parameters()).detach()

    def value(weights: Tensor) -> Tensor:
        vector_to_parameters(weights, moved.parameters())
        with torch.no_grad():
            return loss(functional_call(moved, dict(moved.named_parameters()), (points,)), labels).mean()

    directions = step * torch.eye(len(center), dtype=center.dtype)
    return torch.stack([(value(center + d) - value(center - d)) / (2 * step) for d in directions])


def relative_error(a: Tensor, b: Tensor) -> float:
    """‖a − b‖/(‖a‖ + ‖b‖)."""
    return float((a - b).norm() / (a.norm() + b.norm()))


def measure(seed: int, quick: bool) -> tuple[dict[str, float], list[float]]:
    """Relative errors by what was checked, and by step width for a tanh network."""
    points, labels = sample_spirals(30, generator=make_generator(seed, "points"))
    points = points.double()

    def network(**settings: object) -> MLP:
        generator = make_generator(seed, "weights")
        return MLP(2, 3, **({"widths": [6, 6]} | settings), generator=generator).double()  # type: ignore[arg-type]

    def error(network: MLP, loss: Loss = LOSSES["cross_entropy"]) -> float:
        exact = automatic_gradient(network, loss, points, labels)
        return relative_error(exact, numerical_gradient(network, loss, points, labels))

    small = network(widths=[6], activation="tanh")
    by_hand = backpropagated_by_hand(small, points, labels)
    errors = {"tanh": error(network(activation="tanh"))}
    if not quick:
        errors |= {name: error(network(activation=name)) for name in SMOOTH}
        errors |= {f"{name} blocks, tanh": error(network(activation="tanh", block=name)) for name in BLOCKS}
        errors["dense_skip, tanh"] = error(network(activation="tanh", dense_skip=True))
        errors["squared error"] = error(network(activation="tanh"), LOSSES["squared_error"])
    errors["by hand, against numerical"] = relative_error(
        by_hand, numerical_gradient(small, LOSSES["cross_entropy"], points, labels)
    )
    errors["by hand, against autograd"] = relative_error(
        by_hand, automatic_gradient(small, LOSSES["cross_entropy"], points, labels)
    )
    exact = automatic_gradient(small, LOSSES["cross_entropy"], points, labels)
    by_step = [
        relative_error(exact, numerical_gradient(small, LOSSES["cross_entropy"], points, labels, step))
        for step in STEPS
    ]
    return errors, by_step


def judge(results: list[tuple[dict[str, float], list[float]]]) -> Verdict:
    tables = [errors for errors, _ in results]
    names = list(tables[0])
    worst = [max(errors.values()) for errors in tables]
    gain = [min(by_step) for _, by_step in results]
    ends = [min(by_step[0], by_step[-1]) / min(by_step) for _, by_step in results]
    rows: list[Row] = [(name, min(e[name] for e in tables), max(e[name] for e in tables)) for name in names]
    return Verdict(
        checks=[
            at_most("relative error of every gradient below 1e-6", worst, 1e-6),
            at_most("the best step width reaches 1e-9", gain, 1e-9),
            at_least("both a wide and a tiny step are 1000 times worse than the best", ends, 1e3),
        ],
        witnesses=[
            at_most(
                "textbook formulas equal autograd to rounding",
                [errors["by hand, against autograd"] for errors in tables],
                1e-14,
            )
        ],
        columns=("gradient", "smallest relative error", "largest relative error"),
        rows=rows,
        figures={
            "step_width": draw_panels(
                [
                    Panel(
                        [Curve("2-6-3 tanh network", STEPS, [by_step for _, by_step in results])],
                        "step width h of the difference quotient",
                        "relative error",
                        log="xy",
                    )
                ]
            )
        },
        remark=(
            "Wide steps err by the curvature (as h²), tiny ones by rounding (as 1/h). ReLU and its relatives "
            "are left out: a difference quotient across a kink measures neither slope."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    return judge([measure(seed, quick) for seed in seeds])


PHENOMENON = Phenomenon(
    title="Back-propagation is the gradient",
    claim="The gradients of back-propagation agree with difference quotients of the loss.",
    reference="Rumelhart, Hinton and Williams 1986",
    run=run,
)
