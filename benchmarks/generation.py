"""Drawing spiral points against the course notebook's loop over points."""

import math

import torch

from benchmarks.ratios import interleaved, seconds, show
from gaplab.data.spirals import sample_notebook_spirals, sample_spirals

NUM_POINTS, NUM_LOOP_POINTS = 3_000_000, 30_000


def loop(num_points: int) -> torch.Tensor:
    """The notebook's way: one assignment a point."""
    points = torch.zeros(num_points, 2)
    per_arm = num_points // 3
    for arm in range(3):
        radius = torch.linspace(0, 1, per_arm)
        start, end = 2 * math.pi / 3 * arm, 2 * math.pi / 3 * (2 + arm)
        angle = torch.linspace(start, end, per_arm) + torch.randn(per_arm) * 0.2
        for index in range(per_arm):
            direction = torch.FloatTensor((math.sin(angle[index]), math.cos(angle[index])))
            points[arm * per_arm + index] = radius[index] * direction
    return points


def main() -> bool:
    generator = torch.Generator().manual_seed(0)

    def per_point(function: object, count: int) -> float:
        return seconds(function) / count  # type: ignore[arg-type]

    results = []
    for sample in (sample_spirals, sample_notebook_spirals):
        ratio = interleaved(
            lambda: per_point(lambda: loop(NUM_LOOP_POINTS), NUM_LOOP_POINTS),
            lambda sample=sample: per_point(lambda: sample(NUM_POINTS, generator=generator), NUM_POINTS),
            repeats=3,
        )
        results.append(show(f"the notebook's loop / {sample.__name__}, per point", ratio, 50, at_least=True))
    return all(results)
