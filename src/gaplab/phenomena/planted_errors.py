"""Errors planted into trainings whose loss falls all the same, and the diagnostics that find them."""

import copy
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gaplab.figures.phenomena import draw_dots
from gaplab.networks.hidden_outputs import dead_share, hidden_outputs
from gaplab.phenomena.saliency import agreement, means_on_arm
from gaplab.phenomena.training import Networks, build_networks, draw_spirals
from gaplab.phenomena.verdict import (
    Phenomenon,
    Row,
    Verdict,
    at_least,
    at_most,
    mean_at_least,
    mean_at_most,
)
from gaplab.randomness import make_generator

NUM_POINTS, NUM_ARMS = 300, 3
WRONG = 0.2
"""Share of the last arm's training points that are labelled as the first arm."""


class WrongLabels(NamedTuple):
    """One network a seed on labels of which some are wrong, and what its twins on half the points say."""

    fall: list[float]
    """Training loss at the end over that at the start."""
    separation: list[float]
    """AUC: the chance that a wrong label has a larger loss than a right one, by a twin that has not seen it."""
    right_pair: list[bool]
    """Whether, among the twins' disagreements with the labels, the planted mistake is the most frequent one."""
    unharmed_accuracy: list[float]
    """Test accuracy of the same network trained on right labels."""
    unharmed_saliency: list[float]
    """Mean cosine of its saliency and the law's at test points."""
    lost_saliency: list[float]
    """By how much that of the network on wrong labels is less, at test points of the arm with these."""


class DeadLayer(NamedTuple):
    """Networks with shortcuts round a layer whose units never fire, and the same networks unharmed."""

    fall: list[float]
    cost: list[float]
    """Loss of test accuracy against the unharmed network."""
    dead: list[float]
    healthy: list[float]
    """Shares of dead units in that layer."""


class Leak(NamedTuple):
    """Networks that were trained on half of their test points too."""

    gap: list[float]
    """In accuracy, as measured on those test points."""
    true_gap: list[float]
    """On fresh points."""
    difference: list[float]
    """Accuracy on test points at distance 0 of a training point less that on the others."""


def area_under_curve(scores: Tensor, positive: Tensor) -> float:
    """Share of pairs (positive, other) in which the positive one has the larger score (Mann and Whitney)."""
    pairs = scores[positive][:, None] - scores[~positive][None]
    return float(((pairs > 0).double() + 0.5 * (pairs == 0).double()).mean())


def plant_wrong_labels(seeds: Sequence[int], num_steps: int) -> WrongLabels:
    """Train 2-100-100-3 on all points, and two twins on half of them each."""
    points, true = draw_spirals(seeds, NUM_POINTS)
    size = NUM_POINTS // NUM_ARMS
    labels = true.clone()
    labels[:, 2 * size : 2 * size + round(WRONG * size)] = 0
    planted = labels != true
    networks = build_networks(seeds, [100, 100])
    start = networks.loss(points, labels)
    networks.train(points, labels, num_steps=num_steps, lr=5e-3)
    half = torch.rand(NUM_POINTS, generator=make_generator(seeds[0], "half")) < 0.5
    logits = torch.empty(len(seeds), NUM_POINTS, NUM_ARMS)
    for unseen in (half, ~half):
        twin = build_networks(seeds, [100, 100])
        twin.train(points[:, ~unseen], labels[:, ~unseen], num_steps=num_steps, lr=5e-3)
        logits[:, unseen] = twin.logits(points[:, unseen]).detach()
    losses = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
    ends = zip(networks.loss(points, labels), start, strict=True)
    unharmed = build_networks(seeds, [100, 100])
    unharmed.train(points, true, num_steps=num_steps, lr=5e-3)
    test, arms = draw_spirals(seeds, 1000, "test")
    found, harmed = (agreement(one, test, NUM_ARMS) for one in (unharmed, networks))
    on_arm = zip(*(means_on_arm(cosines, arms, NUM_ARMS - 1) for cosines in (found, harmed)), strict=True)
    # Rows: the label given; columns: the twins' answer.
    tables = [
        torch.bincount(NUM_ARMS * given + answer, minlength=NUM_ARMS**2).view(NUM_ARMS, NUM_ARMS)
        for given, answer in zip(labels, logits.argmax(dim=-1), strict=True)
    ]
    return WrongLabels(
        fall=[end / before for end, before in ends],
        separation=[area_under_curve(*pair) for pair in zip(losses, planted, strict=True)],
        right_pair=[int(table.fill_diagonal_(0).argmax()) == 0 * NUM_ARMS + 2 for table in tables],
        unharmed_accuracy=unharmed.accuracy(test, arms),
        unharmed_saliency=[float(cosines.mean()) for cosines in found],
        lost_saliency=[before - after for before, after in on_arm],
    )


def plant_dead_layer(seeds: Sequence[int], num_steps: int) -> DeadLayer:
    """Train 2-50-50-3 whose layers all see the input; the second one's biases start at −100 or as usual."""
    train, test = draw_spirals(seeds, NUM_POINTS), draw_spirals(seeds, 3000, "test")
    accuracy, shares, fall = [], [], []
    for harmed in (True, False):
        networks = build_networks(seeds, [50, 50], dense_skip=True)
        if harmed:
            networks.parameters["hidden.1.linear.bias"] -= 100
        start = networks.loss(*train)
        networks.train(*train, num_steps=num_steps, lr=5e-3)
        fall.append([end / before for end, before in zip(networks.loss(*train), start, strict=True)])
        accuracy.append(networks.accuracy(*test))
        shares.append([dead_in_second_layer(networks, k, train[0][k]) for k in range(len(seeds))])
    cost = [healthy - harmed for harmed, healthy in zip(*accuracy, strict=True)]
    return DeadLayer(fall[0], cost, *shares)


def dead_in_second_layer(networks: Networks, index: int, points: Tensor) -> float:
    network = copy.deepcopy(networks.template)
    network.load_state_dict({name: value[index] for name, value in networks.parameters.items()})
    return dead_share(hidden_outputs(network, network, points)["hidden.1"])


def plant_leak(seeds: Sequence[int], num_steps: int) -> Leak:
    """Train 2-100-100-3 on noisy labels of 150 points and of every second one of 300 test points."""
    points, labels = draw_spirals(seeds, 150, label_noise=0.2)
    test, test_labels = draw_spirals(seeds, 300, "test", label_noise=0.2)
    seen = torch.cat((points, test[:, ::2]), dim=1), torch.cat((labels, test_labels[:, ::2]), dim=1)
    networks = build_networks(seeds, [100, 100], activation="tanh", gain=4.0)
    networks.train(*seen, num_steps=num_steps, lr=5e-3)
    train, fresh = networks.accuracy(*seen), draw_spirals(seeds, 5000, "fresh", label_noise=0.2)
    twice = torch.cdist(test, seen[0]).amin(dim=2) == 0
    right = (networks.logits(test).argmax(dim=-1) == test_labels).double()
    return Leak(
        gap=[a - b for a, b in zip(train, networks.accuracy(test, test_labels), strict=True)],
        true_gap=[a - b for a, b in zip(train, networks.accuracy(*fresh), strict=True)],
        difference=[float(r[t].mean() - r[~t].mean()) for r, t in zip(right, twice, strict=True)],
    )


def judge(wrong: WrongLabels, dead: DeadLayer, leak: Leak) -> Verdict:
    halved = [a / b for a, b in zip(leak.gap, leak.true_gap, strict=True)]
    rows: list[Row] = [
        ("wrong labels on an arm", "loss falls to", fmean(wrong.fall)),
        ("", "wrong labels found by unseen loss (AUC)", fmean(wrong.separation)),
        ("", "saliency's cosine with the law's, right labels", fmean(wrong.unharmed_saliency)),
        ("", "less with wrong labels, on that arm", fmean(wrong.lost_saliency)),
        ("dead layer", "loss falls to", fmean(dead.fall)),
        ("", "test accuracy lost", fmean(dead.cost)),
        ("", "dead units there", fmean(dead.dead)),
        ("", "dead units in an unharmed network", fmean(dead.healthy)),
        ("leaked test points", "gap in accuracy, as measured", fmean(leak.gap)),
        ("", "gap on fresh points", fmean(leak.true_gap)),
        ("", "accuracy on duplicates less that on others", fmean(leak.difference)),
    ]
    return Verdict(
        checks=[
            at_most(
                "with wrong labels or a dead layer the loss still falls by half", wrong.fall + dead.fall, 0.5
            ),
            mean_at_least(
                "wrong labels: the loss of a twin that has not seen them finds them (mean AUC at least 0.9)",
                wrong.separation,
                0.9,
            ),
            mean_at_least(
                "wrong labels: the twins' most frequent disagreement is the planted one of six in 3 of 4 seeds (mean)",
                [float(right) for right in wrong.right_pair],
                0.75,
            ),
            mean_at_least(
                "opacity: right labels, mean test accuracy at least 0.97", wrong.unharmed_accuracy, 0.97
            ),
            mean_at_most(
                "yet its saliency points elsewhere than the law's: cosine at most 0.7 in the mean",
                wrong.unharmed_saliency,
                0.7,
            ),
            mean_at_least("not by chance: at least 0.35 in the mean", wrong.unharmed_saliency, 0.35),
            mean_at_most("dead layer: mean test accuracy lost at most 0.1", dead.cost, 0.1),
            at_least(
                "dead layer: the share of dead units exceeds an unharmed layer's by 0.5",
                [a - b for a, b in zip(dead.dead, dead.healthy, strict=True)],
                0.5,
            ),
            mean_at_most("leak: the gap measured is at most 0.7 of the true one in the mean", halved, 0.7),
            mean_at_least(
                "leak: accuracy on test points that are also training points is 0.15 higher in the mean",
                leak.difference,
                0.15,
            ),
        ],
        columns=("planted", "what is seen", "mean over seeds"),
        rows=rows,
        figures={
            "diagnostics": draw_dots(
                [
                    "wrong labels: AUC of the unseen loss",
                    "dead layer: dead units",
                    "unharmed layer: dead units",
                    "leak: gap as measured",
                    "leak: gap on fresh points",
                ],
                {"seeds": [wrong.separation, dead.dead, dead.healthy, leak.gap, leak.true_gap]},
                xlabel="share",
            )
        },
        remark=(
            "Nothing in the falling loss gives any of the three away. Each needs a question of its own: does somebody "
            "who has not seen a label agree with it; does every unit ever change; is a test point at distance 0 from "
            "a training point. Ordinary runs draw the shares of dead units and the gradients layer by layer."
        ),
    )


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    steps = (50, 50, 50) if quick else (200, 400, 1000)
    return judge(
        plant_wrong_labels(seeds, steps[0]), plant_dead_layer(seeds, steps[1]), plant_leak(seeds, steps[2])
    )


PHENOMENON = Phenomenon(
    title="Debugging: planted errors that the loss does not show",
    claim=(
        "Training loss falls with wrong labels on one arm, with a layer that is dead and with leaked test points. "
        "Losses of points that a twin has not seen, dead units and duplicates find them."
    ),
    reference=(
        "Northcutt et al. 2021 (out-of-sample losses); Lu et al. 2019 (dying ReLU); Kapoor and Narayanan 2023 "
        "(leakage); Simonyan et al. 2014 (saliency)"
    ),
    run=run,
)
