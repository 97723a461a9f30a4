"""Which directory a run has: decided once, from what the user, the scheduler or the clock says."""

import hashlib
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gaplab.config.schema import RunConfig
from gaplab.distributed.ranks import is_interactive


def run_directory(
    config: RunConfig, environment: Mapping[str, str] = os.environ, overrides: Sequence[str] = ()
) -> Path:
    """Return ``<root>/<name>/<id>`` of a new run with some overrides."""
    run_id = config.id or new_run_id(environment, overrides)
    return Path(config.root) / (config.name or "default") / run_id


def new_run_id(environment: Mapping[str, str] = os.environ, overrides: Sequence[str] = ()) -> str:
    """Return the id of a run that was given none.

    A scheduler's job id stays the same when the job is requeued, so it comes first; torchrun's id, which
    survives its restarts, is next; the time, with microseconds and a random end, is for everybody else.
    A digest of the overrides tells the several runs of one batch script apart.
    """
    digest = hashlib.blake2b("\n".join(sorted(overrides)).encode(), digest_size=3).hexdigest()
    end = f"-{digest}" if overrides else ""
    if "SLURM_JOB_ID" in environment and not is_interactive(environment):
        array = environment.get("SLURM_ARRAY_JOB_ID")
        if array is not None:
            return f"slurm-{array}_{environment['SLURM_ARRAY_TASK_ID']}{end}"
        return f"slurm-{environment['SLURM_JOB_ID']}{end}"
    if "TORCHELASTIC_RUN_ID" in environment:
        elastic = environment["TORCHELASTIC_RUN_ID"]
        return f"torchrun-{_agent_start() if elastic == 'none' else elastic}{end}"
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}"


def _agent_start() -> str:
    """Return when the parent process started: torchrun gives no id unless told, but outlives its workers."""
    parent = os.getppid()
    try:
        ticks = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:  # not Linux: a restarted worker begins anew
        return f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    boot = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)
    start = datetime.fromtimestamp(round(boot + ticks / os.sysconf("SC_CLK_TCK")), UTC)
    return f"{start:%Y%m%d-%H%M%S}-{parent}"
