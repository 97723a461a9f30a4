"""The law's saliency against finite differences and the true posterior."""

import torch

from gaplab.data.spirals import nearest_arm
from gaplab.phenomena.saliency import agreement, log_likelihoods, slopes
from gaplab.phenomena.training import build_networks, draw_spirals


def test_the_likeliest_arm_is_the_nearest_one() -> None:
    points = draw_spirals([0], 300)[0][0]
    assert torch.equal(log_likelihoods(points, 3).argmax(1), nearest_arm(points, 3))


def test_the_saliency_of_the_law_is_the_slope_of_its_log_odds() -> None:
    points = draw_spirals([0], 60)[0][0].double()
    points = points[points.norm(dim=1) > 0.1]
    first, second = log_likelihoods(points, 3).topk(2, dim=1).indices.T

    def lead(x: torch.Tensor) -> torch.Tensor:
        scores = log_likelihoods(x, 3)
        return (scores.gather(1, first[:, None]) - scores.gather(1, second[:, None]))[:, 0]

    found = slopes(lambda x: log_likelihoods(x, 3), points, first, second)
    for axis, step in enumerate(torch.eye(2, dtype=torch.double) * 1e-6):
        differences = (lead(points + step) - lead(points - step)) / 2e-6
        torch.testing.assert_close(found[:, axis], differences, rtol=1e-4, atol=1e-4)


def test_a_network_agrees_with_itself_and_not_with_its_mirror_image() -> None:
    networks = build_networks([0], [5])
    points = draw_spirals([0], 20)[0]
    cosines = agreement(networks, points, 3)[0]
    for name in ("output.weight", "output.bias"):
        networks.parameters[name] = -networks.parameters[name]
    torch.testing.assert_close(agreement(networks, points, 3)[0], -cosines)
    assert 0 < float(cosines.abs().max()) <= 1 + 1e-6
