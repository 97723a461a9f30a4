"""What learns to carry noise to points by a regression: its samples, and their scores."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from gaplab.errors import DivergedError
from gaplab.randomness import make_generator
from gaplab.tasks.gan_scores import SampleScorer
from gaplab.tasks.law_scores import SHAPE_POINTS, LawScores
from gaplab.tasks.losses_task import LossesTask


class PointSampler(LossesTask):
    """Trains by ``losses`` and draws points by ``transport``. Samples are judged at the end, by the scores of a GAN."""

    dimension: int
    """Coordinates of a point."""
    law_scores: LawScores | None = None

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.scale: Tensor
        """Standard deviation of the training points over all coordinates: what a network sees is divided by it."""
        self.register_buffer("scale", torch.ones(1))
        self.scorer: SampleScorer | None = None

    @abstractmethod
    def transport(self, noise: Tensor) -> Tensor:
        """Return the points over ``scale``, [P, D], that standard normal noise [P, D] is carried to."""

    @torch.no_grad()
    def draw_samples(self, num_points: int, stream: str) -> Tensor:
        """Return fresh samples [P, D]."""
        draws = make_generator(self.train_seed, "samples", stream)
        noise = torch.randn(num_points, self.dimension, generator=draws)
        return self.transport(noise.to(self.scale)) * self.scale

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
