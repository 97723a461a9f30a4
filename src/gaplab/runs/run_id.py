"""Which directory a run has: decided once, from what the user, the scheduler or the clock says."""

import hashlib
import itertools
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gaplab.config.schema import RunConfig
from gaplab.distributed.ranks import is_interactive
from gaplab.runs.anew import is_restarted
from gaplab.runs.directory import Status, read_json


def run_directory(
    config: RunConfig, environment: Mapping[str, str] = os.environ, overrides: Sequence[str] = ()
) -> Path:
    """Return ``<root>/<name>/<id>`` of a run with some overrides.

    A command that SLURM's job repeats is a new run, with a number behind the id, unless the job was requeued: then
    it goes on with the first run of its own that is not finished.
    """
    folder = Path(config.root) / (config.name or "default")
    run_id = config.id or new_run_id(environment, overrides)
    if config.id is not None or not run_id.startswith("slurm-"):
        return folder / run_id
    names = itertools.chain([run_id], (f"{run_id}-{number}" for number in itertools.count(2)))
    there = list(
        itertools.takewhile(lambda path: (path / "run.json").is_file(), (folder / name for name in names))
    )
    if not is_restarted(environment):
        return folder / (f"{run_id}-{len(there) + 1}" if there else run_id)
    left = [path for path in there if read_json(path / "run.json").get("status") != Status.finished]
    return (left or there or [folder / run_id])[0]


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
