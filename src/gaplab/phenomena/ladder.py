"""The ladder of the lecture notes: rules, classic machine learning, representation learning, deep learning."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gaplab.config.checks import ConfigError
from gaplab.data.corruption import append_noise_dimensions
from gaplab.data.spirals import nearest_arm
from gaplab.figures.phenomena import draw_dots
from gaplab.networks import num_parameters
from gaplab.phenomena.training import build_networks, draw_spirals
from gaplab.phenomena.verdict import Phenomenon, Row, Verdict, at_least, at_most
from gaplab.randomness import make_generator

NUM_POINTS, NOISE_DIMENSIONS = 300, 8
WIDTHS = (50, 50)

Data = tuple[Tensor, Tensor, Tensor, Tensor]
"""Train points and labels, test points and labels; of one seed [P, D], or of all seeds [K, P, D]."""


class Score(NamedTuple):
    """Accuracies and the number of values that were learned."""

    train: float
    test: float
    num_parameters: int


def spiral_features(points: np.ndarray) -> np.ndarray:
    """cos and sin of θ − 2π·(2/3)·r: the angle of a point on an arm that has been straightened."""
    radius = np.hypot(points[:, 0], points[:, 1])
    angle = np.arctan2(points[:, 0], points[:, 1]) - 2 * math.pi * 2 / 3 * radius
    return np.stack((np.cos(angle), np.sin(angle)), axis=1)


def polar_features(points: np.ndarray) -> np.ndarray:
    """Radius, and cos θ and sin θ times 1, r, r²: polar coordinates without knowing how the arms turn."""
    radius = np.hypot(points[:, 0], points[:, 1])
    angle = np.arctan2(points[:, 0], points[:, 1])
    products = [trig(angle) * radius**power for power in range(3) for trig in (np.cos, np.sin)]
    return np.stack((radius, *products), axis=1)


def build_pipelines() -> dict[str, tuple[Any, Callable[[Any], int]]]:
    """Classic learners by name with a function that counts what they learned.

    Raises:
        ConfigError: If scikit-learn is missing.
    """
    try:
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
        from sklearn.feature_selection import SelectKBest, mutual_info_classif
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
    except ImportError as error:
        raise ConfigError(
            "phenomenon.name=ladder: expected scikit-learn to be installed, but it is not. Install it with "
            "pip install 'gaplab[sklearn]'."
        ) from error

    def linear(*steps: Any) -> Any:
        return make_pipeline(*steps, StandardScaler(), LogisticRegression(C=100.0, max_iter=5000))

    def neighbours(*steps: Any) -> Any:
        return make_pipeline(*steps, KNeighborsClassifier(5))

    def coefficients(model: Any) -> int:
        return int(model[-1].coef_.size + model[-1].intercept_.size)

    def stored(model: Any) -> int:
        return int(model[-1]._fit_X.size)

    information = SelectKBest(lambda x, y: mutual_info_classif(x, y, random_state=0), k=2)
    clusters = KMeans(30, n_init=3, random_state=0)  # transform gives the distance to every centre
    return {
        "logistic regression, raw inputs": (linear(), coefficients),
        "LDA, then 5 neighbours": (neighbours(LinearDiscriminantAnalysis(n_components=2)), stored),
        "PCA to 2, then 5 neighbours": (neighbours(PCA(2)), stored),
        "5 neighbours, raw inputs": (neighbours(), stored),
        "2 inputs by mutual information, then 5 neighbours": (neighbours(information), stored),
        "polynomials of degree 3, logistic": (
            linear(PolynomialFeatures(3, include_bias=False)),
            coefficients,
        ),
        "polar features, logistic": (linear(FunctionTransformer(polar_features)), coefficients),
        "straightened-arm features, logistic": (linear(FunctionTransformer(spiral_features)), coefficients),
        "distances to 30 k-means centres, logistic": (
            linear(clusters),
            lambda model: coefficients(model) + int(model[0].cluster_centers_.size),
        ),
    }


RUNGS = {
    "nearest arm by formula": "1 rule",
    "logistic regression, raw inputs": "2 classic, no features",
    "LDA, then 5 neighbours": "2 classic, projection",
    "PCA to 2, then 5 neighbours": "2 classic, projection",
    "5 neighbours, raw inputs": "2 classic, no features",
    "2 inputs by mutual information, then 5 neighbours": "2 classic, selection",
    "polynomials of degree 3, logistic": "2 classic, hand-designed",
    "polar features, logistic": "2 classic, hand-designed",
    "straightened-arm features, logistic": "2 classic, hand-designed",
    "distances to 30 k-means centres, logistic": "3 representation learning",
    "network 50-50, raw inputs": "4 deep learning",
}


def measure_classic(data: Data) -> dict[str, Score]:
    """Rule and classic learners on one seed's data."""
    points, labels, test_points, test_labels = data
    x, y, test_x, test_y = (tensor.numpy() for tensor in data)
    scores = {
        "nearest arm by formula": Score(
            float((nearest_arm(points[:, :2], 3) == labels).double().mean()),
            float((nearest_arm(test_points[:, :2], 3) == test_labels).double().mean()),
            0,
        )
    }
    for name, (model, count) in build_pipelines().items():
        model.fit(x, y)
        scores[name] = Score(float(model.score(x, y)), float(model.score(test_x, test_y)), count(model))
    return scores


def measure_network(seeds: Sequence[int], data: Data, num_steps: int) -> list[Score]:
    """An MLP a seed, full-batch Adam."""
    points, labels, test_points, test_labels = data
    networks = build_networks(seeds, WIDTHS, in_features=points.shape[-1])
    networks.train(points, labels, num_steps=num_steps, lr=5e-3)
    size = num_parameters(networks.template)
    pairs = zip(networks.accuracy(points, labels), networks.accuracy(test_points, test_labels), strict=True)
    return [Score(train, test, size) for train, test in pairs]


def draw_data(seeds: Sequence[int], noise_dimensions: int, num_test: int) -> Data:
    """The same points for every rung; further inputs carry noise of standard deviation 1."""
    drawn = []
    for split, size in (("train", NUM_POINTS), ("test", num_test)):
        points, labels = draw_spirals(seeds, size, split)
        wide = [
            append_noise_dimensions(x, noise_dimensions, 1.0, make_generator(seed, "noise", split))
            for seed, x in zip(seeds, points, strict=True)
        ]
        drawn += [torch.stack(wide), labels]
    return drawn[0], drawn[1], drawn[2], drawn[3]


def measure(
    seeds: Sequence[int], noise_dimensions: int, num_test: int, num_steps: int
) -> dict[str, list[Score]]:
    """Scores by method, one a seed."""
    data = draw_data(seeds, noise_dimensions, num_test)
    classic = [measure_classic((a, b, c, d)) for a, b, c, d in zip(*data, strict=True)]
    scores = {name: [table[name] for table in classic] for name in classic[0]}
    scores["network 50-50, raw inputs"] = measure_network(seeds, data, num_steps)
    return scores


def judge(plane: dict[str, list[Score]], noisy: dict[str, list[Score]]) -> Verdict:
    """Scores on the two coordinates alone, and with 8 noise inputs beside them."""

    def test(table: dict[str, list[Score]], name: str) -> list[float]:
        return [score.test for score in table[name]]

    def lead(table: dict[str, list[Score]], better: str, worse: str) -> list[float]:
        return [a - b for a, b in zip(test(table, better), test(table, worse), strict=True)]

    deep, raw = "network 50-50, raw inputs", "logistic regression, raw inputs"
    learned, straight = "distances to 30 k-means centres, logistic", "straightened-arm features, logistic"
    chosen, every = "2 inputs by mutual information, then 5 neighbours", "5 neighbours, raw inputs"
    rows: list[Row] = []
    for name, rung in RUNGS.items():
        cells: list[str | float] = []
        for table in (plane, noisy):
            scores = table[name]
            train, accuracy = (sum(values) / len(scores) for values in list(zip(*scores, strict=True))[:2])
            cells += [accuracy, train - accuracy, scores[0].num_parameters]
        rows.append((rung, name, *cells))
    return Verdict(
        checks=[
            at_most("plane: a linear classifier on raw inputs stays below 0.6", test(plane, raw), 0.6),
            at_least(
                "plane: learned distances lift the same classifier by 0.2", lead(plane, learned, raw), 0.2
            ),
            at_least(
                "plane: deep learning reaches 0.97 without hand-designed features", test(plane, deep), 0.97
            ),
            at_least(
                "plane: the right hand-designed feature is at least as good", lead(plane, straight, deep), 0.0
            ),
            at_least(
                "noise inputs: deep learning on raw inputs falls by 0.1",
                [a - b for a, b in zip(test(plane, deep), test(noisy, deep), strict=True)],
                0.1,
            ),
            at_least(
                "noise inputs: selection by mutual information lifts neighbours by 0.2",
                lead(noisy, chosen, every),
                0.2,
            ),
            at_least(
                "noise inputs: PCA, blind to labels, does not (selection ahead of it by 0.2)",
                lead(noisy, chosen, "PCA to 2, then 5 neighbours"),
                0.2,
            ),
        ],
        columns=(
            "rung",
            "method",
            "plane: test accuracy",
            "gap",
            "learned values",
            f"with {NOISE_DIMENSIONS} noise inputs: test accuracy",
            "gap ",
            "learned values ",
        ),
        rows=rows,
        figures={
            "ladder": draw_dots(
                list(RUNGS),
                {
                    "plane": [test(plane, name) for name in RUNGS],
                    f"{NOISE_DIMENSIONS} noise inputs": [test(noisy, name) for name in RUNGS],
                },
                xlabel=f"test accuracy, {NUM_POINTS} training points, one dot a seed",
            )
        },
        remark=(
            "The ladder is about who finds the features, not about accuracy: a person who knows that arms are "
            'spirals needs nine numbers. "Learned values" of neighbours are the stored training points.'
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    num_test, num_steps = (500, 100) if quick else (3000, 800)
    return judge(*(measure(seeds, count, num_test, num_steps) for count in (0, NOISE_DIMENSIONS)))


PHENOMENON = Phenomenon(
    title="The ladder: rules, classic learning, representation learning, deep learning",
    claim=(
        "Each rung leaves more to the data: rules, then hand-designed features, then simple learned ones, then "
        "layers of them. At equal data, knowledge that is right beats learning it."
    ),
    reference="Goodfellow, Bengio and Courville 2016, Deep Learning, chapter 1; Coates and Ng 2012 (k-means features)",
    run=run,
)
