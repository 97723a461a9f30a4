"""Names of the first edition: what a key, a choice or a value is called now.

An old name on a command line is answered with the new one; the configuration of an old run is read as if it had
been written with the new names.
"""

from collections.abc import Mapping
from typing import Any

KEYS: Mapping[str, Mapping[str, str]] = {
    "": {"order_seed": "train_seed", "stream": "shared_rng"},
    "data": {"splits": "split_mode", "side": "grid_side"},
    "network": {"drawn_before": "rng_skip_widths", "shortcuts": "dense_skip"},
    "task": {"objective": "loss"},
    "optimizer": {
        "decay": "lr_gamma",
        "decay_biases": "weight_decay_on_bias",
        "final_factor": "min_lr_ratio",
        "clip_norm": "max_grad_norm",
    },
}
"""Section to old key to new key."""
CHOICES: Mapping[str, Mapping[str, str]] = {
    "task": {"generation": "gan"},
    "optimizer": {"rmsprop": "adam_no_momentum"},
}
"""Group to old option to new option."""
VALUES: Mapping[str, Mapping[Any, Any]] = {
    "shared_rng": {"single": True, "separate": False},
    "measures": {"counting": "bounds"},
}
"""Key at the root to old value to new value."""
LIKE = {"generator": "network", "discriminator": "network", "discriminator_optimizer": "optimizer"}
"""Keys of a task whose sections have the keys of another section."""


def new_key(key: str) -> str | None:
    """Return the present name of an old key; None if the key is not an old one.

    >>> new_key("optimizer.decay"), new_key("optimizer.lr"), new_key("task.generator.shortcuts")
    ('optimizer.lr_gamma', None, 'task.generator.dense_skip')
    """
    section, _, name = key.rpartition(".")
    kind = LIKE.get(section.rpartition(".")[2], section)
    found = KEYS.get(kind, {}).get(name)
    return None if found is None else f"{section}.{found}".lstrip(".")


def new_choice(group: str, option: str) -> str | None:
    """Return the present name of an old option of a group; None if it is not an old one."""
    return CHOICES.get(group.split("@")[0], {}).get(option)


def with_new_names(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain configuration of a run with the names of today."""
    values = _section(saved, "")
    for key, table in VALUES.items():
        if isinstance(values.get(key), str):
            values[key] = table.get(values[key], values[key])
    for name in ("data", "network", "task", "optimizer"):
        if isinstance(values.get(name), dict):
            values[name] = _section(values[name], name)
    if isinstance(values.get("choices"), dict):
        values["choices"] = {
            group: new_choice(group, option) or option if isinstance(option, str) else option
            for group, option in values["choices"].items()
        }
    return values


def _section(content: Mapping[str, Any], kind: str) -> dict[str, Any]:
    names = KEYS.get(kind, {})
    result = {}
    for key, value in content.items():
        inner = LIKE.get(key) if kind == "task" else None
        new = key if names.get(key) in content else names.get(key, key)
        result[new] = _section(value, inner) if inner and isinstance(value, dict) else value
    return result
