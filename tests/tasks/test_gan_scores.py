"""Scores of samples beside those of true points, and the discriminator's losses against loops written by hand."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from gaplab.config.compose import compose_config
from gaplab.config.gan import GANConfig
from gaplab.config.mixtures import RingConfig
from gaplab.data.mixtures import sample_mixture
from gaplab.data.splits import Split
from gaplab.randomness import make_generator
from gaplab.tasks import gan_scores
from gaplab.tasks.gan_scores import References, SampleScorer, discriminator_scores
from quick_runs import QUICK_GAN

CENTERS, STD = RingConfig().build_law()


def draw(stream: str, number: int) -> tuple[Tensor, Tensor]:
    return sample_mixture(number, CENTERS, STD, generator=make_generator(0, stream))


def splits(**sizes: int) -> dict[str, Split]:
    return {name: Split(*draw(name, size)) for name, size in sizes.items()}


def scored(points: Tensor) -> dict[str, float]:
    scorer = SampleScorer(RingConfig().build_law_scores(), conditional=False, seed=0)
    labels = torch.zeros(len(points), dtype=torch.int64)
    return scorer.scores(points, labels, splits(train=400, test=400), draw, full=True, many=points)


def test_ceilings_are_those_of_the_law_whatever_the_samples_are() -> None:
    good, poor = scored(draw("good", 300)[0]), scored(3 + 0.1 * draw("poor", 300)[0])
    ceilings = {name: value for name, value in good.items() if name.startswith("ceiling/")}
    assert ceilings == {name: value for name, value in poor.items() if name.startswith("ceiling/")}
    tests = [name for name in good if name.startswith(("judge/", "mmd/")) and name.endswith("_test")]
    assert {f"ceiling/{name}" for name in tests} <= ceilings.keys()
    assert len(tests) == 9
    assert poor["judge/accuracy_test"] == 1
    assert 0.505 < ceilings["ceiling/judge/accuracy_test"] < 0.54  # the largest of five that deviate by 0.029
    assert ceilings["ceiling/judge/p_value_test"] == pytest.approx(0.52, abs=0.02)
    assert ceilings["ceiling/mmd/squared_test"] == 0
    assert ceilings["ceiling/mmd/p_value_test"] == pytest.approx((1 + 200 / 2) / 201)


@pytest.mark.parametrize(("pack", "num_latents"), [(1, 7), (2, 6), (2, 7)])
@pytest.mark.parametrize("label_embedding", [0, 3])
def test_losses_of_splits_equal_a_loop(
    pack: int, num_latents: int, label_embedding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Latent variables are taken in turn, however few points a part has; only labels make turns differ."""
    monkeypatch.setattr(gan_scores, "POINTS_AT_ONCE", 5)
    words = f"task.pack={pack}", f"task.label_embedding={label_embedding}", "task.loss=non_saturating"
    config = compose_config([*QUICK_GAN, *words]).config.task
    assert isinstance(config, GANConfig)
    data = splits(train=40, test=9)
    latents = torch.randn(num_latents, 2, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(2 * pack, generator=torch.Generator().manual_seed(1))
    scale = torch.tensor([0.7])

    def generate(latents: Tensor, labels: Tensor) -> Tensor:
        return latents + labels[:, None] * (label_embedding > 0)

    def discriminate(labels: Tensor) -> gan_scores.Discriminate:
        extra = labels.reshape(-1, pack).sum(dim=1) * (label_embedding > 0)
        return lambda packs: packs @ weights + extra

    table = discriminator_scores(config, generate, discriminate, scale, data, latents, None)
    means = {}
    for name, split in data.items():
        losses = []
        for first in range(0, len(split) - pack + 1, pack):
            rows = range(first, first + pack)
            turns = [row % num_latents for row in rows]
            labels = split.labels[list(rows)]
            shift = labels.sum() * (label_embedding > 0)
            real = (split.points[list(rows)] / 0.7).flatten() @ weights + shift
            fake = generate(latents[turns], labels).flatten() @ weights + shift
            losses.append(softplus(-real) + softplus(fake))
        means[name] = torch.stack(losses).mean().item()
        assert table[f"loss/discriminator_{name}"] == pytest.approx(means[name], rel=1e-5)
    assert table["gap/loss_discriminator"] == pytest.approx(means["test"] - means["train"], abs=1e-5)


def test_the_choice_of_directions_is_no_part_of_a_gap() -> None:
    points = torch.randn(2, 300, 2, generator=make_generator(0, "points"))
    both = References({"train": points[0], "test": points[0].clone()}, make_generator(0, "directions"))
    distances = both.sliced_distances(points[1])
    assert distances["train"] == distances["test"] > 0
