"""Hydra's grid sweeper, which leaves the check of all jobs to a launcher that does it much faster."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore

CHECKING_LAUNCHERS = ("PoolLauncher", "SlurmLauncher", "VectorizedLauncher")
"""Launchers that check all jobs before they start the first; known by name, not to load all of them."""


@dataclass
class GridSweeperConf:
    """The keys of Hydra's ``basic`` sweeper."""

    _target_: str = "hydra_plugins.gaplab_vectorized.sweeper.GridSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=GridSweeperConf, provider="gaplab")


class GridSweeper(BasicSweeper):
    """All combinations of the swept values."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        if type(self.launcher).__name__ not in CHECKING_LAUNCHERS:
            super().validate_batch_is_legal(batch)
