"""How good samples are, and how much nearer to training than to held-out points, as flat tables."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

import torch
from torch import Tensor

from gaplab.config.gan import GANConfig
from gaplab.data.splits import SampleFn, Split
from gaplab.losses.adversarial import ADVERSARIAL_LOSSES
from gaplab.metrics.gap import gap_standard_error
from gaplab.metrics.generative.memorisation import (
    copying_ratio,
    copying_test,
    nearest_sample,
    nearest_split_gap,
)
from gaplab.metrics.generative.mmd import mmd_test
from gaplab.metrics.generative.neighbours import neighbour_scores
from gaplab.metrics.generative.transport import exact_wasserstein2, sliced_wasserstein2
from gaplab.metrics.generative.two_sample import two_sample_test
from gaplab.networks.conditioning import pack_samples
from gaplab.randomness import make_generator
from gaplab.tasks.gan_losses import Discriminate
from gaplab.tasks.law_scores import LawScores

QUICK_POINTS = 1_000
"""Points that pairwise scores compare during training, and in the two slowest tests at the end."""


def gap_tag(name: str) -> str:
    """Return the tag of a score's gap.

    >>> gap_tag("judge/accuracy")
    'gap/judge_accuracy'
    """
    return f"gap/{name.replace('/', '_')}"


def sample_scores(
    points: Tensor,
    labels: Tensor | None,
    references: Mapping[str, Tensor],
    law_scores: LawScores | None,
    *,
    full: bool,
    generator: torch.Generator,
    tested: Sequence[str] = ("train", "test"),
) -> dict[str, float]:
    """Score samples; scores that are not defined for them (KL without a high-quality sample) are left out.

    Args:
        points: Samples [n, D].
        labels: Their labels [n], if they were drawn for labels.
        references: True points of ``train``, ``test`` and possibly ``val``, at least n of each.
        law_scores: Scores that need the law's formula, if it has one.
        full: Whether to run the slow tests too, and to compare all n points instead of 1,000.
        generator: Source of directions, shuffles and permutations.
        tested: Splits against which judges and kernel tests are run.
    """
    law, scale = law_scores, None if law_scores is None else law_scores.scale
    table = law.scores(points, labels) if law is not None else {}
    number = len(points) if full else min(len(points), QUICK_POINTS)
    fake = points[:number]
    real = {split: reference[:number] for split, reference in references.items()}
    for split in real:
        distance = sliced_wasserstein2(fake, real[split], generator=generator)
        table[f"distance/sliced_w2_{split}"] = distance
    neighbours = neighbour_scores(real["test"], fake)
    table |= {f"coverage/{name}": value for name, value in neighbours._asdict().items()}
    table["distance/copying_ratio"] = copying_ratio(fake, real["train"], real["test"])
    table["distance/nearest_split"] = nearest_split_gap(fake, real["train"], real["test"])
    if full:
        if find_spec("scipy"):
            left, right = real["test"][:QUICK_POINTS], fake[:QUICK_POINTS]
            table["distance/exact_w2"] = exact_wasserstein2(left, right)
        for split in tested:
            features = None if law is None else law.features
            judge = two_sample_test(real[split], fake, generator=generator, features=features)
            table |= {f"judge/{name}_{split}": value for name, value in judge.accuracies.items()}
            table[f"judge/accuracy_{split}"] = judge.accuracy
            table[f"judge/p_value_{split}"] = judge.p_value
            left, right = real[split][:QUICK_POINTS], fake[:QUICK_POINTS]
            mmd, p_value = mmd_test(left, right, generator=generator, scale=scale)
            table[f"mmd/squared_{split}"], table[f"mmd/p_value_{split}"] = mmd, p_value
    for name in ("distance/sliced_w2", "judge/accuracy", "mmd/squared"):
        if f"{name}_test" in table and f"{name}_train" in table:
            table[gap_tag(name)] = table[f"{name}_test"] - table[f"{name}_train"]
    return {name: value for name, value in table.items() if math.isfinite(value)}


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
    for name, split in splits.items():
        every = 1 if max_points is None else -(-len(split) // max_points)
        points, labels = split.points[::every], split.labels[::every]
        number = len(points) - len(points) % config.pack
        points, labels = points[:number], labels[:number]
        turns = torch.arange(number) % len(latents)
        fake = generate(latents[turns].to(points), labels)
        scores = discriminate(labels)
        real_scores = scores(pack_samples(points / scale, config.pack))
        fake_scores = scores(pack_samples(fake, config.pack))
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
        references = {}
        for name, split in splits.items():
            order = torch.randperm(len(split), generator=make_generator(self.seed, "reference", name))
            references[name] = split.points[order[: len(points)].to(split.points.device)]

        def score(
            points: Tensor, labels: Tensor, many: Tensor | None, stream: str, tested: Sequence[str]
        ) -> dict[str, float]:
            shapes = {} if many is None or self.law_scores is None else self.law_scores.shapes(many)
            if many is not None and find_spec("scipy"):
                shapes["distance/nearest_sample"] = nearest_sample(many)
                train, test, draws = splits["train"], splits["test"], make_generator(self.seed, "cells")
                shapes["distance/c_t"] = copying_test(many, train.points, test.points, generator=draws)
            return shapes | sample_scores(
                points,
                labels if self.conditional else None,
                references,
                self.law_scores,
                full=full,
                generator=make_generator(self.seed, "scores", stream),
                tested=tested,
            )

        if full not in self.ceilings:
            tables = []
            for number in range(NUM_CEILING_DRAWS):
                stream = f"ceiling/{number}"
                true_points, true_labels = draw(stream, len(points))
                # Point sets come in the order of their arms, but some scores look at the first points only.
                order = torch.randperm(len(points), generator=make_generator(self.seed, "order", stream))
                true_points, true_labels = true_points[order].to(points), true_labels[order].to(labels.device)
                more = None if many is None else draw(f"{stream}/many", len(many))[0].to(points)
                # Only the ceiling on test is shown, and judges are most of a ceiling's cost.
                tables.append(score(true_points, true_labels, more, stream, ["test"]))
            self.ceilings[full] = {
                f"ceiling/{name}": sum(table[name] for table in tables) / len(tables)
                for name in tables[0]
                if all(name in table for table in tables)
            }
        return score(points, labels, many, "generated", ["train", "test"]) | self.ceilings[full]


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
