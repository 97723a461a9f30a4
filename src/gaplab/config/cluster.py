"""Settings of the launchers; a site's own values stand in ``configs/cluster/<site>.yaml``."""

from dataclasses import dataclass, field

from gaplab.config.checks import check_at_least

VECTORIZED_JOBS = 256
"""Runs of an array task that trains stacked models: four chunks on a CPU, a part of one on a GPU."""


@dataclass(kw_only=True, slots=True)
class SlurmConfig:
    """How jobs are submitted to SLURM. Nodes and tasks follow from ``trainer.num_nodes`` and ``devices``."""

    _target_: str = "hydra_plugins.gaplab_sweeps.launchers.SlurmLauncher"
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
    jobs_per_task: int | None = None
    """Runs that one array task does; null for 1, or for 256 if they are vectorized."""
    vectorized: bool = False
    """Let an array task train its runs as stacked models instead of one after another."""
    setup: list[str] = field(default_factory=list)
    """Lines of the batch script before ``srun``, for example ``module load cuda``."""
    options: list[str] = field(default_factory=list)
    """Further options of sbatch, for example ``--mail-type=FAIL``."""
    dry_run: bool = False
    """Print the batch script and submit nothing."""

    def __post_init__(self) -> None:
        for key in ("time_minutes", "warning_seconds", "cpus_per_process"):
            check_at_least(f"hydra.launcher.{key}", getattr(self, key), 1)
        if self.jobs_per_task is not None:
            check_at_least("hydra.launcher.jobs_per_task", self.jobs_per_task, 1)

    @property
    def most_jobs_per_task(self) -> int:
        return self.jobs_per_task or (VECTORIZED_JOBS if self.vectorized else 1)


@dataclass(kw_only=True, slots=True)
class PoolConfig:
    """How jobs share one machine: each is a process with a GPU, or a share of the CPUs, of its own."""

    _target_: str = "hydra_plugins.gaplab_sweeps.launchers.PoolLauncher"
    num_workers: int | None = None
    """Jobs at a time; null for one a GPU, or one for each ``trainer.devices`` CPUs without GPUs."""

    def __post_init__(self) -> None:
        if self.num_workers is not None:
            check_at_least("hydra.launcher.num_workers", self.num_workers, 1)


@dataclass(kw_only=True, slots=True)
class VectorizedConfig:
    """How the jobs of a sweep are trained as stacked models."""

    _target_: str = "hydra_plugins.gaplab_sweeps.launchers.VectorizedLauncher"
    max_models: int | None = None
    """Most models trained at once; null: what suits the device and fits into memory."""
    compile: bool | None = None
    """Whether to compile the training step; null: where that saves time."""
    processes: int | None = None
    """Processes that share the work, each with GPUs or a share of the CPUs of its own; null for one a GPU, and
    without GPUs as many as the CPUs and the work suggest."""

    def __post_init__(self) -> None:
        for key in ("max_models", "processes"):
            if getattr(self, key) is not None:
                check_at_least(f"hydra.launcher.{key}", getattr(self, key), 1)
