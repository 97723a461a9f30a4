"""Settings of the launchers; a site's own values stand in ``configs/cluster/<site>.yaml``."""

from dataclasses import dataclass, field

from gaplab.config.checks import check_at_least


@dataclass(kw_only=True, slots=True)
class SlurmConfig:
    """How jobs are submitted to SLURM. Nodes and tasks follow from ``trainer.num_nodes`` and ``devices``."""

    _target_: str = "hydra_plugins.gaplab_slurm.launcher.SlurmLauncher"
    partition: str | None = None
    account: str | None = None
    time_minutes: int = 60
    """Time limit of a job; a job that reaches it is requeued and continues."""
    warning_seconds: int = 120
    """How long before the time limit a job is told to save; SLURM may be late by a minute."""
    cpus_per_process: int = 1
    memory_gb: int | None = None
    """Memory of a node for the job; null for the partition's default."""
    gpus: bool = False
    """Ask for one GPU a process, except for jobs with ``trainer.accelerator=cpu``."""
    gpu_type: str | None = None
    jobs_at_once: int | None = None
    """Most array tasks that may run at the same time; null for no limit of ours."""
    jobs_per_task: int = 1
    """Runs that one array task does, one after another; more for many short runs."""
    setup: list[str] = field(default_factory=list)
    """Lines of the batch script before ``srun``, for example ``module load cuda``."""
    options: list[str] = field(default_factory=list)
    """Further options of sbatch, for example ``--mail-type=FAIL``."""
    dry_run: bool = False
    """Print the batch script and submit nothing."""

    def __post_init__(self) -> None:
        for key in ("time_minutes", "warning_seconds", "cpus_per_process", "jobs_per_task"):
            check_at_least(f"hydra.launcher.{key}", getattr(self, key), 1)


@dataclass(kw_only=True, slots=True)
class PoolConfig:
    """How jobs share one machine: each is a process with a GPU, or a share of the CPUs, of its own."""

    _target_: str = "hydra_plugins.gaplab_pool.launcher.PoolLauncher"
    num_workers: int | None = None
    """Jobs at a time; null for one a GPU, or one for each ``trainer.devices`` CPUs without GPUs."""

    def __post_init__(self) -> None:
        if self.num_workers is not None:
            check_at_least("hydra.launcher.num_workers", self.num_workers, 1)
