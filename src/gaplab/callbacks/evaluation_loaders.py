"""The splits of anybody's Lightning project as loaders that give every point once, in order."""

import logging
from collections.abc import Iterable, Mapping, Sized
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.connectors.data_connector import _DataLoaderSource
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from torch.utils.data import DataLoader, IterableDataset, Subset, SubsetRandomSampler

from gaplab.data.datamodule import PointDataModule
from gaplab.data.epoch_loader import SeededItems, as_it_is
from gaplab.distributed.sharding import is_sharded
from gaplab.errors import ConfigError
from gaplab.randomness import stream_seed

_log = logging.getLogger(__name__)

DEFINE_SPLITS = "Give the data module a method splits() that returns a dict of names and DataLoaders."


def evaluation_loaders(trainer: Trainer, max_batches: int | None = None) -> dict[str, Any]:
    """Return a loader for each split of what a Trainer trains on, by name; the first one is ``train``.

    Where the data module has a method ``splits()``, they are what it returns. Otherwise they are made of
    ``train_dataloader().dataset``, ``val_dataloader()`` and ``test_dataloader()``; one that is not there is left out.

    Args:
        trainer: Its loaders are there, as in ``fit`` and ``validate``.
        max_batches: At most so many batches of a split will be asked for; None for all of them.

    Raises:
        ConfigError: If a split is no single loader of a known length, or has fewer points than there are processes.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]
    if isinstance(data, PointDataModule):
        return dict(zip(data.splits, data.split_loaders(), strict=True))
    if callable(own := getattr(data, "splits", None)):
        found = own()
        if not isinstance(found, Mapping) or "train" not in found:
            raise ConfigError(f"splits(): expected a dict with a loader 'train', but got {found!r}.")
    else:
        found = _derived(trainer)
    return {name: evaluation_loader(loader, name, trainer, max_batches) for name, loader in found.items()}


def _derived(trainer: Trainer) -> dict[str, Any]:
    sources = {
        "train": (trainer.train_dataloader, trainer.fit_loop._data_source),
        "val": (trainer.val_dataloaders, trainer.fit_loop.epoch_loop.val_loop._data_source),
        "test": (trainer.test_dataloaders, trainer.test_loop._data_source),
    }
    found = {}
    for name, (loader, source) in sources.items():
        if loader is None and source.instance is not None and source.is_defined():
            loader = _requested(trainer, source, name)
        if loader is None:
            _log.warning("GeneralizationGap: there is no %s_dataloader, so that split is left out.", name)
        else:
            found[name] = loader
    if "train" not in found:
        raise ConfigError(
            f"GeneralizationGap: expected a train_dataloader, but there is none. {DEFINE_SPLITS}"
        )
    return found


def _requested(trainer: Trainer, source: _DataLoaderSource, name: str) -> Any:
    """Return the loader of a source that the Trainer has not asked yet.

    A data module may prepare its test points in ``setup("test")`` only. It is called where there are none without
    it: one that splits at random in every ``setup`` would draw other splits than those that are trained on.
    """
    try:
        return source.dataloader()
    except Exception:
        stage = {"train": "fit", "val": "validate", "test": "test"}[name]
        trainer.datamodule.setup(stage)  # type: ignore[attr-defined]
        return source.dataloader()


def evaluation_loader(loader: Any, name: str, trainer: Trainer, max_batches: int | None = None) -> Any:
    """Return a loader of the same points, collated alike: no shuffling, none left out, and this process's share.

    Args:
        loader: A ``DataLoader``, or any iterable of batches with a length, which is taken as it is.
        name: What messages call it.
        trainer: Tells how many processes there are, and which one this is.
        max_batches: At most so many batches will be asked for.

    Raises:
        ConfigError: As ``evaluation_loaders``.
    """
    loader = _single(getattr(loader, "original", loader), name)
    dataset = getattr(loader, "dataset", None)
    if not isinstance(loader, DataLoader) or isinstance(dataset, IterableDataset):
        if max_batches is None and not isinstance(loader if dataset is None else dataset, Sized):
            raise ConfigError(
                f"GeneralizationGap, {name}: expected data of a known length, but {type(dataset or loader).__name__} "
                "has no __len__. Say how much to measure: GeneralizationGap(max_batches=100), on the command line "
                f"task.max_batches=100. Or: {DEFINE_SPLITS}"
            )
        return loader
    if isinstance(chosen := _unwrapped(loader.sampler), SubsetRandomSampler):
        dataset = Subset(loader.dataset, sorted(chosen.indices))
    size, world_size = len(dataset), trainer.world_size  # type: ignore[arg-type]
    if size < world_size:
        raise ConfigError(
            f"GeneralizationGap, {name}: expected at least one point for each of the {world_size} processes, but "
            f"there are {size}."
        )
    batches = loader.batch_sampler
    own: Any = range(trainer.global_rank, size, world_size)
    if batches is not None:
        batch_size: int = loader.batch_size or getattr(batches, "batch_size", None) or 1
        own = own_batches(size, batch_size, trainer.global_rank, world_size)
    elif size % world_size and is_sharded(trainer.strategy.model):
        raise ConfigError(
            f"GeneralizationGap, {name}: expected a number of batches that {world_size} processes can share evenly "
            f"under FSDP, where a data set makes its own batches, but there are {size}."
        )
    settings: dict[str, Any] = (
        {"batch_size": None, "sampler": own} if batches is None else {"batch_sampler": own}
    )
    settings |= {"dataset": dataset, "collate_fn": loader.collate_fn}
    if loader.persistent_workers:  # which would go on drawing where the measurement before ended
        settings = {"dataset": SeededItems(dataset, loader.collate_fn), "collate_fn": as_it_is}
        settings["batch_sampler"] = [(stream_seed(0, "measuring", n), one) for n, one in enumerate(own)]
    return DataLoader(
        **settings,
        num_workers=loader.num_workers,
        persistent_workers=loader.persistent_workers,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        prefetch_factor=loader.prefetch_factor,
        generator=torch.Generator().manual_seed(0),
    )


def own_batches(size: int, batch_size: int, rank: int, world_size: int) -> list[list[int]]:
    """Return the points of one of several processes, each point in one batch, all with equally many batches.

    FSDP gathers weights in every forward pass, for which all processes must come. Where a point more would make
    a batch more, it goes into the last one.

    >>> own_batches(7, 3, 0, 2), own_batches(7, 3, 1, 2)
    ([[0, 2, 4, 6]], [[1, 3, 5]])
    """
    own, count = list(range(rank, size, world_size)), -(-(size // world_size) // batch_size)
    begins = range(0, count * batch_size, batch_size)
    return [own[begin : None if begin == begins[-1] else begin + batch_size] for begin in begins]


def _single(loader: Any, name: str) -> Iterable[Any]:
    """Return the only one of a collection of loaders."""
    if isinstance(loader, CombinedLoader):
        loader = loader.iterables
    if isinstance(loader, list | tuple) and len(loader) == 1:
        return _single(loader[0], name)
    if isinstance(loader, list | tuple | Mapping):
        raise ConfigError(
            f"GeneralizationGap, {name}: expected one loader, but there are {len(loader)}. {DEFINE_SPLITS}"
        )
    found: Iterable[Any] = loader
    return found


def _unwrapped(sampler: Any) -> Any:
    """Return a sampler without what Lightning puts around it for several processes."""
    return getattr(getattr(sampler, "dataset", None), "_sampler", sampler)
