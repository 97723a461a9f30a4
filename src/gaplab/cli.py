"""The entry point: command line -> checked configuration -> the study.

Torch is imported only after the configuration is known to be sound, so that ``--help``, completion and
every mistake are answered at once.
"""

import sys
from typing import NoReturn

import hydra
from omegaconf import DictConfig

from gaplab.config.checks import ConfigError
from gaplab.config.compose import CONFIG_DIR, Composed, compose_config
from gaplab.config.registry import register_all

EXIT_MISTAKE, EXIT_FAILED, EXIT_INTERRUPTED = 2, 1, 130


def main() -> None:
    """Run what the command line asks for; leave with 2 after a mistake of the user's, without traceback."""
    try:
        arguments = sys.argv[1:]
        if any(argument.startswith("-") for argument in arguments):
            register_all()
            _hydra_main()
        else:
            run(compose_config(arguments))
    except ConfigError as error:
        refuse(error)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def run(composed: Composed) -> float:
    """Start or continue one run; return the objective of a sweep, the smallest validation loss."""
    from gaplab.runs.identity import run_directory
    from gaplab.study import run_one
    from gaplab.tasks.optimization import Diverged

    path = run_directory(composed.config.run)
    try:
        result = run_one(composed, path)
    except Diverged as error:
        print(
            f"Diverged: {error}. Try a smaller optimizer.lr, optimizer.clip_norm=1, or another "
            f"network.initialization. What there is stays in {path}.",
            file=sys.stderr,
        )
        sys.exit(EXIT_FAILED)
    return result.objective


@hydra.main(config_path=str(CONFIG_DIR), config_name="config", version_base="1.3")
def _hydra_main(tree: DictConfig) -> float:
    """Flags, and the jobs of a multirun, come through Hydra's own main."""
    from hydra.core.hydra_config import HydraConfig

    from gaplab.config.compose import convert_job

    hydra_config = HydraConfig.get()
    try:
        return run(convert_job(tree, hydra_config))
    except ConfigError as error:
        refuse(error)


def refuse(error: ConfigError) -> NoReturn:
    """Say what was wrong, and leave."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(EXIT_MISTAKE)
