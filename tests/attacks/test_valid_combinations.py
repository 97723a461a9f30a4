"""Random valid combinations of settings: each finishes, diverges, or is refused before anything is written."""

import random
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaplab.config.compose import compose_config
from gaplab.config.network import Activation, Block, Initialization
from gaplab.errors import ConfigError, DivergedError
from gaplab.runs.directory import read_json
from gaplab.train import run_one
from quick_runs import set_once

SMALL = (
    *("data.num_points=240", "data.num_val_points=120", "data.num_test_points=120", "data.batch_size=48"),
    *("trainer.max_steps=20", "trainer.eval_every_n_steps=10", "trainer.accelerator=cpu"),
    *("trainer.progress_bar=false", "logging.pictures=false"),
)
DATA: dict[str, tuple[str, ...]] = {
    "": (
        "split_mode=shared",
        "num_folds=2",
        "label_noise=0.2",
        "batch_size=null",
        "batch_size=7",
        "num_val_points=0",
    ),
    "spirals": ("num_arms=2", "num_arms=5", "turns=1.5", "sampling=grid", "min_radius=0.2", "noise=0"),
    "notebook_spirals": ("noise=0", "num_arms=2"),
    "cs231n_spirals": ("noise=0", "num_arms=2"),
    "playground_spirals": ("noise=0.3",),
    "two_spirals": (),
    "ring": ("num_modes=2", "num_modes=11", "std=0.1", "std=1", "scaling=wgan_gp"),
    "grid": ("grid_side=2", "std=0.3"),
    "swiss_roll": ("noise=0",),
}
TRAINER = (
    *(
        "precision=64-true",
        "precision=bf16-mixed",
        "block_steps=1",
        "block_steps=3",
        "early_stopping_patience=1",
    ),
    *("accumulate_grad_batches=3", "gradient_clip_val=0.5", "stop_at_train_loss=0.5", "deterministic=false"),
    *("eval_every_n_steps=1", "eval_every_n_steps=7", "num_threads=2"),
)
OPTIMIZER = (
    *(
        "schedule=cosine",
        "schedule=linear",
        "schedule=exponential",
        "warmup_steps=5",
        "max_grad_norm=1",
        "lr=1e5",
    ),
    *("weight_decay=0.1", "weight_decay_on_bias=false", "lr=1e-30", "lr=1e30"),
)
CLASSIFICATION = ("loss=squared_error", "loss=hinge", "loss=perceptron", "label_smoothing=0.1")
GAN = (
    *(
        "loss=minimax",
        "loss=wasserstein",
        "loss=hinge",
        "loss=least_squares",
        "pack=2",
        "discriminator_steps=3",
    ),
    *(
        "label_embedding=2",
        "ema=0",
        "latent_size=1",
        "latent=uniform",
        "clip_weights=0.1",
        "gradient_penalty=1",
    ),
    *("penalty_final_factor=0.1", "r1=0", "r2=0", "penalty_knots=[[0,1],[1,0.1]]", "latent_coins=2"),
    *("penalty_every_n_steps=3", "simultaneous=true"),
    *("fourier_features=9", "fourier_amplitude=[[0.5,0],[1,1]]", "rejection_quantile=0.9"),
    "spectral_norm=true",
)
MLP = (
    *(f"activation={name}" for name in Activation),
    *(f"block={name}" for name in Block),
    *(f"initialization={name}" for name in Initialization),
    *(
        "widths=[]",
        "widths=[1]",
        "widths=[3,4,5]",
        "dropout=0.5",
        "dense_skip=true",
        "gain=10",
        "rng_skip_widths=[[4]]",
    ),
)
LOGGING = ("diagnostics=none", "diagnostics=full", "subruns=never", "checkpoints=false", "projector=true")


def random_settings(count: int, seed: int) -> Iterator[list[str]]:
    """Settings of which each is allowed by itself."""
    rng = random.Random(seed)

    def some(section: str, words: tuple[str, ...], most: int) -> list[str]:
        return [f"{section}.{word}" for word in rng.sample(words, rng.randint(0, min(most, len(words))))]

    for _ in range(count):
        data = rng.choice([name for name in DATA if name])
        words = [f"data={data}", *some("data", DATA[data], 2), *some("data", DATA[""], 1)]
        words += [
            *some("trainer", TRAINER, 2),
            *some("optimizer", OPTIMIZER, 2),
            *some("logging", LOGGING, 1),
        ]
        words.append(f"optimizer={rng.choice(['sgd', 'adam', 'adamw', 'lbfgs'])}")
        if rng.random() < 0.3:
            words += ["task=gan", "task.num_samples=100", *some("task", GAN, 3)]
            words += some("task.generator", MLP, 1)
        else:
            network = rng.choice(["mlp", "mlp", "mlp", "linear", "perceptron", "cs231n"])
            words += [f"network={network}", *some("task", CLASSIFICATION, 1)]
            words += some("network", MLP, 3) if network == "mlp" else []
            words += [f"measures={rng.choice(['bounds', 'capacity'])}"] if rng.random() < 0.2 else []
        sizes = [word for word in SMALL if data != "two_spirals" or not word.startswith("data.")]
        yield set_once(*sizes, *words)


@pytest.mark.parametrize("count", [6, pytest.param(60, marks=pytest.mark.thorough)])
def test_a_combination_finishes_diverges_or_is_refused(count: int, tmp_path: Path) -> None:
    endings = []
    for number, words in enumerate(random_settings(count, seed=0)):
        path = tmp_path / str(number)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="mode collapse")
                run_one(compose_config([*words, f"run.root={tmp_path}"]), path)
        except ConfigError:
            assert not path.exists(), f"refused too late: {' '.join(words)}"
            endings.append("refused")
            continue
        except DivergedError:
            pass
        except Exception as error:
            raise AssertionError(f"{' '.join(words)} gave {error!r}") from error
        endings.append(read_json(path / "run.json")["status"])
        assert endings[-1] in ("finished", "diverged"), words
    assert endings.count("finished") > count // 3, endings
