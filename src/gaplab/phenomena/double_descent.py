"""Double descent: least squares of minimum norm on random ReLU features peaks at features = points."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gaplab.data.corruption import flip_labels
from gaplab.data.spirals import sample_spirals
from gaplab.figures.palette import TEST, TRAIN
from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.verdict import Check, Phenomenon, Row, Verdict, at_least
from gaplab.randomness import make_generator

NUM_POINTS = 300
LABEL_NOISE = 0.15
RATIOS = (0.03, 0.06, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.25, 1.6, 2.5, 5.0, 10.0)


def draw_kinks(num_features: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random hidden units: unit weights [2, N] and biases [N], each with its kink between two spiral points.

    The points come from a draw of their own. A kink that misses the data makes a unit linear there, and N
    features then have a rank far below N, which moves the peak to the right.
    """
    generator = make_generator(seed, "features")
    points, _ = sample_spirals(2 * num_features, generator=generator)
    shuffled = points[torch.randperm(len(points), generator=generator)].double()
    centers = (shuffled[:num_features] + shuffled[num_features:]) / 2
    weights = torch.randn(2, num_features, generator=generator, dtype=torch.float64)
    weights = weights / weights.norm(dim=0)
    return weights, -(centers * weights.T).sum(dim=1)


def random_relu_features(points: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """max(0, w·x + b)/√N: a hidden layer that is never trained."""
    return (points @ weights + biases).clamp(min=0) / math.sqrt(len(biases))


def minimum_norm_solution(features: Tensor, targets: Tensor) -> Tensor:
    """Among all least-squares solutions the one of smallest norm, by the pseudo-inverse (SVD)."""
    return torch.linalg.lstsq(features, targets, driver="gelsd").solution


def measure(seed: int, num_features: Sequence[int], num_points: int) -> dict[str, list[float]]:
    """Mean squared errors and the accuracy for each number of features; float64 throughout."""
    points, true = sample_spirals(num_points, generator=make_generator(seed, "points"))
    labels = flip_labels(true, 3, LABEL_NOISE, generator=make_generator(seed, "labels"))
    test_points, test_labels = sample_spirals(2000, generator=make_generator(seed, "points", "test"))
    targets, test_targets = one_hot(labels, 3).double(), one_hot(test_labels, 3).double()
    weights, biases = draw_kinks(max(num_features), seed)
    result: dict[str, list[float]] = {"train": [], "test": [], "accuracy": []}
    for count in num_features:
        units = weights[:, :count], biases[:count]
        features = random_relu_features(points.double(), *units)
        solution = minimum_norm_solution(features, targets)
        outputs = random_relu_features(test_points.double(), *units) @ solution
        result["train"].append(float((features @ solution - targets).square().mean()))
        result["test"].append(float((outputs - test_targets).square().mean()))
        result["accuracy"].append(float((outputs.argmax(dim=1) == test_labels).double().mean()))
    return result


def judge(num_features: Sequence[int], num_points: int, results: list[dict[str, list[float]]]) -> Verdict:
    tests = [result["test"] for result in results]
    peaks = [num_features[max(range(len(test)), key=test.__getitem__)] / num_points for test in tests]
    falls = [max(test) / test[-1] for test in tests]
    small = [min(v for v, n in zip(test, num_features, strict=True) if n < num_points / 2) for test in tests]
    second = [test[-1] / least for test, least in zip(tests, small, strict=True)]
    rows: list[Row] = []
    for i, count in enumerate(num_features):
        columns = [[result[key][i] for result in results] for key in ("train", "test", "accuracy")]
        rows.append((count, *(sum(values) / len(values) for values in columns)))
    lower = sum(value < 1 for value in second)
    return Verdict(
        checks=[
            Check(
                expectation="the peak of the test error lies at features = points (within 25 %)",
                measured=f"features / points = {min(peaks):.3g} to {max(peaks):.3g}",
                holds=all(0.75 <= peak <= 1.25 for peak in peaks),
            ),
            at_least(
                "it falls first: error with the fewest features / least error before half as many features as points",
                [test[0] / least for test, least in zip(tests, small, strict=True)],
                1.2,
            ),
            at_least(
                "then rises: error at the peak / that least error is at least 100",
                [max(test) / least for test, least in zip(tests, small, strict=True)],
                100,
            ),
            at_least("test error at the peak / at 10 features a point is at least 100", falls, 100),
        ],
        columns=("features", "train squared error", "test squared error", "test accuracy"),
        rows=rows,
        figures={
            "descent": draw_panels(
                [
                    Panel(
                        [
                            Curve("test", num_features, tests, color=TEST),
                            Curve(
                                "train (at least 1e-12)",
                                num_features,
                                [_visible(r["train"]) for r in results],
                                color=TRAIN,
                            ),
                        ],
                        "random ReLU features",
                        "mean squared error",
                        log="xy",
                        marks=[(f"features = points = {num_points}", num_points)],
                    ),
                    Panel(
                        [Curve("test", num_features, [result["accuracy"] for result in results], color=TEST)],
                        "random ReLU features",
                        "accuracy",
                        log="x",
                        marks=[(f"features = points = {num_points}", num_points)],
                    ),
                ]
            )
        },
        remark=(
            f"Reported honestly: the second descent ends below the best model with fewer than half as many "
            f"features as points for {lower} of {len(second)} seeds (error ratio {min(second):.3g} to "
            f'{max(second):.3g}). Here "bigger is better again" is true beside the peak, '
            + (
                "and also against the best small model."
                if lower == len(second)
                else "but not against the best small model."
            )
        ),
    )


def _visible(errors: list[float]) -> list[float]:
    return [max(error, 1e-12) for error in errors]


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    num_points = 60 if quick else NUM_POINTS
    counts = [round(ratio * num_points) for ratio in RATIOS]
    return judge(counts, num_points, [measure(seed, counts, num_points) for seed in seeds])


PHENOMENON = Phenomenon(
    title="Double descent",
    claim=(
        "Test error falls, rises to a sharp peak where the model can just interpolate its noisy training set "
        "(features = points for least squares), and falls again beyond."
    ),
    reference="Belkin et al. 2019; Nakkiran et al. 2020; Advani and Saxe 2017",
    run=run,
)
