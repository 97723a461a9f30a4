"""What Lightning asks about the processes of a run, answered from a ``Placement``."""

from lightning.fabric.plugins import ClusterEnvironment

from gaplab.distributed.ranks import Placement


class PlacedEnvironment(ClusterEnvironment):
    """Processes that exist already, whoever started them; Lightning starts none and requeues nothing."""

    def __init__(self, placement: Placement) -> None:
        super().__init__()
        self.placement = placement

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self.placement.address

    @property
    def main_port(self) -> int:
        return self.placement.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self.placement.world_size

    def set_world_size(self, size: int) -> None:
        """Lightning may not change what is."""

    def global_rank(self) -> int:
        return self.placement.rank

    def set_global_rank(self, rank: int) -> None:
        """Lightning may not change what is."""

    def local_rank(self) -> int:
        return self.placement.local_rank

    def node_rank(self) -> int:
        return self.placement.node_rank
