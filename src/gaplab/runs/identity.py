"""Which directory a run has: decided once, from what the user, the scheduler or the clock says."""

import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from gaplab.config.schema import RunConfig


def run_directory(config: RunConfig, environment: Mapping[str, str] = os.environ) -> Path:
    """Return ``<root>/<name>/<id>`` of a new run."""
    return Path(config.root) / (config.name or "default") / (config.id or new_run_id(environment))


def new_run_id(environment: Mapping[str, str] = os.environ) -> str:
    """Return the id of a run that was given none.

    A scheduler's job id stays the same when the job is requeued and is the same on all ranks, so it comes
    first; torchrun's id is next; the time, with microseconds and a random end, is for everybody else.
    """
    if "SLURM_JOB_ID" in environment:
        array = environment.get("SLURM_ARRAY_JOB_ID")
        if array is not None:
            return f"slurm-{array}_{environment['SLURM_ARRAY_TASK_ID']}"
        return f"slurm-{environment['SLURM_JOB_ID']}"
    elastic = environment.get("TORCHELASTIC_RUN_ID", "none")
    if elastic != "none":
        return f"torchrun-{elastic}"
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}"
