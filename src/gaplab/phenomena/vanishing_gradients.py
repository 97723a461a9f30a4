"""Vanishing gradients: measured and predicted loss of gradient per layer, and the cures."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gaplab.data.spirals import sample_spirals
from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.losses.classification import cross_entropy
from gaplab.networks import MLP
from gaplab.phenomena.verdict import Check, Phenomenon, Row, Verdict, at_most
from gaplab.randomness import make_generator


class Setting(NamedTuple):
    """A network and the two factors of its prediction."""

    activation: str
    initialization: str
    block: str = "plain"
    weight_variance: float | None = None
    """n·Var w, with n the width."""
    square_slope: float | None = None
    """E[φ'²]; φ' at 0 for sigmoid and tanh."""

    @property
    def predicted_slope(self) -> float | None:
        """½·log₁₀(n·Var w·E[φ'²]), decades a layer, counted away from the output."""
        if self.weight_variance is None or self.square_slope is None:
            return None
        return 0.5 * math.log10(self.weight_variance * self.square_slope)


SETTINGS = {
    "sigmoid, Xavier": Setting("sigmoid", "xavier_normal", "plain", 1, 1 / 16),
    "sigmoid, PyTorch default": Setting("sigmoid", "default", "plain", 1 / 3, 1 / 16),
    "ReLU, PyTorch default": Setting("relu", "default", "plain", 1 / 3, 1 / 2),
    "tanh, PyTorch default": Setting("tanh", "default", "plain", 1 / 3, 1),
    "ReLU, He": Setting("relu", "he_normal", "plain", 2, 1 / 2),
    "ReLU, PyTorch default, residual": Setting("relu", "default", "residual"),
    "sigmoid, PyTorch default, highway": Setting("sigmoid", "default", "highway"),
}


def error_norms(setting: Setting, seed: int, depth: int, width: int) -> list[float]:
    """‖∂L/∂(output of hidden block l)‖ over all points, from the last block to the first."""
    points, labels = sample_spirals(300, generator=make_generator(seed, "points"))
    network = MLP(
        2,
        3,
        [width] * depth,
        activation=setting.activation,
        initialization=setting.initialization,
        block=setting.block,
        generator=make_generator(seed, "weights"),
    ).double()
    outputs: list[Tensor] = []
    for block in network.hidden:
        block.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    loss = cross_entropy(network(points.double()), labels).mean()
    gradients = torch.autograd.grad(loss, outputs)
    return [float(gradient.norm()) for gradient in reversed(gradients)]


def slope_per_layer(norms: Sequence[float]) -> float:
    """Least-squares slope of log₁₀ of the norms over the layer number."""
    y = torch.tensor(norms, dtype=torch.float64).log10()
    x = torch.arange(len(y), dtype=torch.float64)
    x = x - x.mean()
    return float((x * y).sum() / x.square().sum())


def judge(norms: dict[str, list[list[float]]]) -> Verdict:
    """``norms[setting][seed]`` as ``error_norms`` gives them."""
    slopes = {name: [slope_per_layer(seed) for seed in values] for name, values in norms.items()}
    rows: list[Row] = []
    errors: list[float] = []
    for name, values in slopes.items():
        predicted = SETTINGS[name].predicted_slope
        mean = sum(values) / len(values)
        if predicted is not None:
            errors += [abs(value - predicted) for value in values]
        shown = "none" if predicted is None else f"{predicted:.3f}"
        rows.append((name, shown, mean, min(values), max(values)))
    cured = [abs(value) for name, s in SETTINGS.items() if s.block != "plain" for value in slopes[name]]
    gains = [
        min(a[-1] / b[-1] for a, b in zip(norms[cure], norms[ill], strict=True))
        for cure, ill in (
            ("ReLU, PyTorch default, residual", "ReLU, PyTorch default"),
            ("sigmoid, PyTorch default, highway", "sigmoid, PyTorch default"),
        )
    ]
    depth = len(next(iter(norms.values()))[0])
    return Verdict(
        checks=[
            at_most("slope within 0.06 decades a layer of the predicted one (5 settings)", errors, 0.06),
            at_most("residual and highway blocks: slope within 0.15 of 0", cured, 0.15),
            Check(
                expectation=f"{depth} layers down, the cures leave at least 1000 times more gradient",
                measured=f"{gains[0]:.2g} times (residual), {gains[1]:.2g} times (highway), worst seed",
                holds=min(gains) >= 1e3,
            ),
        ],
        columns=("network", "predicted slope (decades a layer)", "measured (mean)", "least", "greatest"),
        rows=rows,
        figures={
            "gradients": draw_panels(
                [
                    Panel(
                        [
                            Curve(name, range(depth), values, dashed=SETTINGS[name].block != "plain")
                            for name, values in norms.items()
                        ],
                        "layers below the last hidden one",
                        "norm of the gradient of the loss",
                        log="y",
                    )
                ]
            )
        },
        remark=(
            "Measured at initialisation, before any step. The gradient is that at the outputs of the blocks; "
            "weight gradients are its products with the inputs of the layer, whose size depends on depth too."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    depth, width = (10, 50) if quick else (20, 200)
    return judge(
        {
            name: [error_norms(setting, seed, depth, width) for seed in seeds]
            for name, setting in SETTINGS.items()
        }
    )


PHENOMENON = Phenomenon(
    title="Vanishing gradients",
    claim=(
        "Going down a layer multiplies the gradient by √(n·Var w·E[φ'²]) on average, so that it dies out "
        "exponentially with depth unless the initialisation, skip connections or gates keep that factor "
        "near 1."
    ),
    reference="Hochreiter 1991; Glorot and Bengio 2010; He et al. 2015 and 2016; Srivastava et al. 2015",
    run=run,
)
