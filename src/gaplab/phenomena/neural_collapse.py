"""Neural collapse: trained on past zero error, the last layer's features become the corners of a simplex."""

import copy
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.phenomena.training import Networks, Parameters, build_networks, draw_spirals
from gaplab.phenomena.verdict import Phenomenon, Row, Verdict, at_most, mean_at_least, mean_at_most

ARMS = (3, 4)
WIDTHS = (50, 50, 50, 50)
NUM_POINTS, NUM_TEST = 240, 1200
DECAY = 2e-3
"""Factor of half the squared norm of all weights, which is added to the loss."""
EVERY = 100


class Collapse(NamedTuple):
    """The four quantities of one network on one set of points; each is 0 in full collapse."""

    within: float
    """NC1, tr(Σ_W Σ_B⁺)/C: the spread within classes in units of that between class means."""
    angles: float
    """NC2, mean |cos + 1/(C − 1)| over the pairs of centred class means."""
    lengths: float
    """NC2, standard deviation of the lengths of the centred class means over their mean."""
    duality: float
    """NC3, ‖Wᵀ/‖W‖ − M/‖M‖‖ between output weights and centred class means."""
    nearest: float
    """NC4, share of points where the nearest class mean is not the network's answer."""


def collapse(features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor) -> Collapse:
    """Measure features [P, H] with labels [P] under an output layer [C, H], [C].

    Source: Papyan, Han and Donoho 2020.
    """
    features, weight, bias = features.double(), weight.double(), bias.double()
    num_classes = len(weight)
    means = torch.stack([features[labels == c].mean(dim=0) for c in range(num_classes)])
    centred = means - means.mean(dim=0)
    residuals = features - means[labels]
    within = residuals.T @ residuals / len(features)
    between = centred.T @ centred / num_classes
    # The C centred means span at most C − 1 directions; what is smaller is rounding.
    inverse = torch.linalg.pinv(between, hermitian=True, rtol=1e-9)
    lengths = centred.norm(dim=1)
    cosines = (centred @ centred.T / lengths.outer(lengths))[~torch.eye(num_classes, dtype=torch.bool)]
    answers = (features @ weight.T + bias).argmax(dim=1)
    return Collapse(
        within=float((within @ inverse).trace() / num_classes),
        angles=float((cosines + 1 / (num_classes - 1)).abs().mean()),
        lengths=float(lengths.std(correction=0) / lengths.mean()),
        duality=float((weight / weight.norm() - centred / centred.norm()).norm()),
        nearest=float((torch.cdist(features, means).argmin(dim=1) != answers).double().mean()),
    )


def features_of(networks: Networks, parameters: Parameters, points: Tensor) -> Tensor:
    """Outputs [K, P, H] of the last hidden layer."""
    body = copy.deepcopy(networks.template)
    body.output = nn.Identity()
    weights = {name: value for name, value in parameters.items() if not name.startswith("output.")}
    with torch.no_grad():
        return vmap(lambda weights, points: functional_call(body, weights, (points,)))(weights, points)


class Result(NamedTuple):
    """A training; lists are [evaluation][seed]."""

    steps: list[int]
    train: list[list[Collapse]]
    test: list[list[Collapse]]
    accuracy: list[list[float]]

    def fitted(self) -> list[Collapse]:
        """What was measured [seed] when at least 99 % of the training points were first right, else at the end."""
        places = [
            next((place for place, share in enumerate(shares) if share >= 0.99), -1)
            for shares in zip(*self.accuracy, strict=True)
        ]
        return [self.train[place][seed] for seed, place in enumerate(places)]


def measure(seeds: Sequence[int], num_arms: int, num_steps: int) -> Result:
    """Train on as many arms by Adam with an L2 penalty on all weights."""
    points, labels = draw_spirals(seeds, NUM_POINTS, num_arms=num_arms)
    test_points, test_labels = draw_spirals(seeds, NUM_TEST, "test", num_arms=num_arms)
    networks = build_networks(seeds, WIDTHS, out_features=num_arms)
    result = Result([], [], [], [])

    def observe(step: int, parameters: Parameters) -> None:
        result.steps.append(step)
        result.accuracy.append(networks.accuracy(points, labels, parameters))
        outputs = parameters["output.weight"].detach(), parameters["output.bias"].detach()
        for found, x, y in ((result.train, points, labels), (result.test, test_points, test_labels)):
            features = features_of(networks, parameters, x)
            found.append([collapse(*one) for one in zip(features, y, *outputs, strict=True)])

    def penalty(parameters: Parameters) -> Tensor:
        return DECAY / 2 * torch.stack([value.square().sum() for value in parameters.values()]).sum()

    networks.train(
        points, labels, num_steps=num_steps, lr=5e-3, penalty=penalty, observe=observe, observe_every=EVERY
    )
    return result


def judge(three: Result, four: Result) -> Verdict:
    start, end = three.fitted(), three.train[-1]
    rows: list[Row] = []
    for arms, result in zip(ARMS, (three, four), strict=True):
        for when, found in (
            ("99 % fitted", result.fitted()),
            ("at the end", result.train[-1]),
            ("at the end, test points", result.test[-1]),
        ):
            means = (fmean(getattr(one, name) for one in found) for name in Collapse._fields)
            rows.append((arms, when, *means))

    def curves(result: Result, title: str) -> Panel:
        by_seed = list(zip(*result.train, strict=True))
        names = {
            "within / between classes (NC1)": "within",
            "angles (NC2)": "angles",
            "lengths (NC2)": "lengths",
            "weights and means (NC3)": "duality",
        }
        return Panel(
            [
                Curve(
                    label,
                    result.steps,
                    [[getattr(one, name) for one in seed] for seed in by_seed],
                )
                for label, name in names.items()
            ],
            "optimiser step",
            "distance from collapse",
            title,
            log="y",
        )

    return Verdict(
        checks=[
            mean_at_most(
                "3 arms, NC1: the spread within classes is at most 0.6 of that at 99 % fitted, in the mean",
                [b.within / a.within for a, b in zip(start, end, strict=True)],
                0.6,
            ),
            mean_at_most(
                "3 arms, NC2: cosines of class means are within 0.15 of −1/2 in the mean",
                [one.angles for one in end],
                0.15,
            ),
            mean_at_most(
                "and their lengths differ by at most 15 % in the mean", [one.lengths for one in end], 0.15
            ),
            mean_at_most(
                "3 arms, NC3: weights and class means differ by at most 0.6 of what they did, in the mean",
                [b.duality / a.duality for a, b in zip(start, end, strict=True)],
                0.6,
            ),
            at_most(
                "3 arms, NC4: at most 0.02 of the answers are not the nearest class mean",
                [one.nearest for one in end],
                0.02,
            ),
            mean_at_least(
                "4 arms, NC2 fails: cosines are at least 0.3 from −1/3 in the mean",
                [one.angles for one in four.train[-1]],
                0.3,
            ),
        ],
        columns=(
            "arms",
            "when",
            "spread within (NC1)",
            "angles (NC2)",
            "lengths (NC2)",
            "weights and means (NC3)",
            "not the nearest mean (NC4)",
        ),
        rows=rows,
        figures={"collapse": draw_panels([curves(three, "3 arms"), curves(four, "4 arms")])},
        remark=(
            "All columns are 0 in full collapse. Three class means that are 120 degrees apart lie in a plane, as the "
            "points do; four corners of a simplex need a third dimension. The network does not open one: opposite arms "
            "get opposite means and the four lie in a square, whose cosines are 0, 0 and −1, 0.444 from −1/3 in the "
            "mean; NC1 counts the direction in which means hardly differ, and stays large. Weight decay favours few "
            "dimensions: what is said of collapse in wide networks for images does not hold for a plane."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    three, four = (measure(seeds, arms, 100 if quick else 1500) for arms in ARMS)
    return judge(three, four)


PHENOMENON = Phenomenon(
    title="Neural collapse, and where it stops",
    claim=(
        "Trained on with weight decay past the fit, the last layer's features of a class draw together, the class "
        "means become the corners of a simplex and the output weights align with them: so with three arms, but not "
        "with four."
    ),
    reference="Papyan, Han and Donoho 2020; Súkeník, Lampert and Mondelli 2024 (few dimensions against collapse)",
    run=run,
)
