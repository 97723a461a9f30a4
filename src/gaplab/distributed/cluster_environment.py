"""What Lightning asks about the processes of a run, answered from a ``Ranks``."""

from lightning.fabric.plugins import ClusterEnvironment

from gaplab.distributed.ranks import Ranks


class RanksEnvironment(ClusterEnvironment):
    """Processes that exist already, whoever started them; Lightning starts none and requeues nothing."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self.ranks = ranks

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self.ranks.address

    @property
    def main_port(self) -> int:
        return self.ranks.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self.ranks.world_size

    def set_world_size(self, size: int) -> None:
        """Lightning may not change what is."""

    def global_rank(self) -> int:
        return self.ranks.rank

    def set_global_rank(self, rank: int) -> None:
        """Lightning may not change what is."""

    def local_rank(self) -> int:
        return self.ranks.local_rank

    def node_rank(self) -> int:
        return self.ranks.node_rank
