"""Continue a saved run: its configuration, the changes asked for, and what each change does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gaplab.config.compose import Composed, merge_saved, to_config, what_is_used
from gaplab.config.data import SIZE_KEYS
from gaplab.config.errors import explain
from gaplab.config.extensions import load_given
from gaplab.config.named_classes import allow
from gaplab.config.registry import CHOICES
from gaplab.errors import ConfigError

SIZES = tuple(f"data.{key}" for key in SIZE_KEYS.values())


@dataclass(slots=True)
class Change:
    """One key whose value differs from the saved run."""

    key: str
    old: Any
    new: Any

    @property
    def is_measured_differently(self) -> bool:
        """Whether values of the monitored quantity before and after the change cannot be compared."""
        if self.key.startswith("data."):
            return self.key != "data.batch_size"
        if self.key.startswith(("task.datamodule", "task.monitor")):
            return True
        return self.key in ("data_seed", "task.loss", "task.num_samples")

    @property
    def effect(self) -> str:
        """What the change does to a run that continues from a checkpoint."""
        section = self.key.split(".")[0]
        if section == "network" or self.key.startswith(("task.generator.", "task.discriminator.")):
            return "refused: the checkpoint holds another network"
        if self.key.startswith(("task.module", "init_from")):
            return "refused: the checkpoint holds what came of it; start a new run with init_from=RUN"
        if self.key in ("init_seed", "shared_rng"):
            return "no effect: the weights come from the checkpoint"
        if section == "seed":
            return "no effect of its own: see the seeds derived from it"
        if section in ("run", "resume"):
            return "no effect: the run stays in its directory"
        if section == "data" or self.key == "data_seed":
            return "takes effect: from here on the data differ from those trained on so far"
        return "takes effect from here on"


def with_overrides(saved: dict[str, Any], overrides: Sequence[str], where: str) -> Composed:
    """Apply a command line to the saved configuration of a run.

    Raises:
        ConfigError: If the saved values or the overrides are not sound, or an override would exchange a
            whole group (``network=...``), which a checkpoint cannot follow.
    """
    load_given(overrides)
    overrides = [word for word in overrides if not word.startswith("extensions=")]
    tree = merge_saved(saved, where)
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise explain(error) from error
    allow(str(one.value()) for one in parsed if one.key_or_group in ("task.module", "task.datamodule"))
    for override in parsed:
        key = override.key_or_group
        if key in CHOICES or key in ("experiment", "debug", "extensions"):
            raise ConfigError(
                f"{key}: expected overrides of single keys beside resume, but got {override.input_line!r}. "
                "A run continues with the groups that it began with; start a new run for others."
            )
        try:
            OmegaConf.update(tree, key, override.value())
        except OmegaConfBaseException as error:
            raise explain(error) from error
    config = to_config(tree)
    resolved = OmegaConf.to_container(tree, resolve=True, enum_to_str=True)
    assert isinstance(resolved, dict), "the root of the configuration is a mapping"
    content = {str(key): value for key, value in resolved.items()} | {"choices": saved["choices"]}
    return Composed(config=config, resolved=what_is_used(content, config), overrides=list(overrides))


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[Change]:
    """Return the leaves in which two resolved configurations differ; where a run is written is left out.

    A size that the data decide (null) is that of the saved run.
    """
    changes = []
    for key in sorted(old.keys() | new.keys()):
        full = f"{prefix}{key}"
        if full in ("run", "resume", "tags", "choices", "extensions"):
            continue
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changes += differences(before, after, f"{full}.")
        elif before != after and not (after is None and full in SIZES):
            changes.append(Change(full, before, after))
    return changes
