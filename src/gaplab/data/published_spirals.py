"""Three spirals exactly as published elsewhere: Stanford CS231n, TensorFlow Playground, Lang & Witbrock.

None of them is rescaled: radii reach 1 (CS231n), 5 (Playground) and 6.5 (Lang & Witbrock).
"""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from gaplab.data.spirals import arm_labels

NUM_TWO_SPIRALS = 194
NUM_TWO_SPIRALS_BETWEEN = 192


def published_cs231n_spirals(
    random_state: np.random.RandomState, num_points: int = 300, *, num_arms: int = 3, noise: float = 0.2
) -> tuple[Tensor, Tensor]:
    """The CS231n spiral from NumPy's legacy stream, as the course draws it: one ``randn(N)`` per arm.

    With ``np.random.RandomState(0)`` this is the course's sample. Its initial weights continue the same
    stream: see ``draw_cs231n_weights``.
    """
    labels = arm_labels(num_points, num_arms)
    return _cs231n_points(labels, noise * torch.from_numpy(random_state.randn(num_points))), labels


def draw_cs231n_weights(random_state: np.random.RandomState, sizes: list[int]) -> list[Tensor]:
    """Initial weights 0.01·randn(in, out) of CS231n's networks, layer after layer; its biases are zero.

    Args:
        random_state: the stream, after the data has been drawn from it.
        sizes: layer sizes from input to output, [2, 3] for the softmax and [2, 100, 3] for the ReLU network.

    Returns:
        One float32 tensor [out, in] per layer, which is the layout of ``torch.nn.Linear.weight``.
    """
    draws = [0.01 * random_state.randn(fan_in, fan_out) for fan_in, fan_out in pairwise(sizes)]
    return [torch.from_numpy(draw.T).float().contiguous() for draw in draws]


def sample_playground_spirals(
    num_points: int = 500, *, noise: float = 0.0, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The spiral of TensorFlow Playground (src/dataset.ts, classifySpiralData).

    Point i of n on an arm: r = 5·i/n, t = 1.75·(i/n)·2π + Δ, (r sin t, r cos t) + noise·U(−1, 1) on each
    coordinate. Δ = 0 is the Playground's label +1, here class 1; Δ = π is its label −1, here class 0.

    Args:
        num_points: points in all (Playground: 500); with an odd number the first arm has one more.
        noise: half-width of the uniform noise, 0 … 0.5 (the slider divided by 100).
        generator: the only source of randomness.

    Returns:
        Points [P, 2] float32 and labels [P] int64, class 1 first as published.
    """
    if not 0 <= noise <= 0.5:
        raise ValueError(f"noise of the Playground spiral must lie between 0 and 0.5, but got {noise}.")
    arm = arm_labels(num_points, 2)
    fraction = torch.cat([torch.arange(n) / n for n in arm.bincount().tolist()])
    angle = 2 * math.pi * 1.75 * fraction + math.pi * arm
    points = 5 * fraction[:, None] * torch.stack((angle.sin(), angle.cos()), dim=1)
    shift = 2 * torch.rand(num_points, 2, generator=generator) - 1
    return points + noise * shift, 1 - arm


def sample_two_spirals(
    num_points: int = NUM_TWO_SPIRALS,
    *,
    noise: float = 0.0,
    between: bool = False,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """The two-spirals benchmark of Lang & Witbrock 1988 (CMU neural network benchmarks).

    For i = 0 … 96: angle i·π/16, radius 6.5·(104 − i)/104, and the point (r cos, r sin) is class 1, its
    mirror image (−x, −y) class 0. Three turns, 97 points per class.

    Args:
        num_points: 194, the size of the benchmark, or 192 with ``between``; anything else is refused.
        noise: standard deviation of normal noise on each coordinate; the benchmark has none.
        between: the test set, at i = 0.5, 1.5 … 95.5. OpenANN splits the benchmark at double density the
            same way, except that it puts one of the two innermost points (i = 96) into its test set.
        generator: the only source of randomness; unused when noise = 0.

    Returns:
        Points [P, 2] float32 and labels [P] int64, alternating class 1, class 0 as i grows.
    """
    expected = NUM_TWO_SPIRALS_BETWEEN if between else NUM_TWO_SPIRALS
    if num_points != expected:
        raise ValueError(
            f"num_points of two_spirals must be {expected} (between={between}), but got {num_points}. "
            "For another size use spirals with num_arms=2."
        )
    if noise < 0:
        raise ValueError(f"noise must not be negative, but got {noise}.")
    i = torch.arange(expected // 2, dtype=torch.float64) + (0.5 if between else 0.0)
    angle, radius = i * math.pi / 16, 6.5 * (104 - i) / 104
    first = radius[:, None] * torch.stack((angle.cos(), angle.sin()), dim=1)
    points = torch.stack((first, -first), dim=1).flatten(0, 1).float()
    if noise > 0:
        points = points + noise * torch.randn(points.shape, generator=generator)
    return points, torch.tensor([1, 0]).repeat(expected // 2)


def _cs231n_points(labels: Tensor, shift: Tensor) -> Tensor:
    """Points [P, 2] float32 for labels in order of the arms and angular shifts [P] float64."""
    radius = torch.cat([torch.linspace(0, 1, n, dtype=torch.float64) for n in labels.bincount().tolist()])
    angle = 4 * (labels + radius) + shift
    return (radius[:, None] * torch.stack((angle.sin(), angle.cos()), dim=1)).float()
