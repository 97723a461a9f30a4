"""Words as features: TF-IDF against counts, and mutual information as estimated and as it is."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gaplab.errors import ConfigError
from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.verdict import Phenomenon, Row, Verdict, mean_at_least, mean_at_most
from gaplab.randomness import make_generator

NUM_SUBJECTS, NUM_WORDS = 6, 600
NUM_TOPICAL = 120
"""Words that belong to a subject, equally many to each; all others say nothing about it."""
TEXT_LENGTH = 60.0
"""Expected number of words of a text."""
BOOST = 6.0
"""How many times as frequent a topical word is in its own subject as in another."""
SIZES = (5, 30, 200)
"""Texts a subject to learn from."""
NUM_TEST = 100
NUM_CHOSEN = 20
NUM_NEIGHBOURS = 5


class Measured(NamedTuple):
    """What one draw of texts gave: test accuracies, and mutual information with the subject in nats."""

    counts: float
    """Nearest neighbours by the cosine of word counts."""
    tf_idf: float
    frequent: float
    """Naive Bayes on the most frequent words."""
    informative: float
    """The same on the words of greatest estimated information."""
    estimated: float
    """Mean estimate over those words, from the texts that they were chosen by."""
    true: float
    """Their mean information under the law."""
    silent: float
    """Mean estimate over the words that say nothing and stand in 10 to 90 % of the texts, less the truth, 0."""


def draw_law(seed: int) -> Tensor:
    """Expected counts [C, V] of every word in a text: frequencies by Zipf's law, some bound to a subject."""
    generator = make_generator(seed, "law")
    frequencies = 1 / torch.arange(1, NUM_WORDS + 1, dtype=torch.float64)
    # The ten most frequent words of a language belong to no subject.
    topical = 10 + torch.randperm(NUM_WORDS - 10, generator=generator)[:NUM_TOPICAL]
    factors = torch.ones(NUM_SUBJECTS, NUM_WORDS, dtype=torch.float64)
    others = NUM_SUBJECTS / (NUM_SUBJECTS - 1 + BOOST)
    factors[:, topical] = others
    factors[torch.arange(NUM_TOPICAL) % NUM_SUBJECTS, topical] = others * BOOST
    return TEXT_LENGTH * factors * frequencies / frequencies.sum()


def draw_texts(law: Tensor, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Word counts [P, V], Poisson and independent given the subject, of ``size`` texts a subject; labels [P]."""
    labels = torch.arange(len(law)).repeat_interleave(size)
    return torch.poisson(law[labels], generator=generator), labels


def information(presence: Tensor) -> Tensor:
    """Mutual information [V], in nats, of a word's presence with the subject, all subjects being equally likely.

    ``presence`` [C, V] are the probabilities that a text of a subject has the word: those of the law give the
    truth, shares of a sample with as many texts of each subject the plug-in estimate.
    """

    def entropy(p: Tensor) -> Tensor:
        return -(torch.special.xlogy(p, p) + torch.special.xlogy(1 - p, 1 - p))

    return entropy(presence.mean(dim=0)) - entropy(presence).mean(dim=0)


def shares(counts: Tensor, labels: Tensor) -> Tensor:
    """Shares [C, V] of the texts of each subject that have the word."""
    return torch.stack([(counts[labels == c] > 0).double().mean(dim=0) for c in range(NUM_SUBJECTS)])


def load_learners() -> tuple[Any, Any, Any]:
    """TF-IDF, nearest neighbours and naive Bayes.

    Raises:
        ConfigError: If scikit-learn is missing.
    """
    try:
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.naive_bayes import BernoulliNB
        from sklearn.neighbors import KNeighborsClassifier
    except ImportError as error:
        raise ConfigError(
            "phenomenon.name=informative_words: expected scikit-learn to be installed, but it is not. Install it "
            "with pip install 'gaplab[sklearn]'."
        ) from error
    return TfidfTransformer, KNeighborsClassifier, BernoulliNB


def measure(seed: int, size: int) -> Measured:
    """Learn from ``size`` texts a subject; the law is a draw of its own a seed."""
    tf_idf, neighbours, naive_bayes = load_learners()
    law = draw_law(seed)
    counts, labels = draw_texts(law, size, make_generator(seed, "texts", str(size)))
    test_counts, test_labels = draw_texts(law, NUM_TEST, make_generator(seed, "texts", "test"))
    estimates, truth = information(shares(counts, labels)), information(1 - (-law).exp())
    frequency = (counts > 0).double().mean(dim=0)
    silent = (truth < 1e-12) & (frequency > 0.1) & (frequency < 0.9)
    informative = estimates.argsort(descending=True, stable=True)[:NUM_CHOSEN]
    frequent = counts.sum(dim=0).argsort(descending=True, stable=True)[:NUM_CHOSEN]
    weigh = tf_idf().fit(counts.numpy())

    def by_neighbours(train: Any, test: Any) -> float:
        learner = neighbours(NUM_NEIGHBOURS, metric="cosine").fit(train, labels.numpy())
        return float(learner.score(test, test_labels.numpy()))

    def by_words(words: Tensor) -> float:
        learner = naive_bayes().fit(counts[:, words].numpy() > 0, labels.numpy())
        return float(learner.score(test_counts[:, words].numpy() > 0, test_labels.numpy()))

    return Measured(
        counts=by_neighbours(counts.numpy(), test_counts.numpy()),
        tf_idf=by_neighbours(weigh.transform(counts.numpy()), weigh.transform(test_counts.numpy())),
        frequent=by_words(frequent),
        informative=by_words(informative),
        estimated=float(estimates[informative].mean()),
        true=float(truth[informative].mean()),
        silent=float(estimates[silent].mean()),
    )


def judge(results: dict[int, list[Measured]]) -> Verdict:
    """``results[size][seed]``."""
    few, most = results[min(results)], results[max(results)]
    bias = (NUM_SUBJECTS - 1) / (2 * NUM_SUBJECTS * max(results))
    rows: list[Row] = [
        (size, *(fmean(getattr(one, name) for one in measured) for name in Measured._fields))
        for size, measured in results.items()
    ]
    gained = [
        fmean(one.tf_idf - one.counts for one in draws) for draws in zip(*results.values(), strict=True)
    ]

    def curve(label: str, name: str) -> Curve:
        values = zip(
            *([getattr(one, name) for one in measured] for measured in results.values()), strict=True
        )
        return Curve(label, list(results), list(values))

    return Verdict(
        checks=[
            mean_at_least(
                "nearest neighbours: TF-IDF beats counts by 0.05 in mean accuracy over the sizes",
                gained,
                0.05,
            ),
            mean_at_least(
                f"{max(results)} texts a subject: the {NUM_CHOSEN} most informative words beat the {NUM_CHOSEN} most "
                "frequent ones by 0.2 in mean accuracy",
                [one.informative - one.frequent for one in most],
                0.2,
            ),
            mean_at_least(
                f"{min(results)} texts: the chosen words' estimated information is at least twice the true one in "
                "the mean",
                [one.estimated / one.true for one in few],
                2.0,
            ),
            mean_at_most(
                f"{max(results)} texts: at most 1.25 times in the mean",
                [one.estimated / one.true for one in most],
                1.25,
            ),
            mean_at_least(
                f"{max(results)} texts: words that say nothing seem to say (C − 1)/2m nats: at least 0.8 of that in "
                "the mean",
                [one.silent / bias for one in most],
                0.8,
            ),
            mean_at_most("and at most 1.2 of it", [one.silent / bias for one in most], 1.2),
        ],
        columns=(
            "texts a subject",
            "neighbours, counts",
            "neighbours, TF-IDF",
            "Bayes, frequent words",
            "Bayes, informative words",
            "their information, estimated",
            "true",
            "of words that say nothing, estimated",
        ),
        rows=rows,
        figures={
            "words": draw_panels(
                [
                    Panel(
                        [
                            curve("neighbours, TF-IDF", "tf_idf"),
                            curve("neighbours, counts", "counts"),
                            curve("Bayes, informative words", "informative"),
                            curve("Bayes, frequent words", "frequent"),
                        ],
                        "texts a subject",
                        "test accuracy",
                        log="x",
                    ),
                    Panel(
                        [
                            curve("chosen words, estimated", "estimated"),
                            curve("chosen words, true", "true"),
                            curve("words that say nothing, estimated", "silent"),
                        ],
                        "texts a subject",
                        "mutual information (nats)",
                        log="xy",
                    ),
                ]
            )
        },
        remark=(
            f"Texts are counts of {NUM_WORDS} words drawn from a known law, {NUM_SUBJECTS} subjects, "
            f"{TEXT_LENGTH:g} words a text, so that the true information has a closed form; m counts all texts. What "
            "is chosen because it looks best looks better than it is: a generalisation gap without a network."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    sizes = SIZES[:2] if quick else SIZES
    return judge({size: [measure(seed, size) for seed in seeds] for size in sizes})


PHENOMENON = Phenomenon(
    title="Informative words: TF-IDF, mutual information and its gap",
    claim=(
        "Weighting words by how rare they are (TF-IDF) makes texts of a subject neighbours, and words of great mutual "
        "information with the subject tell more than frequent ones. From few texts that information is greatly "
        "overestimated."
    ),
    reference="Salton and Buckley 1988 (TF-IDF); Miller 1955 (bias of the plug-in estimate)",
    run=run,
)
