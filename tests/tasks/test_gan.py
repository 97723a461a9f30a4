"""The GAN on the run path: gradients against loops written by hand, counting, resumption, bad ends."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gaplab.builders import build_data_and_task
from gaplab.builders.load_run import load_run
from gaplab.config.compose import Composed, compose_config
from gaplab.config.gan import GANConfig
from gaplab.config.registry import register
from gaplab.data.loader import Batch
from gaplab.errors import DivergedError, Preempted
from gaplab.runs.checkpoints import read_checkpoint
from gaplab.runs.directory import read_json
from gaplab.runs.resume import plan_new
from gaplab.tasks.gan import GAN
from gaplab.tasks.gan_losses import draw_latents, penalty_factor
from gaplab.train import run_one, run_planned
from perfect_sampler import coverage_ceiling, high_quality_ceiling
from quick_runs import GAN_INGREDIENTS, QUICK_GAN, set_once


def compose(folder: Path, *words: str) -> Composed:
    return compose_config([*QUICK_GAN, f"run.root={folder}", *words])


def built(*words: str) -> tuple[GAN, Batch]:
    """A task in double precision and its first batch."""
    data, task = build_data_and_task(compose_config([*QUICK_GAN, *words]).config)
    assert isinstance(task, GAN)
    points = data.splits["train"].points[:48].double()
    return task.double(), Batch(points, data.splits["train"].labels[:48], 0, 48, 3)


def latents(task: GAN, batch: Batch) -> Tensor:
    from gaplab.randomness import make_generator

    draws = make_generator(task.train_seed, "latent", batch.step)
    return torch.randn(batch.global_batch_size, task.config.latent_size, generator=draws).double()


def gradients(loss: Tensor, module: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(module.parameters())))


def test_phases_equal_a_loop_written_by_hand() -> None:
    task, batch = built("task.r1=0.3", "task.r2=0.2", "task.penalty_final_factor=0.01")
    d, g = task.discriminator.network, task.generator.network
    real = (batch.points / task.scale).requires_grad_()
    fake = g(latents(task, batch))
    seen = fake.detach().requires_grad_()
    pairs = d(real) - d(seen)
    penalty = 0.0
    for weight, points in ((0.3, real), (0.2, seen)):
        slope = torch.autograd.grad(d(points).sum(), points, create_graph=True)[0]
        penalty = penalty + weight * 0.5 * slope.square().sum(1).mean()
    factor = 0.01 ** (0.5 - 0.5 * math.cos(math.pi * 3 / 12))
    expected = (1 + (-pairs).exp()).log().mean() + factor * penalty
    ours = task.discriminator_phase(batch)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-14)
    for a, b in zip(gradients(ours, d), gradients(expected, d), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)

    expected = (1 + (d(real).detach() - d(fake)).exp()).log().mean()
    ours = task.generator_phase(batch)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-14)
    for a, b in zip(gradients(ours, g), gradients(expected, g), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


def test_penalties_of_every_third_step_weigh_three_times_as_much() -> None:
    words = ("task.r1=0.3", "task.gradient_penalty=0.5")
    (always, batch), (lazy, _) = built(*words), built(*words, "task.penalty_every_n_steps=3")
    bare, _ = built("task.r1=0", "task.r2=0")
    for step in range(7):
        due = batch._replace(step=step)
        whole, alone, now = (task.discriminator_phase(due) for task in (always, bare, lazy))
        expected = alone if step % 3 else alone + 3 * (whole - alone)
        torch.testing.assert_close(now, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["task.pack=4"],
        ["task.label_embedding=3", "task.loss=hinge"],
        ["task.label_embedding=3", "task.pack=2", "task.gradient_penalty=1", "task.loss=wasserstein"],
    ],
)
def test_shares_of_two_processes_add_up_to_the_whole(words: list[str]) -> None:
    task, batch = built(*words)
    parts = [
        Batch(batch.points[part], batch.labels[part], part.start, 48, batch.step)
        for part in (slice(0, 16), slice(16, 48))
    ]
    for phase in (task.discriminator_phase, task.generator_phase):
        whole = sum(phase(part) * part.share for part in parts)
        torch.testing.assert_close(whole, phase(batch), rtol=1e-12, atol=1e-14)


def test_packs_and_labels_reach_the_discriminator() -> None:
    task, batch = built("task.pack=2", "task.label_embedding=3")
    embedding = task.discriminator.embedding
    assert embedding is not None
    inputs = torch.cat([batch.points / task.scale, embedding[batch.labels]], dim=1).reshape(24, 10)
    expected = task.discriminator.network(inputs)[:, 0]
    real, _ = task.packs(batch)
    torch.testing.assert_close(task.discriminate(batch.labels)(real), expected, rtol=1e-12, atol=1e-14)


def test_penalties_end_at_their_final_factor() -> None:
    config = compose_config([*QUICK_GAN, "task.penalty_final_factor=0.01"]).config.task
    factors = [penalty_factor(config, step, 10) for step in (0, 5, 10, 11)]  # type: ignore[arg-type]
    assert factors == pytest.approx([1.0, 0.1, 0.01, 0.01])


def final(path: Path) -> tuple[dict[str, Tensor], Any, Any]:
    checkpoint = read_checkpoint(path / "checkpoints" / "last.ckpt")
    history = next(s["history"] for key, s in checkpoint["callbacks"].items() if key == "Recorder")
    return checkpoint["state_dict"], read_json(path / "result.json"), history


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    folder = tmp_path_factory.mktemp("gan")
    words = (*GAN_INGREDIENTS, "task.discriminator_steps=2")
    run_one(compose(folder, *words), folder / "whole")
    return folder, words


def test_steps_are_counted_once_a_batch_and_everything_is_measured(whole_run: Any) -> None:
    weights, result, history = final(whole_run[0] / "whole")
    assert result["step"] == 12
    assert sorted(history) == [6, 12]
    table = result["last"]
    for name in ("modes/captured", "coverage/recall", "distance/copying_ratio", "judge/p_value_test"):
        assert name in table
        assert f"ceiling/{name}" in table
    assert {"gap/loss_discriminator", "gap/judge_accuracy", "gap/mmd_squared"} <= table.keys()
    gap = table["loss/discriminator_test"] - table["loss/discriminator_train"]
    assert table["gap/loss_discriminator"] == pytest.approx(gap)
    assert 0 < table["rejection/accepted"] <= 1
    assert table["judge/accuracy_test"] == max(
        value
        for name, value in table.items()
        if name.startswith("judge/") and name.endswith("_test") and "p_value" not in name
    )
    assert float(weights["scale"]) == pytest.approx(0.5**0.5, rel=0.05)


def test_the_last_weights_count_because_the_distance_cannot_tell(whole_run: Any) -> None:
    path = whole_run[0] / "whole"
    weights, result, _ = final(path)
    assert result["best"] is result["best_step"] is None
    assert result["objective"] == result["last"]["distance/sliced_w2_val"]
    assert not (path / "checkpoints" / "best.ckpt").exists()
    loaded = load_run(path).task.state_dict()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
    (path / "checkpoints" / "best.ckpt").write_bytes(b"kept by an earlier version")
    assert torch.equal(load_run(path).task.state_dict()["scale"], weights["scale"])
    (path / "checkpoints" / "best.ckpt").unlink()


def test_waves_follow_their_knots_and_stay_as_they_were_drawn(whole_run: Any) -> None:
    weights = final(whole_run[0] / "whole")[0]
    _, task = build_data_and_task(compose(whole_run[0], *whole_run[1]).config)
    assert float(weights["discriminator.fourier.amplitude"]) == pytest.approx(10 ** (11 / 12) / 10)
    assert isinstance(task, GAN)
    assert task.discriminator.fourier is not None
    assert torch.equal(task.discriminator.fourier.waves, weights["discriminator.fourier.waves"])
    assert weights["generator.network.hidden.0.linear.weight"].shape[1] == 2 + 4
    assert weights["discriminator.network.hidden.0.linear.weight"].shape[1] == 2 + 5


def test_coins_are_fair_and_stand_beside_the_other_latents() -> None:
    config = compose_config([*QUICK_GAN, "task.latent_coins=3"]).config.task
    assert isinstance(config, GANConfig)
    drawn = draw_latents(config, 4_000, torch.Generator().manual_seed(0))
    assert drawn.shape == (4_000, 5)
    assert set(drawn[:, 2:].unique().tolist()) == {-1.0, 1.0}
    assert drawn[:, 2:].mean(dim=0).abs().max() < 4 / 4_000**0.5
    plain = draw_latents(replace(config, latent_coins=0), 4_000, torch.Generator().manual_seed(0))
    assert torch.equal(plain, drawn[:, :2])


def test_penalties_follow_their_knots() -> None:
    config = compose_config([*QUICK_GAN, "task.penalty_knots=[[0,0.3],[0.5,0.003]]"]).config.task
    factors = [penalty_factor(config, step, 100) for step in (0, 25, 50, 99)]  # type: ignore[arg-type]
    assert factors == pytest.approx([0.3, 0.03, 0.003, 0.003])


def test_ceilings_are_those_of_a_perfect_sampler(whole_run: Any) -> None:
    table = final(whole_run[0] / "whole")[1]["last"]
    high_quality = high_quality_ceiling(300)
    assert abs(table["ceiling/modes/high_quality"] - high_quality.mean) < 4 * high_quality.std
    assert table["ceiling/coverage/coverage"] == pytest.approx(coverage_ceiling(100, 100), abs=0.06)
    assert table["ceiling/judge/accuracy_test"] == pytest.approx(0.5, abs=4 * 0.5 / 300**0.5)
    assert table["ceiling/distance/copying_ratio"] == pytest.approx(1, abs=0.4)


def test_stopped_and_continued_equals_uninterrupted(whole_run: Any, stop_at: Any) -> None:
    folder, words = whole_run
    composed = compose(folder, *words)
    stop_at(6)
    with pytest.raises(Preempted):
        run_one(composed, folder / "parts")
    stop_at(None)
    plan = plan_new(composed, folder / "parts")
    assert plan.checkpoint is not None
    run_planned(plan)
    whole, parts = final(folder / "whole"), final(folder / "parts")
    assert all(torch.equal(whole[0][name], parts[0][name]) for name in whole[0])
    assert whole[1:] == parts[1:]


@pytest.mark.usefixtures("few_draws")
def test_run_equals_a_bare_loop(tmp_path: Path) -> None:
    """Two discriminator steps for one of the generator, weight clipping, and the moving average."""
    words = ("task.loss=non_saturating", "task.r1=0", "task.r2=0", "task.discriminator_steps=2")
    words += ("task.clip_weights=0.3", "task.ema=0.9", "optimizer.lr=0.01", "trainer.precision=64-true")
    composed = compose(tmp_path, *words)
    run_one(composed, tmp_path / "run")
    data, task = build_data_and_task(composed.config)
    assert isinstance(task, GAN)
    task.double()
    g, d, mean = task.generator.network, task.discriminator.network, copy.deepcopy(task.generator.network)
    optimizers = [torch.optim.Adam(net.parameters(), lr=0.01) for net in (d, g)]
    from gaplab.data.loader import TrainLoader

    train = data.splits["train"]
    loader = TrainLoader(
        train.points.double(),
        train.labels,
        batch_size=48,
        num_steps=12,
        evaluation_steps=(6, 12),
        train_seed=0,
    )
    for step in range(12):
        batch = loader.batch(step)
        real, z = batch.points / task.scale, latents(task, batch)
        loss = nn.functional.softplus(-d(real)).mean() + nn.functional.softplus(d(g(z).detach())).mean()
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        with torch.no_grad():
            for parameter in d.parameters():
                parameter.clamp_(-0.3, 0.3)
        if step % 2:
            loss = nn.functional.softplus(-d(g(z))).mean()
            optimizers[1].zero_grad()
            loss.backward()
            optimizers[1].step()
            count = step // 2
            past = min(0.9, (count + 1) / (count + 10))
            with torch.no_grad():
                for old, new in zip(mean.parameters(), g.parameters(), strict=True):
                    old.copy_(past * old + (1 - past) * new)
    weights = final(tmp_path / "run")[0]
    for prefix, network in (("generator", g), ("discriminator", d), ("average", mean)):
        for name, value in network.state_dict().items():
            torch.testing.assert_close(weights[f"{prefix}.network.{name}"], value, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("few_draws")
def test_spectral_norm_resumes_and_pictures_leave_it_alone(tmp_path: Path, stop_at: Any) -> None:
    words = ("task.spectral_norm=true", "task.fourier_features=5", "task.discriminator.gain=3")
    composed = compose(tmp_path, *words)
    run_one(composed, tmp_path / "whole")
    stop_at(6)
    with pytest.raises(Preempted):
        run_one(composed, tmp_path / "parts")
    stop_at(None)
    run_planned(plan_new(composed, tmp_path / "parts"))
    drawn = [word for word in QUICK_GAN if word != "logging.pictures=false"]
    run_one(compose_config([*drawn, f"run.root={tmp_path}", *words]), tmp_path / "drawn")
    whole = final(tmp_path / "whole")[0]
    for name in ("parts", "drawn"):
        assert all(torch.equal(whole[key], value) for key, value in final(tmp_path / name)[0].items())
    task = load_run(tmp_path / "whole").task
    assert isinstance(task, GAN)
    layer = task.discriminator.network.get_submodule("output")
    assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-3)


def test_a_network_without_one_score_a_point_is_refused(tmp_path: Path) -> None:
    from dataclasses import dataclass

    from gaplab.config.network import NetworkConfig

    @dataclass(kw_only=True, slots=True)
    class TwoScoresConfig(NetworkConfig):
        pass

    register("network", "two_scores", TwoScoresConfig, lambda config, i, o, generator: nn.Linear(i, 2))
    words = [word for word in QUICK_GAN if "discriminator.widths" not in word]
    composed = compose_config([*words, f"run.root={tmp_path}", "network@task.discriminator=two_scores"])
    with pytest.raises(ValueError, match="one score per point.*got .96, 2."):
        run_one(composed, tmp_path / "run")
    assert read_json(tmp_path / "run" / "run.json")["status"] == "failed"


def test_divergence_is_said(tmp_path: Path) -> None:
    composed = compose(tmp_path, "optimizer=sgd", "optimizer.lr=1e30", "task.loss=least_squares")
    with pytest.raises(DivergedError, match="is not finite at step"):
        run_one(composed, tmp_path / "run")
    assert read_json(tmp_path / "run" / "run.json")["status"] == "diverged"


@pytest.mark.usefixtures("few_draws")
def test_collapse_is_warned_of_with_its_figure(tmp_path: Path) -> None:
    composed = compose(tmp_path, "task.generator.gain=1e-3", "optimizer.lr=1e-9")
    with pytest.warns(
        UserWarning, match=r"mode collapse: the standard deviation of 100 samples is .* of the"
    ):
        run_one(composed, tmp_path / "run")


@pytest.mark.usefixtures("few_draws")
def test_conditional_packed_run_on_spirals(tmp_path: Path) -> None:
    words = ("data=spirals", "task.label_embedding=2", "task.pack=2", "task.latent=uniform")
    table = run_one(compose(tmp_path, *words), tmp_path / "run").last
    assert table["ceiling/spiral/label_agreement"] > 0.9
    assert table["ceiling/spiral/angle_std"] == pytest.approx(0.4, abs=0.08)
    assert 0 <= table["spiral/label_agreement"] <= 1


@pytest.mark.usefixtures("few_draws")
def test_a_short_run_comes_closer_to_the_ring(tmp_path: Path) -> None:
    words = ("trainer.max_steps=120", "trainer.eval_every_n_steps=60", "task.generator.widths=[16]")
    words += ("task.discriminator.widths=[16]", "optimizer.lr=0.01")
    history = run_one(compose_config(set_once(*QUICK_GAN, *words)), tmp_path / "run").history
    assert history[120]["distance/sliced_w2_test"] < history[60]["distance/sliced_w2_test"]


@pytest.mark.thorough
def test_a_longer_ring_run_finds_most_modes(tmp_path: Path) -> None:
    words = ["experiment=gan_ring", "trainer.max_steps=1500", "trainer.progress_bar=false"]
    composed = compose_config([*words, f"run.root={tmp_path}", "logging.pictures=false"])
    assert run_one(composed, tmp_path / "run").last["modes/captured"] >= 6
