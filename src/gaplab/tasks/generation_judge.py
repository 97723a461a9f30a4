"""Every score of a generator beside its ceiling: what a perfect sampler would get at this sample size."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gaplab.data.datamodule import Draw, Split
from gaplab.randomness import make_generator
from gaplab.tasks.generation_scores import LawScores, sample_scores

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
                true_points, true_labels = draw(f"ceiling/{number}", len(points))
                true_points, true_labels = true_points.to(points), true_labels.to(labels.device)
                tables.append(score(true_points, true_labels, f"ceiling/{number}"))
            self.ceilings[thorough] = {
                f"ceiling/{name}": sum(table[name] for table in tables) / len(tables)
                for name in tables[0]
                if all(name in table for table in tables)
            }
        return score(points, labels, "generated") | self.ceilings[thorough]
