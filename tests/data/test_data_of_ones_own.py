"""Data that a user brings: tensors and dicts of any shape, Datasets, data modules; sizes follow what was built."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from gaplab import register
from gaplab.builders import build_data_and_task
from gaplab.builders.data import build_data
from gaplab.builders.load_run import load_run
from gaplab.config.compose import Composed, compose_config
from gaplab.config.data import DataConfig
from gaplab.config.measures import points_are_independent
from gaplab.config.network import NetworkConfig
from gaplab.config.registry import CHOICES
from gaplab.data.loader import Batch
from gaplab.errors import ConfigError, Preempted
from gaplab.randomness import make_generator
from gaplab.runs.directory import read_config
from gaplab.runs.resume import plan_new, plan_resumption
from gaplab.sweeps.train_work import run_many
from gaplab.train import run_one, run_planned

FAST = (
    "trainer.max_steps=12",
    "trainer.eval_every_n_steps=6",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
    "logging.pictures=false",
    "logging.subruns=never",
    "logging.diagnostics=none",
)
SIZES = {"train": 70, "val": 20, "test": 30}


def images(split: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Stripes [P, 2, 3, 4] that tell the class apart, and classes [P]."""
    generator = make_generator(0, split)
    labels = torch.arange(SIZES[split]) % 3
    points = torch.rand(SIZES[split], 2, 3, 4, generator=generator) / 2
    points[torch.arange(len(labels)), 0, labels] += 0.5
    return (255 * points).to(dtype) if dtype is torch.uint8 else points.to(dtype), labels


class Jittered(Dataset[Any]):
    """Images with noise of torch's global generator: augmentation."""

    def __init__(self, split: str) -> None:
        self.points, self.labels = images(split)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> Any:
        return self.points[row] + 0.1 * torch.rand(()), int(self.labels[row])


class Module(LightningDataModule):
    def train_dataloader(self) -> Any:
        return DataLoader(Jittered("train"), batch_size=7)

    val_dataloader = test_dataloader = train_dataloader


BUILT: dict[str, Callable[[], Any]] = {
    "double": lambda: {split: images(split) for split in SIZES},
    "bytes": lambda: ({split: images(split, torch.uint8) for split in SIZES}, 3),
    "dict": lambda: {
        split: ({"a": points[:, 0], "b": points[:, 1, 0]}, labels)
        for split in SIZES
        for points, labels in [images(split)]
    },
    "real": lambda: {split: (images(split)[0], images(split)[0].mean((1, 2))) for split in SIZES},
    "held": lambda: {split: TensorDataset(*images(split)) for split in SIZES},
    "lazy": lambda: {split: Jittered(split) for split in SIZES},
    "pair": lambda: images("train"),
    "one": lambda: Jittered("train"),
    "module": Module,
    "law": lambda: (lambda split, num_points: images(split), 3),
    "untested": lambda: {"train": images("train")},
    "broken": lambda: {split: (images(split)[0] / 0.0 * 0.0, images(split)[1]) for split in SIZES},
}


@dataclass(kw_only=True, slots=True)
class BroughtConfig(DataConfig):
    form: str = "double"
    batch_size: int | None = 16

    def build(self, stream: Any) -> Any:
        return BUILT[self.form]()


@dataclass(kw_only=True, slots=True)
class ClaimedConfig(BroughtConfig):
    independent: ClassVar[bool] = True


class Parts(nn.Module):
    """A network of points that are dicts."""

    def __init__(self, out_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(12 + 4, out_features)

    def forward(self, points: dict[str, Tensor]) -> Tensor:
        logits: Tensor = self.linear(torch.cat([points["a"].flatten(1), points["b"]], dim=1))
        return logits


@dataclass(kw_only=True, slots=True)
class PartsConfig(NetworkConfig):
    wrong: bool = False

    def build(self, out_features: int) -> nn.Module:  # type: ignore[override]
        return Parts(out_features + self.wrong)


@pytest.fixture(autouse=True, scope="module")
def choices() -> Iterator[None]:
    register("data", "brought", BroughtConfig)
    register("data", "claimed", ClaimedConfig)
    register("network", "parts", PartsConfig)
    yield
    for group, name in (("data", "brought"), ("data", "claimed"), ("network", "parts")):
        del CHOICES[group][name]


def compose(*words: str) -> Composed:
    kept = {word.split("=")[0]: word for word in (*FAST, "data=brought", *words)}
    return compose_config(list(kept.values()))


def built(*words: str) -> Any:
    config = compose(*words).config
    return build_data(config, make_generator(0)), config


@pytest.mark.parametrize("form", ["double", "bytes", "held", "law"])
def test_tensors_of_any_shape_are_served_in_the_types_of_networks(form: str) -> None:
    data, config = built(f"data.form={form}")
    assert {name: len(split) for name, split in data.splits.items()} == SIZES
    assert (data.example_shape, data.in_features, data.num_classes, data.target_shape) == (
        (2, 3, 4),
        24,
        3,
        (),
    )
    for name, split in data.splits.items():
        points, labels = images(name)
        assert (split.points.dtype, split.labels.dtype) == (torch.float32, torch.int64)
        assert torch.allclose(split.points, points.float(), atol=1 / 255)
        assert torch.equal(split.labels, labels)
    sizes = config.data.num_points, config.data.num_val_points, config.data.num_test_points
    assert sizes == (70, 20, 30)


def test_epochs_and_full_batches_are_those_of_the_data(tmp_path: Path) -> None:
    composed = compose("trainer.max_epochs=3", "trainer.max_steps=null", "data.batch_size=32")
    result = run_one(composed, tmp_path / "a")
    assert (result.step, result.epochs, result.num_train_points) == (9, 3.0, 70)
    saved = read_config(tmp_path / "a")["data"]
    assert [saved[key] for key in ("num_points", "num_val_points", "num_test_points")] == [70, 20, 30]
    again = plan_new(
        compose("trainer.max_epochs=3", "trainer.max_steps=null", "data.batch_size=32"), tmp_path / "a"
    )
    assert again.finished
    config = compose("data.batch_size=null", "trainer.max_epochs=2", "trainer.max_steps=null").config
    data, _ = build_data_and_task(config)
    assert (config.data.points_per_step, config.num_steps, data.num_steps) == (70, 2, 2)


def test_a_size_that_is_typed_is_honoured_or_refused() -> None:
    first, config = built("data.num_points=50", "data.num_val_points=0")
    assert list(map(len, first.splits.values())) == [50, 30]
    assert config.data.num_train_points == 50
    rows = {tuple(row.flatten().tolist()) for row in first.splits["train"].points}
    whole, _ = built()
    assert rows < {tuple(row.flatten().tolist()) for row in whole.splits["train"].points}
    assert len(rows) == 50
    assert torch.equal(built("data.num_points=50")[0].splits["train"].points, first.splits["train"].points)
    other = built("data.num_points=50", "data_seed=1")[0].splits["train"].points
    assert not torch.equal(other, first.splits["train"].points)
    with pytest.raises(ConfigError, match=r"data\.num_points: expected at most the 70 train points"):
        built("data.num_points=71")
    with pytest.raises(ConfigError, match=r"data\.num_points: .*71.*asked for, but it returned 70"):
        built("data.form=law", "data.num_points=71")
    with pytest.raises(ConfigError, match=r"data\.batch_size: expected at most the 70 training points"):
        built("data.batch_size=100")


def test_folds_and_label_noise_of_tensors() -> None:
    plain, _ = built()
    data, config = built("data.num_folds=7", "data.label_noise=0.5")
    assert list(map(len, data.splits.values())) == [60, 10, 30]
    assert config.data.num_train_points == 60
    noisy, _ = built("data.label_noise=0.5")
    assert int((noisy.splits["train"].labels != plain.splits["train"].labels).sum()) == 35
    with pytest.raises(ConfigError, match=r"data\.noise_dimensions: expected points that are vectors"):
        built("data.noise_dimensions=1")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("data.form=untested", "expected the splits train and test"),
        ("data.form=broken", "expected finite numbers, but 70 of 70 points"),
        ("data.num_workers=1", r"data\.num_workers: expected 0"),
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        built(word)


def test_real_targets() -> None:
    data, config = built("data.form=real")
    assert (data.num_classes, data.target_shape) == (0, (4,))
    assert data.splits["train"].labels.dtype == torch.float32
    with pytest.raises(ConfigError, match="real targets. Use task=regression"):
        build_data_and_task(config)


def test_dicts_train_with_a_network_that_asks_for_what_it_needs(tmp_path: Path) -> None:
    words = ("data.form=dict", "network=parts")
    result = run_one(compose(*words), tmp_path / "a")
    data, _ = built(*words)
    assert data.example_shape == {"a": (3, 4), "b": (4,)}
    assert data.in_features == 16
    assert result.last["loss/train"] < 1.2
    with pytest.raises(ConfigError, match=r"Parts to return \[2, 3\] for 2 points, but it returned \[2, 4\]"):
        build_data_and_task(compose(*words, "network.wrong=true").config)
    with pytest.raises(ConfigError, match="Parts to take points of the shape"):
        build_data_and_task(compose("network=parts").config)
    with pytest.raises(ConfigError, match="dicts of a, b, which MLPConfig cannot take"):
        build_data_and_task(compose("data.form=dict").config)


def test_a_dataset_is_read_alike_by_workers_by_this_process_and_after_a_restart(
    tmp_path: Path, stop_at: Callable[[int | None], None]
) -> None:
    words = ("data.form=lazy", "network.widths=[8]")
    alone = run_one(compose(*words), tmp_path / "alone")
    assert alone.num_train_points == 70
    workers = run_one(compose(*words, "data.num_workers=1"), tmp_path / "workers")
    assert workers.last == alone.last
    stop_at(7)
    with pytest.raises(Preempted):
        run_one(compose(*words), tmp_path / "stopped")
    stop_at(None)
    run_planned(plan_resumption(tmp_path / "stopped", []))
    assert (tmp_path / "stopped/result.json").read_text() == (tmp_path / "alone/result.json").read_text()
    points = load_run(tmp_path / "alone").data.splits["test"].points
    assert points.shape == (30, 2, 3, 4)


def test_datasets_in_memory_and_what_lazy_ones_cannot_do() -> None:
    data, _ = built("data.form=lazy", "data.in_memory=true")
    assert data.splits["train"].points.shape == (70, 2, 3, 4)
    with pytest.raises(ConfigError, match=r"data\.label_noise: expected 0, .*in_memory=true"):
        built("data.form=lazy", "data.label_noise=0.1")


@pytest.mark.parametrize("form", ["pair", "one"])
def test_examples_without_splits_are_cut_into_fifths(form: str) -> None:
    data, config = built(f"data.form={form}")
    assert list(map(len, data.splits.values())) == [42, 14, 14]
    assert config.data.num_points == 42


def test_a_data_module_is_served_as_it_is() -> None:
    data, config = built("data.form=module")
    assert type(data) is Module
    assert (config.data.num_points, config.data.points_per_step) == (70, 7)
    with pytest.raises(ConfigError, match="data module Module"):
        build_data_and_task(compose("data.form=module").config)


def test_stacked_runs_on_images_equal_the_same_runs_alone(tmp_path: Path) -> None:
    words = (
        "trainer.precision=64-true",
        "network.widths=[4]",
        "trainer.max_epochs=2",
        "trainer.max_steps=null",
    )
    plans = [plan_new(compose(*words, f"seed={seed}"), tmp_path / f"s{seed}") for seed in (1, 2)]
    stacked = run_many(plans)
    assert read_config(tmp_path / "s1")["data"]["num_points"] == 70
    for seed, objective in zip((1, 2), stacked, strict=True):
        alone = run_one(compose(*words, f"seed={seed}"), tmp_path / f"a{seed}")
        assert alone.step == 10
        assert objective == pytest.approx(alone.objective, rel=1e-8)


def test_a_config_says_whether_its_points_are_independent() -> None:
    assert not points_are_independent(compose().config.data)
    assert points_are_independent(compose("data=claimed").config.data)
    assert not points_are_independent(compose("data=claimed", "data.label_noise=0.1").config.data)
    assert points_are_independent(compose("data=ring").config.data)
    assert not points_are_independent(compose("data=digits").config.data)
    assert points_are_independent(compose("data=digits", "data.assume_independent=true").config.data)
    assert not points_are_independent(compose("data=spirals", "data.sampling=grid").config.data)


def test_part_of_a_batch_is_that_of_what_was_drawn_for_the_whole() -> None:
    whole = torch.arange(10)
    parts = [Batch(None, torch.zeros(n), start, 10, 0).part(whole) for start, n in ((0, 4), (4, 3), (7, 3))]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("data.form=lazy",), "the data are read by loaders, one example at a time"),
        (("data.form=dict", "network=parts"), "points that are dicts of tensors have no stacked form"),
    ],
)
def test_data_that_cannot_be_stacked_train_alone_with_a_reason(
    words: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    said: list[str] = []
    common = ("trainer.max_steps=6", f"run.root={tmp_path}", *words)
    plans = [plan_new(compose(*common, f"seed={seed}"), tmp_path / str(seed)) for seed in (0, 1)]
    objectives = run_many(plans, log=said.append)
    assert reason in " ".join(said)
    alone = run_one(compose(*common, "seed=0"), tmp_path / "alone").objective
    assert objectives[0] == alone
