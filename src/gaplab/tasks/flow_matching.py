"""Flow matching: the velocity that carries noise to data along straight lines, and samples that follow it.

Sources: Lipman et al. 2023 (conditional flow matching with the optimal-transport path) and Liu et al. 2023.
"""

from typing import Any

import torch
from torch import Tensor

from gaplab.data.loader import Batch
from gaplab.errors import DivergedError
from gaplab.randomness import make_generator
from gaplab.tasks.gan_scores import SampleScorer
from gaplab.tasks.law_scores import SHAPE_POINTS, LawScores
from gaplab.tasks.losses_task import LossesTask


class FlowMatching(LossesTask):
    """Trains the velocity v(x_t, t) of points x_t = (1 - t) z + t x towards x - z, where z is normal and t uniform.

    Its gap is that of this squared error. Samples are judged at the end, by the scores of a GAN.
    """

    dimension: int
    """Coordinates of a point."""
    law_scores: LawScores | None = None

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(1))
        self.scorer: SampleScorer | None = None

    def losses(self, batch: Batch, generator: torch.Generator) -> Tensor:
        shape = batch.global_batch_size, batch.points.shape[1]
        noise = batch.part(torch.randn(shape, generator=generator)).to(batch.points)
        time = batch.part(torch.rand(shape[0], 1, generator=generator)).to(batch.points)
        points = batch.points / self.scale
        velocity = self(torch.cat([(1 - time) * noise + time * points, time], dim=1))
        return (velocity - (points - noise)).square().mean(dim=1)

    @torch.no_grad()
    def draw_samples(self, num_points: int, stream: str) -> Tensor:
        """Return fresh samples [P, D]: the flow of noise, by Heun's method."""
        draws = make_generator(self.train_seed, "samples", stream)
        noise = torch.randn(num_points, self.dimension, generator=draws)
        points = noise.to(self.scale)
        step = 1 / self.section.sampling_steps

        def velocity(points: Tensor, time: float) -> Tensor:
            moved: Tensor = self(torch.cat([points, torch.full_like(points[:, :1], time)], dim=1))
            return moved

        for number in range(self.section.sampling_steps):
            start = velocity(points, number * step)
            end = velocity(points + step * start, (number + 1) * step)
            points = points + step * (start + end) / 2
        return points * self.scale

    @torch.no_grad()
    def final_scores(self, data: Any, step: int) -> dict[str, float]:
        """Return the losses of all splits and the scores of samples.

        Raises:
            DivergedError: If a sample is not finite.
        """
        count = min(self.section.num_samples, *(len(split) for split in data.splits.values()))
        points, many = self.draw_samples(count, "final"), self.draw_samples(SHAPE_POINTS, "shapes")
        if not (points.isfinite().all() and many.isfinite().all()):
            raise DivergedError("a generated point", step)
        if self.scorer is None:
            self.scorer = SampleScorer(self.law_scores, conditional=False, seed=self.train_seed)
        labels = torch.zeros(count, dtype=torch.int64, device=points.device)
        scores = self.scorer.scores(points, labels, data.splits, data.draw, full=True, many=many)
        return self.measure(data) | scores
