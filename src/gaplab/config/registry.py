"""The list of choices: which config class stands behind ``group=name``, and who builds from it.

A choice of your own needs no change here::

    register("network", "mine", MyNetworkConfig, build_my_network)

in a module of yours that ``[tool.gaplab] extensions`` in pyproject.toml names.
"""

import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from gaplab.config import data, gan, mixtures, network, optimizer, schema, task, trainer
from gaplab.errors import ConfigError

PROJECT_ROOT = Path(__file__).resolve().parents[3]

SHIPPED: dict[str, dict[str, type]] = {
    "data": {
        "spirals": data.SpiralsConfig,
        "notebook_spirals": data.NotebookSpiralsConfig,
        "cs231n_spirals": data.CS231nSpiralsConfig,
        "playground_spirals": data.PlaygroundSpiralsConfig,
        "two_spirals": data.TwoSpiralsConfig,
        "ring": mixtures.RingConfig,
        "grid": mixtures.GridConfig,
        "swiss_roll": mixtures.SwissRollConfig,
    },
    "network": {
        "mlp": network.MLPConfig,
        "deep_mlp": gan.DeepMLPConfig,
        "linear": network.LinearConfig,
        "perceptron": network.PerceptronConfig,
        "cs231n": network.CS231nConfig,
    },
    "task": {"classification": task.ClassificationConfig, "gan": gan.GANConfig},
    "optimizer": {
        "sgd": optimizer.SGDConfig,
        "adam": optimizer.AdamConfig,
        "adamw": optimizer.AdamWConfig,
        "lbfgs": optimizer.LBFGSConfig,
    },
    "trainer": {"default": trainer.TrainerConfig, "ddp": trainer.DDPTrainerConfig},
}

_builders: dict[type, Callable[..., Any]] = {}


def register(group: str, name: str, config: type, build: Callable[..., Any] | None = None) -> None:
    """Offer ``config`` as ``group=name`` on the command line and ``build`` as its builder.

    Args:
        group: ``data``, ``network``, ``task``, ``optimizer`` or ``trainer``.
        name: What the user types.
        config: A dataclass derived from the group's base class, with ``slots=True``.
        build: Called by ``gaplab.builders`` with the config and the facts of the run; see the builder
            of the same group there for its arguments.

    Raises:
        ConfigError: If the group does not exist or the class has no slots (without them Hydra would
            accept misspelt ``+keys``).
    """
    if group not in SHIPPED:
        raise ConfigError(f"register: expected one of the groups {', '.join(SHIPPED)}, but got {group!r}.")
    if not hasattr(config, "__slots__"):
        raise ConfigError(f"register: declare {config.__name__} with @dataclass(kw_only=True, slots=True).")
    ConfigStore.instance().store(group=group, name=name, node=config, provider="gaplab")
    if build is not None:
        _builders[config] = build


def registered_builder(config: object) -> Callable[..., Any] | None:
    """Return the builder that an extension registered for the config's class, if one did."""
    return _builders.get(type(config))


def register_all() -> None:
    """Put every shipped choice and every extension of the project into Hydra's store."""
    ConfigStore.instance().store(name="schema", node=schema.Config, provider="gaplab")
    for group, choices in SHIPPED.items():
        for name, config in choices.items():
            register(group, name, config)
    load_extensions()


def load_extensions(pyproject: Path = PROJECT_ROOT / "pyproject.toml") -> None:
    """Import the modules that ``[tool.gaplab] extensions`` lists, so that they can register choices.

    Raises:
        ConfigError: If a listed module cannot be imported.
    """
    if not pyproject.is_file():
        return
    settings = tomllib.loads(pyproject.read_text()).get("tool", {}).get("gaplab", {})
    for name in settings.get("extensions", []):
        if str(pyproject.parent) not in sys.path:
            sys.path.insert(0, str(pyproject.parent))
        try:
            import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"{pyproject.name}, [tool.gaplab] extensions: expected modules that can be imported, but "
                f"{name!r} gave: {error}."
            ) from error
