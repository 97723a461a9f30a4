"""The data of a run, whatever form a ``data`` choice builds them in, with a random stream for each split."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gaplab.config.data import SIZE_KEYS
from gaplab.config.registry import build_choice
from gaplab.config.schema import Config
from gaplab.data.datamodule import DatasetDataModule, PointDataModule
from gaplab.data.dataset_loader import ExampleSplit, subset, tensors_of
from gaplab.data.splits import (
    DEFAULT_SHARE,
    as_split,
    check_names,
    chosen_rows,
    count_classes,
    cut_rows,
    draw_splits,
    select,
    take_splits,
)
from gaplab.data.tables import Examples
from gaplab.errors import ConfigError
from gaplab.randomness import make_generator, seeded_global_generators

FORMS = (
    "draw(split, num_points), tensors, Datasets or a LightningDataModule, alone or with the number of classes"
)


def build_data(config: Config, init_stream: torch.Generator) -> Any:
    """Build the data of a run; their sizes become those of the configuration.

    ``init_stream`` draws the initial weights later; with ``shared_rng=true`` the training points come first
    from the same stream.

    Returns:
        A ``PointDataModule``, or the ``LightningDataModule`` that the choice built itself.

    Raises:
        ConfigError: If what was built cannot be trained on, or is not what the configuration asks for.
    """
    with seeded_global_generators(config.data_seed, "global", "points"):
        built = build_choice(config.data, _split_streams(config, init_stream))
        if isinstance(built, LightningDataModule):
            _take_loader_sizes(config, built)
            return built
        source, num_classes, facts = _source(built, config.data_seed)
        if isinstance(source, Mapping) and any(isinstance(one, Dataset) for one in source.values()):
            check_names(config.data, source)
            tensors = {name: tensors_of(one) for name, one in source.items()}
            if config.data.in_memory:
                tensors = {name: _read_whole(config, one, name) for name, one in source.items()}
            if any(pair is None for pair in tensors.values()):
                return _datasets(config, source, num_classes, facts)
            source = tensors
        _refuse_workers(config)
        dtype = torch.float64 if config.trainer.precision == "64-true" else torch.float32
        if isinstance(source, Mapping):
            splits, sizes, num_classes = take_splits(
                config.data, source, num_classes, config.data_seed, dtype
            )
            config.take_sizes(sizes)
            return PointDataModule(config, splits, num_classes=num_classes, facts=facts)
        if not callable(source) or num_classes is None:
            raise ConfigError(
                f"data: expected {FORMS}, but {type(config.data).__name__} built {built!r:.80}."
            )
        splits, sizes = draw_splits(config.data, source, num_classes, config.data_seed, dtype)
        config.take_sizes(sizes)
        return PointDataModule(config, splits, num_classes=num_classes, draw=source, facts=facts)


def _split_streams(config: Config, init_stream: torch.Generator) -> Callable[[str], torch.Generator]:
    def stream(split: str) -> torch.Generator:
        if split == "train" and config.shared_rng:
            return init_stream
        return make_generator(config.data_seed, "points", split)

    return stream


def _source(built: Any, data_seed: int) -> tuple[Any, int | None, dict[str, Any]]:
    """Return what a builder built, without the number of classes beside it, cut into splits where it has none."""
    if isinstance(built, Examples):
        return built.splits, built.num_classes, built.facts
    num_classes: int | None = None
    if isinstance(built, tuple) and len(built) == 2 and (built[1] is None or type(built[1]) is int):
        built, num_classes = built
    if isinstance(built, Dataset):
        rows = _cut(len(built), data_seed)  # type: ignore[arg-type]
        built = {name: subset(built, some) for name, some in rows.items()}
    elif isinstance(built, tuple) and len(built) == 2:
        whole = as_split("all", *built)
        rows = _cut(len(whole), data_seed)
        built = {name: (select(whole.points, some), whole.labels[some]) for name, some in rows.items()}
    return built, num_classes, {}


def _cut(num_rows: int, data_seed: int) -> dict[str, Tensor]:
    return cut_rows(num_rows, DEFAULT_SHARE, DEFAULT_SHARE, make_generator(data_seed, "split"))


def _read_whole(config: Config, dataset: Dataset[Any], name: str) -> tuple[Any, Any]:
    whole = ExampleSplit(dataset, config.data_seed, name).whole
    return whole.points, whole.labels


def _refuse_workers(config: Config) -> None:
    if config.data.num_workers:
        raise ConfigError(
            f"data.num_workers: expected 0, as these data lie in memory and nothing reads them, but got "
            f"{config.data.num_workers}."
        )


def _datasets(
    config: Config, datasets: Mapping[str, Dataset[Any]], num_classes: int | None, facts: Mapping[str, Any]
) -> DatasetDataModule:
    data = config.data
    for key in ("num_folds", "label_noise", "noise_dimensions"):
        if getattr(data, key):
            raise ConfigError(
                f"data.{key}: expected 0, as Datasets are read one example at a time, but got "
                f"{getattr(data, key)}. Without augmentation, data.in_memory=true reads them into tensors."
            )
    taken = {}
    for name in (name for name in SIZE_KEYS if name in datasets):
        rows = chosen_rows(data, name, len(datasets[name]), config.data_seed)  # type: ignore[arg-type]
        if rows is None or len(rows):
            taken[name] = subset(datasets[name], rows)
    sizes = {name: len(dataset) for name, dataset in taken.items()}  # type: ignore[arg-type]
    if num_classes is None:
        num_classes = _num_classes(config, datasets["train"])
    config.take_sizes(sizes)
    return DatasetDataModule(config, taken, num_classes=num_classes, facts=facts)


def _num_classes(config: Config, dataset: Any) -> int:
    """Return the classes that a Dataset says it has, as those of torchvision do, or that its labels show."""
    if hasattr(dataset, "classes"):
        return len(dataset.classes)
    targets = getattr(dataset, "targets", None)
    if targets is None:
        return count_classes([ExampleSplit(dataset, config.data_seed, "train").labels])
    return count_classes([as_split("train", torch.zeros(len(targets)), targets).labels])


def _take_loader_sizes(config: Config, data: LightningDataModule) -> None:
    """Take sizes from the loaders of a data module of a user's, as far as they tell.

    Raises:
        ConfigError: If epochs are to be counted, and the training loader has no length.
    """
    data.prepare_data()
    data.setup("fit")
    train = data.train_dataloader()
    sizes = {"train": _length(data.train_dataloader), "val": _length(data.val_dataloader)}
    data.setup("test")
    sizes["test"] = _length(data.test_dataloader)
    if isinstance(train, DataLoader) and train.batch_size is not None and sizes["train"]:
        config.data.batch_size = train.batch_size
    config.take_sizes({name: size for name, size in sizes.items() if size})
    if not sizes["train"] and config.trainer.max_epochs is not None:
        raise ConfigError(
            "trainer.max_epochs: expected trainer.max_steps, as the length of the training data is not known, but got "
            f"{config.trainer.max_epochs}."
        )


def _length(loader: Callable[[], Any]) -> int:
    """Return the examples behind a loader; 0 where there is none, or it cannot tell."""
    try:
        return len(loader().dataset)
    except (MisconfigurationException, NotImplementedError, AttributeError, TypeError):
        return 0
