"""Switches of the whole process that a run sets before it builds anything."""

import logging
import warnings

import torch

from gaplab.config.schema import Config
from gaplab.process.memory import keep_freed_memory


def prepare_process(config: Config) -> None:
    """Set the process-wide switches; no random number comes from a global stream."""
    torch.use_deterministic_algorithms(config.trainer.deterministic)
    if config.trainer.num_threads is not None:
        torch.set_num_threads(config.trainer.num_threads)
    keep_freed_memory()  # a measurement of many points spends half its time on getting it back
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # Data are tensors on the device, and one step of a batch loop is a block: these do not apply.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # the metrics are reduced before that
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")  # see distributed/ranks.py
    warnings.filterwarnings(
        "ignore", message="Checkpoint directory .* is not empty"
    )  # of a run that continues
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.. is deprecated.*")
