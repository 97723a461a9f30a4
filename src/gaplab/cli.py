"""The entry point: command line -> checked configuration -> the study.

Torch is imported only after the configuration is known to be sound, so that ``--help``, completion and
every mistake are answered at once.
"""

import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from gaplab.config.compose import CONFIG_DIR, Composed, compose_config
from gaplab.config.help import overview
from gaplab.config.registry import register_all
from gaplab.config.resumption import with_overrides
from gaplab.distributed.ranks import find_ranks
from gaplab.errors import Preempted
from gaplab.launch.processes import run_with_all_processes
from gaplab.process.exits import readable_exits
from gaplab.process.signals import STOP_SIGNAL
from gaplab.sweeps.job import job_of_sweep
from gaplab.sweeps.naming import check_set_once, sweep_name, worst_objective

if TYPE_CHECKING:
    from gaplab.runs.resume import Plan

SWEEP_FOLDER = "GAPLAB_SWEEP_FOLDER"


def main() -> None:
    """Run what the command line asks for; leave with 2 after a mistake of the user's, without traceback."""
    arguments = sys.argv[1:]
    flags = [argument for argument in arguments if argument.startswith("-")]
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    if {"-h", "--help"} & set(flags):
        print(overview())
        return
    with readable_exits():
        if {"-m", "--multirun"} & set(flags):
            check_set_once(overrides)
            os.environ[SWEEP_FOLDER] = sweep_name(overrides)
            # Hydra's parser takes overrides only in one piece: flags go first.
            sys.argv[1:] = [*flags, *overrides]
        if flags:
            register_all()
            _hydra_main()
        else:
            run_single(overrides)


def run_single(overrides: list[str]) -> None:
    """Start a run, or continue the one that ``resume=`` names."""
    resumed = [word.partition("=")[2] for word in overrides if word.startswith("resume=")]
    if resumed and resumed[-1] not in ("null", "auto"):
        from gaplab.runs.directory import read_config
        from gaplab.runs.resume import plan_resumption

        path = Path(resumed[-1])
        others = [word for word in overrides if not word.startswith("resume=")]
        composed = with_overrides(read_config(path), others, str(path / "config.yaml"))
        decide = partial(plan_resumption, path, others)
    else:
        composed = compose_config(overrides)
        decide = partial(_plan_single, composed)
    run_with_all_processes(decide, composed.config)


def _plan_single(composed: Composed) -> "Plan":
    from gaplab.runs.resume import plan_new
    from gaplab.runs.run_id import run_directory

    return plan_new(composed, run_directory(composed.config.run, overrides=composed.overrides))


@hydra.main(config_path=str(CONFIG_DIR), config_name="config", version_base="1.3")
def _hydra_main(tree: DictConfig) -> float:
    """One job of a multirun; flags such as ``--help`` and ``--cfg`` never come this far."""
    from hydra.core.hydra_config import HydraConfig

    job = job_of_sweep(tree, HydraConfig.get())
    from gaplab.runs.resume import plan_new

    try:
        objective = run_with_all_processes(partial(plan_new, job.composed, job.path), job.composed.config)
    except Exception:  # a job that fails must not end the sweep; its run.json says what happened
        traceback.print_exc()
        if find_ranks() is not None:
            raise  # the processes of torchrun or srun cannot be brought together again
        return worst_objective(HydraConfig.get().sweeper)
    if STOP_SIGNAL.number:  # it came when the job had no more steps to interrupt
        raise Preempted(STOP_SIGNAL.number, job.composed.config.num_steps)
    return objective
