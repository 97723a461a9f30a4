"""Settings of GANs and of their point sets: choices, defaults, and mistakes that stop at once."""

import pytest
import torch

from gaplab.builders import build_data_and_task
from gaplab.config.compose import Composed, compose_config, restore
from gaplab.config.gan import DeepMLPConfig, GANConfig
from gaplab.config.network import LinearConfig
from gaplab.config.optimizer import SGDConfig
from gaplab.errors import ConfigError


def compose(*words: str) -> Composed:
    return compose_config(["task=gan", "data=ring", *words])


def test_networks_and_optimizers_are_chosen_by_group_and_survive_saving() -> None:
    composed = compose(
        "network@task.discriminator=linear",
        "optimizer@task.discriminator_optimizer=sgd",
        "task.discriminator_optimizer.lr=0.5",
        "task.generator.widths=[9]",
    )
    task = composed.config.task
    assert isinstance(task, GANConfig)
    assert task.generator == DeepMLPConfig(widths=[9])
    assert task.discriminator == LinearConfig()
    assert task.discriminator_optimizer == SGDConfig(lr=0.5)
    assert restore(composed.resolved, "here") == composed.config


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task.latent_size=0"], "task.latent_size: .*at least 1.*all samples are one point"),
        (["task.pack=3"], "task.pack: .*batch of 256 points and the last batch of an epoch, 160 points"),
        (["task.pack=4", "data.num_points=1000", "data.batch_size=150"], "task.pack: .*but got 4"),
        (["task.pack=4", "trainer.devices=3", "trainer.num_nodes=1"], "task.pack: .*times 3 processes"),
        (["task.pack=0"], "task.pack: .*at least 1"),
        (["network.widths=[3]"], "network: a GAN has two networks"),
        (["task.loss=foo"], "task.loss: expected one of minimax, .*but got 'foo'"),
        (["network@task.generator=foo"], "network: expected one of .*mlp.*but got 'foo'"),
        (["task.generator.dropout=0.4"], "task.generator.dropout: expected 0"),
        (["optimizer=lbfgs"], "optimizer: expected sgd, adam or adamw"),
        (["trainer.stop_at_train_loss=0.1"], "trainer.stop_at_train_loss: expected null"),
        (["data.noise_dimensions=1"], "data.noise_dimensions: expected 0 for a GAN"),
        (["task.num_samples=10"], "task.num_samples: .*at least 100"),
        (["data.num_test_points=50"], "data.num_test_points: .*at least 100"),
        (["task.clip_weights=0"], "task.clip_weights: .*larger than 0.*null for no limit"),
        (["task.discriminator_steps=0"], "task.discriminator_steps: .*at least 1"),
        (["task.ema=1"], "task.ema: expected a weight in"),
        (["task.latent_coins=-1"], "task.latent_coins: .*0 or larger"),
        (["task.fourier_features=-1"], "task.fourier_features: .*0 or larger"),
        (["task.fourier_frequencies=[3]"], "task.fourier_frequencies: .*slowest and the fastest"),
        (["task.fourier_amplitude=[]"], "task.fourier_amplitude: expected at least one knot"),
        (["task.fourier_amplitude=[[1,0],[0,1]]"], "task.fourier_amplitude: expected pairs"),
        (["task.penalty_knots=[[0,1,2]]"], "task.penalty_knots: expected pairs"),
        (
            ["task.penalty_knots=[[0,1]]", "task.penalty_final_factor=0.1"],
            "task.penalty_final_factor: expected 1 beside task.penalty_knots",
        ),
        (["task.penalty_every_n_steps=0"], "task.penalty_every_n_steps: .*at least 1.* in every step"),
        (["task.rejection_quantile=1"], "task.rejection_quantile: expected a share between 0 and 1"),
        (
            ["task.rejection_quantile=0.9", "task.loss=hinge"],
            "task.rejection_quantile: expected null unless task.loss is minimax, non_saturating, relativistic",
        ),
        (
            ["task.rejection_quantile=0.9", "task.pack=2"],
            "task.rejection_quantile: expected null with task.pack",
        ),
        (["task.penalty_final_factor=0"], "task.penalty_final_factor: .*larger than 0"),
        (["optimizer.min_lr_ratio=2"], "optimizer.min_lr_ratio: expected a share between 0 and 1"),
        (["data.num_modes=1"], "data.num_modes: .*at least 2"),
    ],
)
def test_a_mistake_is_explained(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose(*words)


def test_pack_that_divides_both_batches_is_allowed() -> None:
    assert isinstance(compose("task.pack=4", "trainer.devices=2").config.task, GANConfig)


@pytest.mark.parametrize(
    ("words", "scale", "num_classes"),
    [
        (["data=ring"], (1 / 2 + 0.01**2) ** 0.5, 8),
        (["data=ring", "data.scaling=wgan_gp"], (2 / 1.414) * 0.5**0.5, 8),
        (["data=grid"], (8 + 0.05**2) ** 0.5, 25),
        (["data=grid", "data.scaling=wgan_gp"], 2 / 2.828 * 2**0.5, 25),
        (["data=swiss_roll"], None, 1),
    ],
)
def test_published_scalings(words: list[str], scale: float | None, num_classes: int) -> None:
    """A coordinate of a ring of radius r has variance r^2 / 2, of a grid of spacing s and side 5 2 s^2."""
    data, _ = build_data_and_task(compose_config(["task=gan", "data.num_points=20000", *words]).config)
    points = data.splits["train"].points
    assert data.num_classes == num_classes
    assert torch.isfinite(points).all()
    if scale is not None:
        assert float(points.std()) == pytest.approx(scale, rel=0.01)


def test_points_without_spread_are_refused() -> None:
    config = compose("data=spirals", "data.noise=0", "data.min_radius=0.5").config
    data, _ = build_data_and_task(config)
    data.splits["train"].points.fill_(1.0)
    with pytest.raises(ConfigError, match="points with some spread"):
        config.task.build(config, data, torch.Generator())
