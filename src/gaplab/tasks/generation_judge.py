"""Every score of a generator beside its ceiling: what a perfect sampler would get at this sample size."""

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from gaplab.data.datamodule import Draw, Split
from gaplab.randomness import make_generator
from gaplab.tasks.generation_scores import LawScores, sample_scores

COLLAPSED_SPREAD = 0.01
"""Standard deviation of the samples, over that of the data, below which they count as one point."""
NUM_CEILING_DRAWS = 3
"""Draws of true points that a ceiling is the mean of."""


class Judge:
    """Scores samples against fixed points of each split, and true points in their place once.

    Args:
        law_scores: Scores that need the formula of the law, if it has one.
        conditional: Whether samples were drawn for their labels.
        seed: Seed of the choice of reference points, of shuffles and of permutations.
    """

    def __init__(self, law_scores: LawScores | None, *, conditional: bool, seed: int) -> None:
        self.law_scores = law_scores
        self.conditional = conditional
        self.seed = seed
        self.ceilings: dict[bool, dict[str, float]] = {}

    def scores(
        self, points: Tensor, labels: Tensor, splits: Mapping[str, Split], draw: Draw, *, thorough: bool
    ) -> dict[str, float]:
        """Return the scores of samples [n, D] with labels [n], and each one's ``ceiling/<name>``.

        Args:
            points: Samples, at most as many as points in the smallest split.
            labels: Their labels.
            splits: True points.
            draw: Draws fresh points of the same law; its first argument names the random stream.
            thorough: See ``sample_scores``.
        """
        references = {}
        for name, split in splits.items():
            order = torch.randperm(len(split), generator=make_generator(self.seed, "reference", name))
            references[name] = split.points[order[: len(points)].to(split.points.device)]

        def score(points: Tensor, labels: Tensor, stream: str) -> dict[str, float]:
            return sample_scores(
                points,
                labels if self.conditional else None,
                references,
                self.law_scores,
                thorough=thorough,
                generator=make_generator(self.seed, "scores", stream),
            )

        if thorough not in self.ceilings:
            tables = []
            for number in range(NUM_CEILING_DRAWS):
                stream = f"ceiling/{number}"
                true_points, true_labels = draw(stream, len(points))
                # Point sets come in the order of their arms, but some scores look at the first points only.
                order = torch.randperm(len(points), generator=make_generator(self.seed, "order", stream))
                true_points, true_labels = true_points[order].to(points), true_labels[order].to(labels.device)
                tables.append(score(true_points, true_labels, stream))
            self.ceilings[thorough] = {
                f"ceiling/{name}": sum(table[name] for table in tables) / len(tables)
                for name in tables[0]
                if all(name in table for table in tables)
            }
        return score(points, labels, "generated") | self.ceilings[thorough]


def warn_of_collapse(points: Tensor, scale: Tensor, run_name: str = "") -> bool:
    """Warn if all samples [n, D] are one point, as far as the data's spread ``scale`` is concerned.

    ``run_name`` says which of many runs it is; it is empty for a run alone.
    """
    spread = float(points.std(dim=0).max() / scale)
    if spread >= COLLAPSED_SPREAD:
        return False
    subject = f"mode collapse of {run_name}" if run_name else "mode collapse"
    warnings.warn(
        f"{subject}: the standard deviation of {len(points)} samples is {spread:.2g} of the data's (less "
        f"than {COLLAPSED_SPREAD} counts as one point). Raise task.r1 and task.r2, use "
        "task.loss=relativistic, or lower optimizer.lr.",
        stacklevel=2,
    )
    return True
