"""Classic learners for the ladder: rules, features made by hand, projections, selection, learned centres."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from gaplab.data.spirals import nearest_arm
from gaplab.errors import ConfigError

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
