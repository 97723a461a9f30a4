"""SplitMode of a point set: sizes, folds, corruption, and which seed decides what."""

import pytest
import torch

from gaplab.builders import build_data_and_task
from gaplab.builders.data import build_data
from gaplab.data.datamodule import PointDataModule, Split
from gaplab.errors import ConfigError
from gaplab.randomness import make_generator
from quick_runs import Compose


def build(quick: Compose, *overrides: str) -> PointDataModule:
    config = quick(*overrides).config
    return build_data(config, make_generator(config.init_seed, "weights"))


def rows(split: Split) -> set[tuple[float, ...]]:
    """Points with their labels, as a set that can be compared."""
    table = torch.cat((split.points, split.labels[:, None].float()), dim=1)
    return {tuple(row) for row in table.tolist()}


def equal(first: Split, second: Split) -> bool:
    return torch.equal(first.points, second.points) and torch.equal(first.labels, second.labels)


def test_sizes_types_and_independence_of_the_splits(quick: Compose) -> None:
    data = build(quick)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 60, "val": 40, "test": 80}
    for split in data.splits.values():
        assert split.points.shape == (len(split), 2)
        assert (split.points.dtype, split.labels.dtype) == (torch.float32, torch.int64)
        assert set(split.labels.tolist()) == {0, 1, 2}
    train, val, test = (rows(data.splits[name]) for name in ("train", "val", "test"))
    assert not train & val
    assert not train & test
    assert not val & test


def test_a_split_does_not_depend_on_the_size_of_the_others(quick: Compose) -> None:
    plain = build(quick)
    other = build(quick, "data.num_test_points=33", "data.num_val_points=0")
    assert list(other.splits) == ["train", "test"]
    assert equal(plain.splits["train"], other.splits["train"])


def test_shared_splits_partition_one_draw(quick: Compose) -> None:
    data = build(quick, "data.split_mode=shared", "data.num_test_points=50")
    parts = [rows(split) for split in data.splits.values()]
    assert [len(part) for part in parts] == [60, 40, 50]
    whole = build(quick, "data.num_points=150", "data.num_val_points=0").splits["train"]
    assert set.union(*parts) == rows(whole)


@pytest.mark.parametrize("num_folds", [2, 7])
def test_folds_partition_the_training_points(quick: Compose, num_folds: int) -> None:
    whole = rows(build(quick).splits["train"])
    held_out: list[set[tuple[float, ...]]] = []
    for fold in range(num_folds):
        config = quick(f"data.num_folds={num_folds}", f"data.fold={fold}", "data.batch_size=null").config
        data = build_data(config, make_generator(0, "weights"))
        train, val = rows(data.splits["train"]), rows(data.splits["val"])
        assert train | val == whole
        assert not train & val
        assert len(data.splits["train"]) == config.data.num_train_points
        assert equal(data.splits["test"], build(quick).splits["test"])
        held_out.append(val)
    assert max(map(len, held_out)) - min(map(len, held_out)) <= 1
    assert sum(map(len, held_out)) == 60
    assert set.union(*held_out) == whole


def test_label_noise_flips_its_share_of_the_training_labels_only(quick: Compose) -> None:
    clean, noisy = build(quick), build(quick, "data.label_noise=0.25")
    wrong = {
        name: int((split.labels != clean.splits[name].labels).sum()) for name, split in noisy.splits.items()
    }
    assert wrong == {"train": 15, "val": 0, "test": 0}
    everywhere = build(quick, "data.label_noise=0.25", "data.label_noise_in=all_splits")
    assert {
        name: int((split.labels != clean.splits[name].labels).sum())
        for name, split in everywhere.splits.items()
    } == {"train": 15, "val": 10, "test": 20}
    assert equal(everywhere.splits["train"], noisy.splits["train"])


def test_noise_dimensions_are_appended_to_the_same_points(quick: Compose) -> None:
    plain = build(quick, "data.num_test_points=20_000")
    wide = build(quick, "data.num_test_points=20_000", "data.noise_dimensions=3", "data.noise_scale=0.5")
    assert wide.in_features == 5
    for name, split in wide.splits.items():
        assert torch.equal(split.points[:, :2], plain.splits[name].points)
    extra = wide.splits["test"].points[:, 2:]
    assert extra.shape == (20_000, 3)
    # The standard error of a standard deviation of n normal values is sigma / sqrt(2 n) = 0.0025.
    assert torch.allclose(extra.std(dim=0), torch.tensor(0.5), atol=5 * 0.0025)
    _, task = build_data_and_task(quick("data.noise_dimensions=3").config)
    assert task(torch.zeros(2, 5)).shape == (2, 3)


def test_each_seed_changes_its_own_part_only(quick: Compose) -> None:
    def parts(*overrides: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        config = quick("data.label_noise=0.2", "data.noise_dimensions=1", *overrides).config
        data, task = build_data_and_task(config)
        points = torch.cat((data.splits["train"].points, data.splits["train"].labels[:, None]), dim=1)
        weights = torch.cat([tensor.flatten() for tensor in task.state_dict().values()])
        return points, weights, torch.tensor(data.train_seed)

    original = parts()
    for position, key in enumerate(("data_seed", "init_seed", "train_seed")):
        changed = parts(f"{key}=1")
        same = [torch.equal(a, b) for a, b in zip(original, changed, strict=True)]
        assert same == [other != position for other in range(3)], key
    assert all(not torch.equal(a, b) for a, b in zip(original, parts("seed=1"), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(original, parts(), strict=True))


def test_a_batch_larger_than_the_training_fold_is_refused(quick: Compose) -> None:
    assert quick("data.batch_size=60").config.data.steps_per_epoch == 1
    with pytest.raises(ConfigError, match="at most the 60 training points there are, but got 61"):
        quick("data.batch_size=61")
    with pytest.raises(ConfigError, match="at most the 45 training points there are, but got 46"):
        quick("data.batch_size=46", "data.num_folds=4")
