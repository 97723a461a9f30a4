"""Noise on inputs, mixup and committees against definitions written out, and their runs alone and as a stack."""

from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import nn

from gaplab.config.compose import compose_config
from gaplab.errors import ConfigError
from gaplab.losses.augmentation import NOISE, PARTNERS, SHARES, Augmentation, augmented_losses
from gaplab.losses.classification import cross_entropy
from gaplab.networks.committee import Committee
from gaplab.randomness import make_generator
from gaplab.runs.checkpoints import read_weights
from gaplab.train import run_one
from quick_runs import QUICK, set_once


def test_what_is_drawn_has_the_distributions_of_the_papers() -> None:
    drawn = Augmentation(0.3, 0.4).draw(4_000, (2,), torch.float32, make_generator(0, "losses", 0))
    assert stats.kstest(drawn[SHARES], stats.beta(0.4, 0.4).cdf).pvalue > 0.01
    assert stats.kstest(drawn[NOISE].flatten(), stats.norm(0, 0.3).cdf).pvalue > 0.01
    assert sorted(drawn[PARTNERS].tolist()) == list(range(4_000))
    again = Augmentation(0.3, 0.4).draw(4_000, (2,), torch.float64, make_generator(0, "losses", 0))
    assert torch.equal(again[NOISE].float(), drawn[NOISE])
    assert Augmentation().draw(5, (2,), torch.float32, make_generator(0)) == {}


def test_the_loss_of_a_mixture_is_cross_entropy_with_mixed_labels() -> None:
    generator = make_generator(1)
    network, points = nn.Linear(2, 3), torch.randn(7, 2, generator=generator)
    labels = torch.randint(3, (7,), generator=generator)
    drawn = Augmentation(0.2, 1.0).draw(7, (2,), torch.float32, generator)
    share, partner = drawn[SHARES][:, None], drawn[PARTNERS]
    targets = nn.functional.one_hot(labels, 3) * share + nn.functional.one_hot(labels[partner], 3) * (
        1 - share
    )
    mixed = points * share + points[partner] * (1 - share) + drawn[NOISE]
    expected = nn.functional.cross_entropy(network(mixed), targets, reduction="none")
    found = augmented_losses(network, cross_entropy, points, labels, drawn)
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_committee_averages_probabilities() -> None:
    members = [nn.Linear(2, 3) for _ in range(4)]
    points = torch.randn(5, 2)
    expected = torch.stack([member(points).softmax(1) for member in members]).mean(0)
    assert torch.allclose(Committee(members).eval()(points).softmax(1), expected, atol=1e-6)
    assert Committee(members).train()(points).shape == (5, 4, 3)


def test_every_member_learns_as_if_alone(tmp_path: Path) -> None:
    words = set_once(*QUICK, "seed=3", "logging.tensorboard=false", "logging.diagnostics=none")
    run_one(compose_config(words), tmp_path / "alone")
    run_one(compose_config([*words, "task.num_members=2"]), tmp_path / "both")
    alone, both = (
        read_weights(tmp_path / name / "checkpoints/last.ckpt").weights for name in ("alone", "both")
    )
    for name, weights in alone.items():
        first, second = (both[name.replace("network.", f"network.members.{m}.")] for m in (0, 1))
        torch.testing.assert_close(first, weights, rtol=1e-6, atol=1e-7)
        assert not torch.equal(second, first)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("task.mixup=-1", "task.mixup"),
        ("task.input_noise=-1", "task.input_noise"),
        ("task.num_members=0", "task.num_members"),
        ("task.loss=hinge task.num_members=2", "probabilities"),
    ],
)
def test_mistakes_are_named(word: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compose_config(word.split())
