"""How good samples are, and how much nearer to training than to held-out points, as flat tables."""

import math
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec

import torch
from torch import Tensor

from gaplab.config.gan import GANConfig
from gaplab.data.splits import SampleFn, Split
from gaplab.losses.adversarial import ADVERSARIAL_LOSSES
from gaplab.metrics.gap import gap_standard_error
from gaplab.metrics.generative.memorisation import CopyingDistances, CopyingTest, nearest_sample
from gaplab.metrics.generative.mmd import mmd_test
from gaplab.metrics.generative.neighbours import RealNeighbours
from gaplab.metrics.generative.transport import (
    distance_of_sorted,
    exact_wasserstein2,
    random_directions,
    sorted_projections,
)
from gaplab.metrics.generative.two_sample import TwoSampleResult, two_sample_test
from gaplab.networks.conditioning import pack_samples
from gaplab.randomness import make_generator
from gaplab.tasks.gan_losses import Discriminate
from gaplab.tasks.law_scores import LawScores

QUICK_POINTS = 1_000
"""Points that pairwise scores compare during training, and in the two slowest tests at the end."""
NUM_DIRECTIONS = 500
"""Directions of a sliced distance."""
POINTS_AT_ONCE = 4_000
"""Points that go through a network at once: its layers stay in the processor's cache."""


def gap_tag(name: str) -> str:
    """Return the tag of a score's gap.

    >>> gap_tag("judge/accuracy")
    'gap/judge_accuracy'
    """
    return f"gap/{name.replace('/', '_')}"


class References:
    """True points of every split that samples are compared with, and what of the comparison depends on these alone.

    Args:
        points: Points [n, D] of ``train``, ``test`` and possibly ``val``.
        generator: Source of the directions of sliced distances. They are the same for all splits, so that chance in
            their choice is no part of a gap.
    """

    def __init__(self, points: Mapping[str, Tensor], generator: torch.Generator) -> None:
        self.points = points
        self._directions = random_directions(points["train"].shape[1], NUM_DIRECTIONS, generator)
        self._projected = {
            split: sorted_projections(real, self._directions) for split, real in points.items()
        }
        self.neighbours = RealNeighbours(points["test"])
        self.copying = CopyingDistances(points["train"], points["test"])

    def sliced_distances(self, fake: Tensor) -> dict[str, float]:
        """Return the sliced Wasserstein-2 distances of n samples from the points of each split."""
        projected = sorted_projections(fake, self._directions)
        return {split: distance_of_sorted(projected, real) for split, real in self._projected.items()}


def sample_scores(
    points: Tensor, labels: Tensor | None, references: References, law_scores: LawScores | None, *, full: bool
) -> dict[str, float]:
    """Score samples; a score that is not defined for them (KL without a high-quality sample) is NaN.

    Args:
        points: Samples [m, D], as many as true points or more.
        labels: Their labels [m], if they were drawn for labels.
        references: The n true points of each split that the first n samples are compared with.
        law_scores: Scores that need the law's formula, if it has one.
        full: Whether to include the exact Wasserstein distance, on 1,000 points.
    """
    table = law_scores.scores(points, labels) if law_scores is not None else {}
    real = references.points
    fake = points[: len(real["test"])]
    for split, distance in references.sliced_distances(fake).items():
        table[f"distance/sliced_w2_{split}"] = distance
    for name, value in references.neighbours.scores(fake)._asdict().items():
        table[f"coverage/{name}"] = value
    copying = references.copying.scores(fake)
    table |= {"distance/copying_ratio": copying.ratio, "distance/nearest_split": copying.split_gap}
    if full and find_spec("scipy"):
        left, right = real["test"][:QUICK_POINTS], fake[:QUICK_POINTS]
        table["distance/exact_w2"] = exact_wasserstein2(left, right)
    return table


def two_sample_scores(
    fake: Tensor, references: References, law_scores: LawScores | None, generator: torch.Generator
) -> dict[str, float]:
    """Test samples [n, D] against the points of ``train`` and ``test``: by judges, and by MMD on 1,000 points.

    The ceilings of MMD are what equal laws get: 0, and the mean of the p-value under its null distribution. Those of
    judges are ``judge_ceilings``.
    """
    table: dict[str, float] = {}
    for split in ("train", "test"):
        real = references.points[split]
        found = _judged(real, fake, law_scores, generator)
        table |= {f"judge/{name}_{split}": value for name, value in found.accuracies.items()}
        table[f"judge/accuracy_{split}"] = found.accuracy
        table[f"judge/p_value_{split}"] = found.p_value
        left, right = real[:QUICK_POINTS], fake[:QUICK_POINTS]
        scale = None if law_scores is None else law_scores.scale
        mmd = mmd_test(left, right, generator=generator, scale=scale)
        table[f"mmd/squared_{split}"], table[f"mmd/p_value_{split}"] = mmd.squared, mmd.p_value
        if split == "test":
            table["ceiling/mmd/squared_test"] = 0.0
            table["ceiling/mmd/p_value_test"] = mmd.expected_p_value
    return table


def judge_ceilings(
    true: Tensor, references: References, law_scores: LawScores | None, generator: torch.Generator
) -> dict[str, float]:
    """Return what the judges make of a perfect sampler: the means over permuted labels, for true points [n, D].

    For equal laws they are the means of the accuracies over draws, and deviate a quarter as much as the accuracy of a
    draw. They are not taken from the judging of a generator's samples: judges that know these agree with each other,
    and the largest of equal accuracies is lower.
    """
    found = _judged(references.points["test"], true, law_scores, generator)
    table = {f"ceiling/judge/{name}_test": value for name, value in found.expected_accuracies.items()}
    table["ceiling/judge/accuracy_test"] = found.expected_accuracy
    table["ceiling/judge/p_value_test"] = found.expected_p_value
    return table


def _judged(
    real: Tensor, fake: Tensor, law_scores: LawScores | None, generator: torch.Generator
) -> TwoSampleResult:
    features = None if law_scores is None else law_scores.features
    return two_sample_test(real, fake, generator=generator, features=features)


def discriminator_scores(
    config: GANConfig,
    generate: Callable[[Tensor, Tensor], Tensor],
    discriminate: Callable[[Tensor], Discriminate],
    scale: Tensor,
    splits: Mapping[str, Split],
    latents: Tensor,
    max_points: int | None,
) -> dict[str, float]:
    """Return the discriminator's loss (without penalties) on each split, its gap and the gap's error.

    All splits meet the generator as it is (no moving average) at the same latent variables, taken in turn,
    so that a difference between splits comes from their true points.

    Args:
        config: Names the loss.
        generate: Latents and labels to points over ``scale``.
        discriminate: Labels to the discriminator of packs with these labels.
        scale: What points are divided by.
        splits: True points and labels.
        latents: Latent variables [M, L].
        max_points: Most points of a split; None for all.
    """
    loss = torch.vmap(ADVERSARIAL_LOSSES[config.loss].discriminator)
    table, values = {}, {}
    taken = {}
    for name, split in splits.items():
        every = 1 if max_points is None else -(-len(split) // max_points)
        points, labels = split.points[::every], split.labels[::every]
        number = len(points) - len(points) % config.pack
        taken[name] = points[:number], labels[:number]

    def in_parts(first: Tensor, labels: Tensor, points_of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        size = max(POINTS_AT_ONCE // config.pack, 1) * config.pack
        parts = zip(first.split(size), labels.split(size), strict=True)
        return torch.cat([discriminate(b)(pack_samples(points_of(a, b), config.pack)) for a, b in parts])

    def fake_scores_of(labels: Tensor) -> Tensor:
        turns = torch.arange(len(labels)) % len(latents)
        return in_parts(latents[turns].to(scale), labels, generate)

    # Without labels every turn of the latent variables is the same packs of the same samples.
    repeats = config.label_embedding == 0 and len(latents) % config.pack == 0
    longest = max((labels for _, labels in taken.values()), key=len)
    once = fake_scores_of(longest[: len(latents)]) if repeats else None
    for name, (points, labels) in taken.items():
        real_scores = in_parts(points, labels, lambda some, _: some / scale)
        if once is None:
            fake_scores = fake_scores_of(labels)
        else:
            fake_scores = once[torch.arange(len(real_scores), device=once.device) % len(once)]
        values[name] = loss(real_scores[:, None], fake_scores[:, None]).double()
        table[f"loss/discriminator_{name}"] = values[name].mean().item()
    train, test = values["train"], values["test"]
    table[gap_tag("loss/discriminator")] = (test.mean() - train.mean()).item()
    table["gap/loss_discriminator_error"] = gap_standard_error(
        train.var().item(), len(train), test.var().item(), len(test)
    )
    return table


COLLAPSED_SPREAD = 0.001
"""Standard deviation of the samples, over that of the data, below which they count as one point."""


NUM_CEILING_DRAWS = 3
"""Draws of true points that a ceiling is the mean of."""


class SampleScorer:
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
        self,
        points: Tensor,
        labels: Tensor,
        splits: Mapping[str, Split],
        draw: SampleFn,
        *,
        full: bool,
        many: Tensor | None = None,
    ) -> dict[str, float]:
        """Return the scores of samples [n, D] with labels [n], and each one's ``ceiling/<name>``.

        Args:
            points: Samples, at most as many as points in the smallest split.
            labels: Their labels.
            splits: True points.
            draw: Draws fresh points of the same law; its first argument names the random stream.
            full: See ``sample_scores``.
            many: More samples, [m, D], for the shapes of modes and the copying test; None to leave these out.
        """
        number = len(points) if full else min(len(points), QUICK_POINTS)
        chosen = {}
        for name, split in splits.items():
            order = torch.randperm(len(split), generator=make_generator(self.seed, "reference", name))
            chosen[name] = split.points[order[:number].to(split.points.device)]
        generator = make_generator(self.seed, "scores", "generated")
        references = References(chosen, make_generator(self.seed, "directions"))
        copying = None
        if many is not None and find_spec("scipy"):
            draws = make_generator(self.seed, "cells")
            copying = CopyingTest(splits["train"].points, splits["test"].points, generator=draws)

        def score(points: Tensor, labels: Tensor, many: Tensor | None) -> dict[str, float]:
            table = {} if many is None or self.law_scores is None else self.law_scores.shapes(many)
            if many is not None and copying is not None:
                table["distance/nearest_sample"] = nearest_sample(many)
                table["distance/c_t"] = copying(many)
            given = labels if self.conditional else None
            return table | sample_scores(points, given, references, self.law_scores, full=full)

        if full not in self.ceilings:
            tables = []
            for turn in range(NUM_CEILING_DRAWS):
                stream = f"ceiling/{turn}"
                true_points, true_labels = draw(stream, len(points))
                # Point sets come in the order of their arms, but some scores look at the first points only.
                order = torch.randperm(len(points), generator=make_generator(self.seed, "order", stream))
                true_points, true_labels = true_points[order].to(points), true_labels[order].to(labels.device)
                more = None if many is None else draw(f"{stream}/many", len(many))[0].to(points)
                tables.append(with_gaps(score(true_points, true_labels, more)))
                if full and turn == 0:
                    draws = make_generator(self.seed, "scores", stream)
                    judged = judge_ceilings(true_points, references, self.law_scores, draws)
            means = {
                f"ceiling/{name}": sum(table[name] for table in tables) / len(tables) for name in tables[0]
            }
            self.ceilings[full] = means | (judged if full else {})
        table = score(points, labels, many)
        if full:
            table |= two_sample_scores(points, references, self.law_scores, generator)
        table = with_gaps(table) | self.ceilings[full]
        return {name: value for name, value in table.items() if math.isfinite(value)}


def with_gaps(table: dict[str, float]) -> dict[str, float]:
    """Return a table of scores with the gaps, test minus train, of those that have both."""
    gaps = {
        gap_tag(name): table[f"{name}_test"] - table[f"{name}_train"]
        for name in ("distance/sliced_w2", "judge/accuracy", "mmd/squared")
        if f"{name}_test" in table and f"{name}_train" in table
    }
    return table | gaps


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
