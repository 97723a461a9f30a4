"""The words of a command: Hydra's flags and overrides told apart, and those refused that would be ignored."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from gaplab.errors import ConfigError

VALUED = ("config_path", "config_name", "config_dir", "cfg", "package", "info")
SWITCHES = ("resolve", "run", "multirun", "shell_completion", "hydra_help")
COMMANDS = ("run", "multirun", "cfg", "info", "shell_completion")
SWEEPING = ("hydra/launcher", "hydra/sweeper", "hydra.launcher.", "hydra.sweeper.", "hydra.sweep.dir")
"""Keys of Hydra's that a sweep obeys; ``hydra.searchpath`` is obeyed everywhere."""


@dataclass(slots=True)
class CommandLine:
    """What was typed."""

    flags: list[str]
    """Flags of Hydra, one word each."""
    overrides: list[str]
    multirun: bool


def read_command_line(words: Sequence[str]) -> CommandLine:
    """Take a command apart.

    Raises:
        ConfigError: For a flag that there is not, for a word that would have no effect, and for two words
            that contradict each other.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]  # argparse would print how the program is used
    found = vars(parser.parse_intermixed_args(list(words)))
    if found["experimental_rerun"] is not None:
        raise ConfigError("--experimental-rerun: it would run a pickled file. Use resume=RUN.")
    commands = [name for name in COMMANDS if found[name]]
    if len(commands) > 1:
        raise ConfigError(f"{', '.join(map(_flag, commands))}: expected one of these flags, not several.")
    if found["cfg"] is None and (found["resolve"] or found["package"]):
        raise ConfigError("--resolve, --package: expected --cfg job|hydra|all beside them.")
    if found["config_path"] is not None:
        found["config_path"] = os.path.abspath(found["config_path"])
    flags = [f"{_flag(name)}={found[name]}" for name in VALUED if found[name] is not None]
    flags += [_flag(name) for name in SWITCHES if found[name]]
    overrides = list(found["overrides"])
    check_overrides(overrides, flags, multirun=found["multirun"])
    return CommandLine(flags, overrides, found["multirun"])


def check_overrides(overrides: Sequence[str], flags: Sequence[str], *, multirun: bool) -> None:
    """Refuse overrides that would be ignored, here or by Hydra, and keys that are set twice.

    Raises:
        ConfigError: For the first of them.
    """
    keys = [word.lstrip("+~").split("=")[0] for word in overrides]
    for key, word in zip(keys, overrides, strict=True):
        if not key:
            raise ConfigError(f"{word!r}: expected key=value, but there is no key.")
        if word.startswith("~"):
            raise ConfigError(
                f"{word}: expected key=value, as every key has a value. Leave it out to keep the one that it has."
            )
        if keys.count(key) > 1:
            values = " and ".join(w for k, w in zip(keys, overrides, strict=True) if k == key)
            raise ConfigError(
                f"{key}: expected one value, list or range, but got {values}. Keep one of them."
            )
        if key.startswith(("hydra.", "hydra/")) and key != "hydra.searchpath":
            if not key.startswith(SWEEPING):
                raise ConfigError(
                    f"{key}: expected a key that has an effect, but gaplab makes its own directories and "
                    "messages. Leave it out; run.root says where runs are written."
                )
            if not multirun and not any(flag.startswith(("--cfg", "--info")) for flag in flags):
                raise ConfigError(f"{key}: expected -m beside it, as it is about sweeps, but there is none.")
        if key == "resume" and (word != f"resume={word.partition('=')[2]}" or flags):
            if multirun:
                raise ConfigError(
                    "resume: expected none in a sweep, which continues by itself: type its command again. One of "
                    "its runs continues with resume=RUN without -m."
                )
            raise ConfigError(
                f"resume: expected resume=RUN beside overrides only, but got {' '.join([*flags, word])}."
            )
        if key in ("run.id", "run.name") and multirun:
            raise ConfigError(
                f"{key}: expected none in a sweep, whose runs are named after what varies, but got {word}. "
                "run.root=FOLDER puts the sweep elsewhere."
            )
        if key == "run.again" and "resume" in keys:
            raise ConfigError(
                "run.again: expected none beside resume, which goes on with the run that is there."
            )
        if key == "run.id" and "resume" in keys:
            raise ConfigError("run.id: expected none beside resume: the run stays in its directory.")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _refuse(message: str) -> NoReturn:
    raise ConfigError(f"{message}. The flags are Hydra's: see --hydra-help.")
