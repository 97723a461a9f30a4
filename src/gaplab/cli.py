"""The entry point: command line -> checked configuration -> the study.

Torch is imported only after the configuration is known to be sound, so that ``--help``, completion and
every mistake are answered at once.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gaplab.config.command_line import read_command_line
from gaplab.config.compose import Composed, compose_tree, convert, take_apart
from gaplab.config.errors import explain
from gaplab.config.extensions import load_extensions, load_given
from gaplab.config.help import overview
from gaplab.config.hydra_versions import OF_MAIN
from gaplab.config.ignored import refuse_ignored
from gaplab.config.projects import CONFIG_DIR
from gaplab.config.resumption import with_overrides
from gaplab.config.schema import Config
from gaplab.errors import ConfigError
from gaplab.launch.processes import run_with_all_processes
from gaplab.process.exits import is_first_process, readable_exits
from gaplab.process.output import steady_output
from gaplab.sweeps.job import LAUNCHED
from gaplab.sweeps.naming import sweep_name
from gaplab.sweeps.run_job import exit_code

if TYPE_CHECKING:
    from gaplab.runs.resume import Plan

SWEEP_FOLDER = "GAPLAB_SWEEP_FOLDER"


def main() -> None:
    """Run what the command line asks for; leave with 2 after a mistake of the user's, without traceback."""
    steady_output()
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(overview())
        return
    with readable_exits():
        command = read_command_line(sys.argv[1:])
        if not command.flags:
            run_single(command.overrides)
            return
        if command.multirun:
            os.environ[SWEEP_FOLDER] = sweep_name(command.overrides)
        run_by_hydra(command.flags, command.overrides)
        if is_first_process() and (code := exit_code(LAUNCHED)):
            sys.exit(code)


def run_single(overrides: list[str]) -> None:
    """Start a run, or continue the one that ``resume=`` names."""
    run_with_all_processes(*planned(overrides))


def planned(overrides: list[str]) -> tuple[Callable[[], "Plan"], Config]:
    """Return what makes the plan of a run, new or continued, and the configuration that it will have.

    Raises:
        ConfigError: For any mistake in the overrides.
    """
    resumed = [word.partition("=")[2] for word in overrides if word.startswith("resume=")]
    if resumed and resumed[-1] not in ("null", "auto"):
        from gaplab.runs.directory import read_config
        from gaplab.runs.resume import latest_run, plan_resumption

        path = latest_run(overrides) if resumed[-1] == "latest" else Path(resumed[-1])
        others = [word for word in overrides if not word.startswith("resume=")]
        composed = with_overrides(read_config(path), others, str(path / "config.yaml"))
        return partial(plan_resumption, path, others), composed.config
    tree = compose_tree(overrides)
    check_no_sweep(tree.hydra)
    composed = take_apart(tree, overrides)
    refuse_ignored(composed.config, overrides, stacked=False)
    return partial(_plan_single, composed), composed.config


def run_by_hydra(flags: list[str], overrides: list[str]) -> None:
    """Do what flags of Hydra ask for.

    Raises:
        ConfigError: For any mistake, also those that Hydra finds.
    """
    sys.argv[1:] = [*flags, *overrides]  # its parser takes overrides only in one piece
    os.environ["HYDRA_FULL_ERROR"] = "1"  # it would print its errors and leave with 1
    load_extensions()
    try:
        load_given(overrides)
        _hydra_main()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error) from error


def check_no_sweep(facts: Any) -> None:
    """Refuse the single run of an experiment that is a sweep.

    Raises:
        ConfigError: If Hydra's section has parameters to sweep over.
    """
    params = OmegaConf.select(facts, "sweeper.params")
    if params:
        raise ConfigError(
            f"experiment: expected -m beside it, as it is a sweep over {', '.join(map(str, params))}; without it "
            "only one run with other settings would be trained."
        )


def _plan_single(composed: Composed) -> "Plan":
    from gaplab.runs.anew import set_aside, wishes_anew
    from gaplab.runs.resume import plan_new
    from gaplab.runs.run_id import run_directory

    path = run_directory(composed.config.run, overrides=composed.overrides)
    if wishes_anew(composed):
        set_aside(path)
    return plan_new(composed, path)


@hydra.main(config_path=str(CONFIG_DIR), config_name="config", **OF_MAIN)
def _hydra_main(tree: DictConfig) -> None:
    """A single run with flags such as ``--config-dir``; ``--cfg`` and the like, and sweeps, never come here."""
    facts = HydraConfig.get()
    if facts.mode is RunMode.MULTIRUN:
        raise ConfigError("hydra/launcher: expected basic, pool, vectorized or slurm.")
    check_no_sweep(facts)
    composed = convert(tree, dict(facts.runtime.choices), list(map(str, facts.overrides.task)))
    refuse_ignored(composed.config, composed.overrides, stacked=False)
    run_with_all_processes(partial(_plan_single, composed), composed.config)


if __name__ == "__main__":
    main()
