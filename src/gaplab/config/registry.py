"""The one table of choices: which config class stands behind ``group=name``, and what builds from it.

A shipped choice is a dataclass below ``@choice(group, name)`` with a method ``build``. One of your own needs no
change here::

    register("network", "mine", MyNetworkConfig, build_my_network)

in a file of yours that ``extensions=[path.py]`` names, or a module in ``[tool.gaplab] extensions`` of pyproject.toml.
"""

from collections.abc import Callable
from dataclasses import is_dataclass
from functools import partial
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from gaplab.config.hydra_versions import offer
from gaplab.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parents[1]
PROJECT_ROOT = _CHECKOUT if (_CHECKOUT / "configs" / "config.yaml").is_file() else _PACKAGE
"""What holds ``configs/``: the checkout, or the package as it was installed."""

T = TypeVar("T", bound=type)

CHOICES: dict[str, dict[str, type]] = {
    group: {} for group in ("data", "network", "task", "optimizer", "schedule", "trainer")
}
"""Config classes by group and name, as the classes enter themselves."""

PARTS: dict[str, dict[str, type | str]] = {
    group: {} for group in ("optimizer", "scheduler", "callback", "logger", "metric")
}
"""Classes of one's own by group and name; ``config/parts.py`` finds them beside those of the libraries."""

_builders: dict[type, Callable[..., Any] | str] = {}


def choice(group: str, name: str) -> Callable[[T], T]:
    """Enter the dataclass below as ``group=name``; its method ``build`` makes what it describes."""

    def enter(config: T) -> T:
        register(group, name, config)
        return config

    return enter


def register(
    group: str, name: str, config: type | str, build: Callable[..., Any] | str | None = None
) -> None:
    """Offer ``config`` as ``group=name`` on the command line and ``build`` as its builder.

    A class of torch's or Lightning's kind needs no config class: ``register("callback", "mine", MyCallback)`` makes
    ``callbacks=[mine]`` or ``callbacks=[{_target_: mine, argument: 1}]`` mean it, ``logger`` is for ``logging.extra``,
    ``scheduler`` for ``schedule=torch schedule.name=mine``, ``optimizer`` for ``optimizer=torch optimizer.name=mine``,
    and ``metric`` for arguments of those. Given as text, ``"module:Class"``, it is imported when it is used.

    Args:
        group: ``data``, ``network``, ``task``, ``optimizer``, ``schedule`` or ``trainer``; ``callback``, ``logger``,
            ``scheduler`` or ``metric`` for a class without a config class.
        name: What the user types.
        config: A dataclass derived from the group's base class, with ``slots=True``; or the class itself.
        build: Called with the section, a ``config``, and then the arguments that the method ``build`` of the
            group's base class documents; it goes before a method of the class. A text ``"module:function"`` is
            imported when something is built, so that ``--help`` need not wait for it.

    Raises:
        ConfigError: If the group does not exist or the class has no slots (without them Hydra would
            accept misspelt ``+keys``).
    """
    if group in PARTS and not is_dataclass(config):
        PARTS[group][name] = config
        return
    if group not in CHOICES:
        groups = ", ".join(dict.fromkeys((*CHOICES, *PARTS)))
        raise ConfigError(f"register: expected one of the groups {groups}, but got {group!r}.")
    assert isinstance(config, type), "only classes without a config class are registered as text"
    if not hasattr(config, "__slots__"):
        raise ConfigError(f"register: declare {config.__name__} with @dataclass(kw_only=True, slots=True).")
    offer(name, config, group)
    CHOICES[group][name] = config
    if build is not None:
        _builders[config] = build


def build_choice(section: Any, *arguments: Any, **settings: Any) -> Any:
    """Build what a section describes.

    Raises:
        ConfigError: As ``builder_of``.
    """
    return builder_of(section)(*arguments, **settings)


def builder_of(section: Any) -> Callable[..., Any]:
    """Return what builds a section: the builder registered for its class, which gets the section, else its method.

    Raises:
        ConfigError: If a builder given as text cannot be imported, or there is neither builder nor method.
    """
    build = _builders.get(type(section))
    if build is None:
        method: Callable[..., Any] = section.build
        return method
    if isinstance(build, str):
        module, _, function = build.partition(":")
        try:
            build = attrgetter(function)(import_module(module))
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"register: expected a builder of {type(section).__name__} as 'module:function', but "
                f"{build!r} gave: {error}."
            ) from error
    return partial(build, section)


def class_that_builds(section: object) -> type | None:
    """Return the class whose classmethod is the builder registered for a section; None where it is something else."""
    if type(section) not in _builders:
        return None
    build = builder_of(section)
    maker = getattr(build.func, "__self__", None) if isinstance(build, partial) else None
    return maker if isinstance(maker, type) else None


def without_builder(section: object) -> ConfigError:
    """Return what a base class raises in place of building something."""
    name = type(section).__name__
    return ConfigError(
        f"{name}: expected a method build, or a builder as in register(group, name, {name}, build), but there "
        "is neither."
    )


def built_otherwise(section: object, fact: str) -> bool:
    """Return whether other code builds a section than the class knew that states ``fact`` of what it builds.

    A class inherits such a statement, but a builder registered for it or a ``build`` of its own need not hold to it.
    """
    build, stated = (
        next(kind for kind in type(section).__mro__ if name in vars(kind)) for name in ("build", fact)
    )
    return type(section) in _builders or (build is not stated and issubclass(build, stated))
