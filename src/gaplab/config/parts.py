"""Classes that a configuration may name: those of some libraries, and those that extensions register.

Nothing else is ever looked up or imported for a configuration, so that a run directory executes nothing.
"""

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from omegaconf import DictConfig

from gaplab.config.checks import nearest
from gaplab.config.registry import PARTS
from gaplab.config.signatures import check_arguments
from gaplab.errors import ConfigError

TARGET = "_target_"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a place of the configuration may hold."""

    base: str
    """Class from which all of them derive."""
    packages: tuple[str, ...]
    """Public namespaces that offer them."""


KINDS: Mapping[str, Kind] = {
    "optimizer": Kind("Optimizer", ("torch.optim",)),
    "scheduler": Kind("LRScheduler", ("torch.optim.lr_scheduler",)),
    "callback": Kind("Callback", ("lightning.pytorch.callbacks",)),
    "logger": Kind("Logger", ("lightning.pytorch.loggers",)),
    "strategy": Kind("Strategy", ("lightning.pytorch.strategies",)),
    "metric": Kind(
        "Metric",
        ("torchmetrics", *(f"torchmetrics.{n}" for n in ("classification", "regression", "clustering"))),
    ),
}


def open_mapping() -> Any:
    """Return the default of a field with arguments of any name, which Hydra takes as ``section.args.name=value``."""
    return DictConfig({}, flags={"struct": False})


def find_class(kind: str, name: str, key: str) -> type:
    """Return the class that a configuration names.

    Args:
        kind: A key of ``KINDS``.
        name: A registered name, the name of a class of the kind's packages, or its full path.
        key: Where the name stands in the configuration.

    Raises:
        ConfigError: If there is no such class, or it is none of the kind.
    """
    if name in PARTS.get(kind, {}):
        return _registered(kind, name)
    public = _public(kind)
    short = name.rpartition(".")[2]
    found = public.get(short)
    if found is not None and name in (short, *_paths(kind, found)):
        return found
    known = names_of(kind)
    raise ConfigError(
        f"{key}: expected {_article(kind)} {kind} of {KINDS[kind].packages[0]} or one registered by an extension, "
        f"but got {name!r}.{nearest(short, known) or ' They are: ' + ', '.join(known) + '.'} A class of your own is "
        f'entered by register("{kind}", "NAME", CLASS) in a file that extensions=[...] names; nothing else is run.'
    )


def names_of(kind: str) -> list[str]:
    """Return the names that ``find_class`` knows, in alphabetical order."""
    return sorted({*_public(kind), *PARTS.get(kind, {})})


def split_entry(entry: Any, key: str) -> tuple[str, dict[str, Any]]:
    """Return name and arguments of an entry of an open list: a name, or a mapping with ``_target_``.

    Raises:
        ConfigError: If it is neither.
    """
    if isinstance(entry, str):
        return entry, {}
    if not isinstance(entry, Mapping) or not isinstance(entry.get(TARGET), str):
        raise ConfigError(
            f"{key}: expected the name of a class or {{_target_: NAME, ...}}, but got {entry!r}."
        )
    return entry[TARGET], {str(name): value for name, value in entry.items() if name != TARGET}


def check_part(
    kind: str, name: str, arguments: Mapping[str, Any], key: str, filled: Collection[str] = ()
) -> type:
    """Check a name with its arguments, also those that name classes themselves; return the class.

    Raises:
        ConfigError: For a class that is not allowed, and as ``check_arguments``.
    """
    found = find_class(kind, name, key)
    shown = {name: _shown(value, f"{key}.{name}") for name, value in arguments.items()}
    check_arguments(found, shown, key, filled=filled, what=name.rpartition(".")[2])
    return found


def build_part(found: type, arguments: Mapping[str, Any], key: str, *given: Any) -> Any:
    """Call a class that ``check_part`` returned.

    Args:
        found: The class.
        arguments: Plain values by name.
        key: Where they stand in the configuration.
        given: Objects that come first, such as the parameters of an optimiser.

    Raises:
        ConfigError: If it refuses the arguments.
    """
    # Hydra's instantiate would look every class up again by its name, which those of one's own need not have.
    values = {name: _built(value, f"{key}.{name}") for name, value in arguments.items()}
    try:
        return found(*given, **values)
    except Exception as error:
        known = isinstance(error, ImportError | TypeError | ValueError | RuntimeError)
        if (
            not known and type(error).__name__ != "MisconfigurationException"
        ):  # Lightning is not imported for this
            raise
        reason = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(f"{key}: {found.__name__} refuses its arguments: {reason}.") from error


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _registered(kind: str, name: str) -> type:
    """Return a registered class, imported if it was registered as text.

    Raises:
        ConfigError: If it cannot be imported or does not derive from the base class of the kind.
    """
    entered = PARTS[kind][name]
    if isinstance(entered, str):
        module, _, attribute = entered.partition(":")
        try:
            entered = getattr(import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"register: expected a {kind} as 'module:Class', but {entered!r} gave: {error}."
            ) from error
    base = getattr(import_module(KINDS[kind].packages[0]), KINDS[kind].base)
    if not (isinstance(entered, type) and issubclass(entered, base)):
        raise ConfigError(
            f"register: expected a class derived from {KINDS[kind].packages[0]}.{base.__name__} as {kind} {name!r}, "
            f"but got {entered!r}."
        )
    return entered


def _public(kind: str) -> dict[str, type]:
    """Return the classes that the packages of a kind offer, by name."""
    found: dict[str, type] = {}
    modules = [import_module(name) for name in KINDS[kind].packages]
    base = getattr(modules[0], KINDS[kind].base)
    top = modules[0].__name__.partition(".")[0]
    for module in modules:
        for name, value in vars(module).items():
            if not inspect.isclass(value) or not issubclass(value, base) or value is base:
                continue
            if not name.startswith("_") and value.__module__.partition(".")[0] == top:
                found.setdefault(name, value)
    return found


def _paths(kind: str, found: type) -> list[str]:
    """Return the full paths under which a class of a library may be named."""
    packages = (*KINDS[kind].packages, found.__module__)
    return [f"{package}.{found.__name__}" for package in packages]


def _kind_of(target: str, key: str) -> str:
    """Return the kind of a class that is an argument of another one."""
    for kind, about in KINDS.items():
        if target.startswith(tuple(f"{one}." for one in about.packages)):
            return kind
    for kind in KINDS:
        if target in names_of(kind):
            return kind
    packages = ", ".join(about.packages[0] for about in KINDS.values())
    raise ConfigError(
        f"{key}.{TARGET}: expected a class of {packages}, or one registered by an extension, but got {target!r}. "
        "Nothing else is run from a configuration."
    )


def _nested(value: Any, key: str) -> type | None:
    """Check an argument that names a class itself, and return the class; None for a plain value.

    Raises:
        ConfigError: If the class is not allowed, or for words by which Hydra could be told to call something else.
    """
    if not isinstance(value, Mapping):
        return None
    for name in map(str, value):
        if name.startswith("_") and name.endswith("_") and name != TARGET:
            raise ConfigError(f"{key}.{name}: expected plain arguments beside {TARGET}, but got {name}.")
    if TARGET not in value:
        return None
    name, arguments = split_entry(value, key)
    return check_part(_kind_of(name, key), name, arguments, key)


def _shown(value: Any, key: str) -> Any:
    """Return an argument with the class that it names in place of the mapping that names it."""
    if (found := _nested(value, key)) is not None:
        return found
    for number, one in enumerate(value if isinstance(value, list) else ()):
        _shown(one, f"{key}[{number}]")
    for name, one in value.items() if isinstance(value, Mapping) else ():
        _shown(one, f"{key}.{name}")
    return value


def _built(value: Any, key: str) -> Any:
    """Return an argument in which objects stand in place of the mappings that name their classes."""
    if isinstance(value, list):
        return [_built(one, f"{key}[{number}]") for number, one in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    found = _nested(value, key)
    plain = {str(name): one for name, one in value.items() if name != TARGET}
    if found is not None:
        return build_part(found, plain, key)
    return {name: _built(one, f"{key}.{name}") for name, one in plain.items()}
