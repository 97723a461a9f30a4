"""The entry point: command line -> checked configuration -> the study.

Torch is imported only after the configuration is known to be sound, so that ``--help``, completion and
every mistake are answered at once.
"""

import os
import signal
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import hydra
from omegaconf import DictConfig

from gaplab.callbacks.preemption import NOTED, Preempted
from gaplab.config.checks import ConfigError
from gaplab.config.compose import CONFIG_DIR, Composed, compose_config, convert
from gaplab.config.overview import overview
from gaplab.config.registry import register_all
from gaplab.config.resumption import with_overrides
from gaplab.config.sweeps import fixed_words, job_name, limit_subruns, sweep_name
from gaplab.processes import run_with_all_processes
from gaplab.runs.placement import find_placement

if TYPE_CHECKING:
    from gaplab.runs.opening import Plan

EXIT_FAILED, EXIT_MISTAKE, EXIT_INTERRUPTED = 1, 2, 130
EXIT_PREEMPTED = 75
"""EX_TEMPFAIL of sysexits.h: the same command, tried again, goes on."""
SWEEP_FOLDER = "GAPLAB_SWEEP_FOLDER"


def main() -> None:
    """Run what the command line asks for; leave with 2 after a mistake of the user's, without traceback."""
    arguments = sys.argv[1:]
    flags = [argument for argument in arguments if argument.startswith("-")]
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    try:
        if {"-h", "--help"} & set(flags):
            print(overview())
            return
        if {"-m", "--multirun"} & set(flags):
            os.environ[SWEEP_FOLDER] = sweep_name(overrides)
            # Hydra's parser takes overrides only in one piece: flags go first.
            sys.argv[1:] = [*flags, *overrides]
        if flags:
            register_all()
            _hydra_main()
        else:
            run_single(overrides)
    except ConfigError as error:
        refuse(error)
    except Preempted as error:
        if is_first_process():
            print(f"Saved after {error}. The same command, or resume=RUN, continues.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED if error.number == signal.SIGINT else EXIT_PREEMPTED)
    except KeyboardInterrupt:
        print("Interrupted. The last checkpoint is kept; resume=RUN continues.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)


def run_single(overrides: list[str]) -> None:
    """Start a run, or continue the one that ``resume=`` names."""
    resumed = [word.partition("=")[2] for word in overrides if word.startswith("resume=")]
    if resumed and resumed[-1] not in ("null", "auto"):
        from gaplab.runs.directory import read_config
        from gaplab.runs.opening import plan_resumption

        path = Path(resumed[-1])
        others = [word for word in overrides if not word.startswith("resume=")]
        composed = with_overrides(read_config(path), others, str(path / "config.yaml"))
        decide = partial(plan_resumption, path, others)
    else:
        composed = compose_config(overrides)
        decide = partial(_plan_single, composed)
    try:
        run_with_all_processes(decide, composed.config)
    except RuntimeError as error:
        from gaplab.runs.group import OtherProcessFailedError
        from gaplab.tasks.optimization import DivergedError

        if isinstance(error, DivergedError):
            print(f"Diverged: {error}. {error.advice}", *getattr(error, "__notes__", []), file=sys.stderr)
        elif isinstance(error, OtherProcessFailedError):
            print(f"error: {error}", *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        else:
            raise
        sys.exit(EXIT_FAILED)


def _plan_single(composed: Composed) -> "Plan":
    from gaplab.runs.identity import run_directory
    from gaplab.runs.opening import plan_new

    return plan_new(composed, run_directory(composed.config.run))


@hydra.main(config_path=str(CONFIG_DIR), config_name="config", version_base="1.3")
def _hydra_main(tree: DictConfig) -> float:
    """One job of a multirun; flags such as ``--help`` and ``--cfg`` never come this far."""
    from hydra.core.hydra_config import HydraConfig

    facts = HydraConfig.get()
    words = list(facts.overrides.task)
    given = [word for word in sys.argv[1:] if not word.startswith("-")]
    limit_subruns(tree, given)
    composed = convert(tree, dict(facts.runtime.choices), words)
    path = Path(facts.sweep.dir) / job_name(words, fixed_words(words, given), facts.job.num)
    from gaplab.runs.opening import plan_new

    try:
        objective = run_with_all_processes(partial(plan_new, composed, path), composed.config)
    except Exception:  # a job that fails must not end the sweep; its run.json says what happened
        traceback.print_exc()
        if find_placement() is not None:
            raise  # the processes of torchrun or srun cannot be brought together again
        return float("nan")
    if NOTED.number:  # it came when the job had no more steps to interrupt
        raise Preempted(NOTED.number, composed.config.num_steps)
    return objective


def refuse(error: ConfigError) -> NoReturn:
    """Say what was wrong, and leave; of several processes that find the same mistake, the first speaks."""
    if is_first_process() or type(error) is not ConfigError:
        print(f"error: {error}", file=sys.stderr)
    sys.exit(EXIT_MISTAKE)


def is_first_process() -> bool:
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
