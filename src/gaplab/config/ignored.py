"""Keys that a run would accept and not use: refused, so that nobody believes that they did something."""

from collections.abc import Sequence

from gaplab.config.schema import Config
from gaplab.errors import ConfigError

READ_BY_PHENOMENA = ("seed", "tags", "run", "resume", "phenomenon", "experiment")
"""Sections and keys that matter to a phenomenon, which sets everything else by itself."""


def refuse_ignored(config: Config, overrides: Sequence[str], *, stacked: bool) -> None:
    """Refuse overrides without an effect.

    Args:
        config: The configuration that they led to.
        overrides: What was typed for this run.
        stacked: Whether the run is trained among stacked models.

    Raises:
        ConfigError: For the first of them.
    """
    keys = [word.lstrip("+~").split("=")[0] for word in overrides]
    if config.phenomenon.name is not None:
        for key in keys:
            if key.split(".")[0] not in READ_BY_PHENOMENA:
                raise ConfigError(
                    f"{key}: expected a key that has an effect, but a phenomenon sets its networks, data and "
                    "training by itself. It reads seed, phenomenon.num_seeds and phenomenon.quick."
                )
        return
    for key in keys:
        if key.split(".")[0] in config.task.unused:
            raise ConfigError(
                f"{key}: expected a key that has an effect, but this task brings its own: set task.module_args.* and "
                "task.datamodule_args.*."
            )
    config.task.check_names()
    if config.trainer.test_only_at_end and not stacked:
        raise ConfigError(
            "trainer.test_only_at_end: expected false, as only stacked training (hydra/launcher=vectorized) can "
            "leave out measurements; a run by itself measures all splits every time. Set "
            "trainer.eval_every_n_steps to measure less often."
        )
