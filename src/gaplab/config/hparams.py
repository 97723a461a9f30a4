"""The settings of a run as one flat row: what distinguishes it from other runs."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any

from gaplab.config.registry import CHOICES
from gaplab.config.schema import Config

Setting = bool | int | float | str

SECTIONS = ("data", "network", "task", "optimizer", "trainer")
SEEDS = ("seed", "data_seed", "init_seed", "train_seed")
LEFT_OUT = (
    "trainer.max_steps",  # num_steps says it
    "trainer.max_epochs",
    "trainer.accelerator",
    "trainer.num_threads",
    "trainer.checkpoint_every_n_seconds",
    "trainer.progress_bar",
    "trainer.profiler",
)


def flat_settings(config: Config) -> dict[str, Setting]:
    """Return ``{"data": "spirals", "data.noise": 0.2, ...}``, without paths and what only steers output.

    Numbers and booleans keep their type, None is ``"null"``, everything else becomes a text.
    """
    names = {kind: name for choices in CHOICES.values() for name, kind in choices.items()}
    sections = {name: getattr(config, name) for name in SECTIONS if name not in config.task.unused}
    flat: dict[str, Setting] = {
        name: names.get(type(section), type(section).__name__) for name, section in sections.items()
    }
    flat |= {name: getattr(config, name) for name in SEEDS}
    if not (config.task.has_own_data and config.trainer.max_epochs is not None):
        flat["num_steps"] = config.num_steps
    for name, section in sections.items():
        for field in fields(section):
            key = f"{name}.{field.name}"
            value = getattr(section, field.name)
            if isinstance(value, Mapping):
                flat |= {f"{key}.{inner}": _plain(one) for inner, one in value.items()}
            elif key not in LEFT_OUT or (key == "trainer.max_epochs" and "num_steps" not in flat):
                flat[key] = _plain(value)
    return flat


def changed_settings(config: Config, overrides: Sequence[str] = ()) -> dict[str, Setting]:
    """Return the part of ``flat_settings`` that overrides name or that differs from the defaults.

    What a section's values are compared with are the defaults of its own class, so that ``data=two_spirals``
    does not count as a change of every number that comes with it. Groups count where overrides name them.
    """
    named = {word.lstrip("+~").partition("=")[0] for word in overrides}
    if named & {"trainer.max_steps", "trainer.max_epochs"}:
        named.add("num_steps")
    changed = named | {key for key in SEEDS[1:] if getattr(config, key) != config.seed}
    if config.seed != 0:
        changed.add("seed")
    for section in SECTIONS:
        for field in fields(getattr(config, section)):
            value = getattr(getattr(config, section), field.name)
            made = field.default_factory
            default = field.default if made is MISSING else made()
            if value != default:
                key = f"{section}.{field.name}"
                changed |= {f"{key}.{name}" for name in value} if isinstance(value, Mapping) else {key}
    return {key: value for key, value in flat_settings(config).items() if key in changed}


def shown_settings(
    config: Config, overrides: Sequence[str] = (), varied: Sequence[str] = ()
) -> dict[str, Setting]:
    """Return what tells a run from others: what its sweep varies, or ``changed_settings`` without a sweep."""
    keys = ["num_steps" if key in ("trainer.max_steps", "trainer.max_epochs") else key for key in varied]
    flat = flat_settings(config)
    return {key: flat[key] for key in keys if key in flat} or changed_settings(config, overrides)


def _plain(value: Any) -> Setting:
    if value is None:
        return "null"
    if isinstance(value, Enum):
        return str(value.value)
    return value if isinstance(value, bool | int | float | str) else _text(value)


def _text(value: Any) -> str:
    """Return a nested value as a user would write it."""
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return str(_plain(value)) if value is None or isinstance(value, Enum) else str(value)
