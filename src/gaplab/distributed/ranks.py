"""Where this process stands among the processes of a run, and whether that agrees with the configuration."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gaplab.config.schema import Config
from gaplab.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """One process of a run; the defaults describe a run of a single process."""

    rank: int = 0
    local_rank: int = 0
    node_rank: int = 0
    processes_per_node: int = 1
    num_nodes: int = 1
    address: str = "127.0.0.1"
    """Host of rank 0, where the processes meet."""
    port: int = 0
    starter: str = "gaplab"
    """Who started the processes: ``gaplab``, ``torchrun`` or ``srun``."""
    job: str = ""
    """What the starter calls them together."""
    secret: str | None = field(default=None, repr=False)
    """What only they know; None where rank 0 has yet to make it known (``sealed_store.py``)."""

    @property
    def world_size(self) -> int:
        return self.num_nodes * self.processes_per_node


ALONE = Ranks()
SECRET = "GAPLAB_SECRET"
"""Environment variable with the secret of a run; batch scripts of the launcher export a random one."""

OPTIONS = {
    "torchrun": {"devices": "--nproc-per-node", "num_nodes": "--nnodes"},
    "srun": {"devices": "--ntasks-per-node", "num_nodes": "--nodes"},
}
"""Options of those who start processes, by the key of the section ``trainer`` that they must agree with."""


def find_ranks(environment: Mapping[str, str] = os.environ) -> Ranks | None:
    """Return what torchrun or srun decided about this process, or None where neither started it.

    A job step of one task counts as started by nobody, so that it may start processes of its own.

    Raises:
        ConfigError: If SLURM allotted several tasks but ``srun`` did not start them, if nodes have
            different numbers of tasks, or if the secret is too short.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        return Ranks(
            rank=int(environment["RANK"]),
            local_rank=int(environment["LOCAL_RANK"]),
            node_rank=int(environment["GROUP_RANK"]),
            processes_per_node=int(environment["LOCAL_WORLD_SIZE"]),
            num_nodes=int(environment["WORLD_SIZE"]) // int(environment["LOCAL_WORLD_SIZE"]),
            address=environment["MASTER_ADDR"],
            port=int(environment["MASTER_PORT"]),
            starter="torchrun",
            job=f"{environment['TORCHELASTIC_RUN_ID']}.{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}",
            secret=_secret(environment),
        )
    if "SLURM_JOB_ID" not in environment:
        return None
    if "SLURM_STEP_ID" not in environment:
        refuse_without_srun(environment)
        return None
    num_tasks = int(environment.get("SLURM_STEP_NUM_TASKS", environment.get("SLURM_NTASKS", "1")))
    if num_tasks == 1:
        return None
    per_node = _tasks_per_node(environment)
    return Ranks(
        rank=int(environment["SLURM_PROCID"]),
        local_rank=int(environment["SLURM_LOCALID"]),
        node_rank=int(environment["SLURM_NODEID"]),
        processes_per_node=per_node,
        num_nodes=num_tasks // per_node,
        address=environment.get("MASTER_ADDR") or meeting_point(environment, num_tasks // per_node),
        port=int(environment.get("MASTER_PORT") or 20_000 + int(environment["SLURM_JOB_ID"]) % 20_000),
        starter="srun",
        job=f"{environment['SLURM_JOB_ID']}.{environment['SLURM_STEP_ID']}",
        secret=_secret(environment),
    )


def _secret(environment: Mapping[str, str]) -> str | None:
    secret = environment.get(SECRET) or None
    if secret is not None and len(secret) < 32:
        raise ConfigError(
            f"{SECRET}: expected at least 32 random characters, such as openssl rand -hex 32 prints, but got "
            f"{len(secret)}."
        )
    return secret


def refuse_without_srun(environment: Mapping[str, str]) -> None:
    """Stop a batch script that asked for several tasks and then starts plain ``python``."""
    num_tasks = int(environment.get("SLURM_NTASKS", "1"))
    if num_tasks > 1 and not is_interactive(environment):
        raise ConfigError(
            f"SLURM: expected srun to start the {num_tasks} tasks of this job, but only one plain process "
            "runs. Write srun before python, or ask for --ntasks=1."
        )


def is_interactive(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a person types commands inside the allocation (``salloc``, ``srun --pty bash``)."""
    return environment.get("SLURM_JOB_NAME") in ("interactive", "bash", "sh", "zsh")


def check_ranks(ranks: Ranks, config: Config) -> None:
    """Compare the processes that exist with those that the configuration asks for.

    Raises:
        ConfigError: If they differ, or if a batch has fewer points than there are processes.
    """
    there = {"devices": ranks.processes_per_node, "num_nodes": ranks.num_nodes}
    for key, number in there.items():
        wanted = getattr(config.trainer, key)
        if wanted not in ("auto", number):
            option = OPTIONS[ranks.starter][key]
            raise ConfigError(
                f"trainer.{key}: expected the {number} that {ranks.starter} started, but got {wanted}. "
                f"Set trainer.{key}={number} (or auto), or give {ranks.starter} {option}={wanted}."
            )
    config.check_num_processes(ranks.world_size)


def meeting_point(environment: Mapping[str, str], num_nodes: int) -> str:
    """Return the host of rank 0; processes of one node meet where no other machine can come."""
    return "127.0.0.1" if num_nodes == 1 else first_host(environment["SLURM_STEP_NODELIST"])


def first_host(nodes: str) -> str:
    """Return the first host of SLURM's list.

    >>> first_host("gpu[07-09,12],login")
    'gpu07'
    """
    head = re.match(r"([^\[,]*)(?:\[([^\],-]*))?", nodes)
    assert head is not None, "the pattern matches every text"
    return head[1] + (head[2] or "")


def _tasks_per_node(environment: Mapping[str, str]) -> int:
    """Read ``2(x3)``, which stands for three nodes with two tasks each."""
    text = environment.get("SLURM_STEP_TASKS_PER_NODE", environment.get("SLURM_TASKS_PER_NODE", "1"))
    counts = {int(part.split("(")[0]) for part in text.split(",")}
    if len(counts) > 1:
        raise ConfigError(
            f"SLURM: expected equally many tasks on every node, but got {text}. Ask for --ntasks-per-node."
        )
    return counts.pop()
