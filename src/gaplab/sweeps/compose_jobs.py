"""The configurations of all jobs of a sweep, composed once per kind of job.

Hydra takes tens of milliseconds to compose one job. Jobs that differ only in the values of single keys share
one composition here; each value is converted by the node it belongs to, and every job passes all checks.
"""

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from enum import Enum
from typing import Any

from omegaconf import DictConfig, OmegaConf, ValueNode
from omegaconf.errors import OmegaConfBaseException

from gaplab.config.compose import COMPOSE_ERRORS, Composed, take_apart
from gaplab.config.errors import explain
from gaplab.errors import ConfigError

Load = Callable[[list[str]], DictConfig]
"""Composes the overrides of one job with Hydra, its own section included."""
_SIMPLE = re.compile(r"(?P<key>[A-Za-z_][\w.]*)=(?P<value>[+-]?[\w.]+(?:[eE][+-]?\d+)?)")
NOT_OF_A_JOB = ("hydra.", "hydra/", "run.again=")
"""Words about the sweep or the command, which no job keeps."""
_WORD = re.compile(r"[A-Za-z_]\w*")
_INTERPOLATION = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")


@dataclass(slots=True)
class Template:
    """One composed job, and which keys follow which."""

    tree: DictConfig
    composed: Composed
    values: dict[str, str]
    followers: dict[str, list[str]]


class JobComposer:
    """Composes jobs; those of one kind share a template."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.templates: dict[tuple[str, ...], Template | None] = {}

    def compose(self, overrides: Sequence[str]) -> Composed:
        """Return the configuration of one job.

        Raises:
            ConfigError: For any mistake in the overrides.
        """
        words = [word for word in overrides if not word.lstrip("+").startswith(NOT_OF_A_JOB)]
        simple = dict(match for word in words if (match := _simple(word)))
        kind = tuple(word.split("=")[0] if _simple(word) else word for word in words)
        template = self.templates.get(kind)
        if template is None:
            tree, composed = self._compose_whole(overrides, words)
            if kind not in self.templates:
                self.templates[kind] = _make_template(tree, composed, simple)
            return composed
        changes = {key: value for key, value in simple.items() if template.values[key] != value}
        with contextlib.suppress(ConfigError):
            return _vary(template, changes, words)
        return self._compose_whole(overrides, words)[1]  # fails too, and knows the key, the type and the file

    def _compose_whole(self, overrides: Sequence[str], words: list[str]) -> tuple[DictConfig, Composed]:
        try:
            tree = self.load(list(overrides))
        except COMPOSE_ERRORS as error:
            raise explain(error) from error
        return tree, take_apart(tree, words)


def compose_jobs(load: Load, jobs: Sequence[Sequence[str]], *, allow_repeats: bool = False) -> list[Composed]:
    """Compose and check every job of a sweep before any of them starts.

    Raises:
        ConfigError: For an empty sweep, for the first job that is not sound, and for two jobs that are the
            same run unless ``allow_repeats``; the job is named.
    """
    if not jobs:
        raise ConfigError("The sweep has no jobs: one of the swept ranges or lists is empty.")
    composer = JobComposer(load)
    composed: list[Composed] = []
    seen: dict[str, int] = {}
    for number, overrides in enumerate(jobs):
        shown = " ".join(overrides)
        try:
            job = composer.compose(overrides)
        except ConfigError as error:
            raise ConfigError(f"job {number} ({shown}): {error}") from error
        identity = json.dumps(
            {k: v for k, v in job.resolved.items() if k not in ("run", "tags")}, default=str
        )
        if identity in seen and not allow_repeats:
            raise ConfigError(f"jobs {seen[identity]} and {number} are the same run ({shown}). Remove one.")
        seen.setdefault(identity, number)
        composed.append(job)
    return composed


def _simple(word: str) -> tuple[str, str] | None:
    """The key and value of an override that sets one key to one number or word."""
    match = _SIMPLE.fullmatch(word)
    if match is None or ("." not in match["key"] and not match["key"].endswith("seed")):
        return None  # a name without a dot may be a group
    return match["key"], match["value"]


def _make_template(tree: DictConfig, composed: Composed, values: dict[str, str]) -> Template | None:
    """Return a template, or None where a job of this kind must be composed by Hydra every time."""
    followers: dict[str, list[str]] = defaultdict(list)
    for key, text in _leaves(OmegaConf.to_container(tree, resolve=False)):
        if isinstance(text, str) and "${" in text:
            match = _INTERPOLATION.fullmatch(text)
            if match is None:
                return None
            followers[match[1]].append(key)
    if not all(is_single(tree, key) for key in values):
        return None
    return Template(tree, composed, values, followers)


def _leaves(content: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if isinstance(content, dict):
        return [leaf for key, value in content.items() for leaf in _leaves(value, f"{prefix}{key}.")]
    return [(prefix[:-1], content)]


def _node(tree: DictConfig, key: str) -> Any:
    node: Any = tree
    for part in key.split("."):
        if not isinstance(node, DictConfig) or node._is_missing() or node._is_none():
            return None
        # ``part in node`` would resolve what it finds, and parse it for that.
        node = node._get_node(part, validate_access=False)
    return None if node is None or node._is_missing() else node


def _vary(template: Template, changes: dict[str, str], words: list[str]) -> Composed:
    """Return the template's job with other values."""
    values = {
        name: _parse(text) for key, text in changes.items() for name in [key, *_all_followers(template, key)]
    }
    return vary(template.tree, template.composed, values, words)


def vary(tree: DictConfig, composed: Composed, values: Mapping[str, Any], words: list[str]) -> Composed:
    """Return a configuration with other values of single keys, checked as if it had been composed.

    Args:
        tree: Knows the types of the keys.
        composed: What ``tree`` was converted to; stays as it is.
        values: Plain values by dotted key; every key must be a single value (``is_single``).
        words: The overrides of the result.

    Raises:
        ConfigError: If a value does not fit its key, or values do not fit together.
    """
    resolved = dict(composed.resolved)
    sections: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, plain in values.items():
        try:
            value = _node(tree, name).validate_and_convert(plain)
        except OmegaConfBaseException as error:
            raise ConfigError(f"{name}: {explain(error)}") from error
        section, _, field = name.rpartition(".")
        if section and section not in sections:
            resolved[section] = dict(resolved[section])
        sections[section][field] = value
        target = resolved[section] if section else resolved
        target[field] = value.name if isinstance(value, Enum) else value
    root = sections.pop("", {})
    for section, fields in sections.items():
        old = getattr(composed.config, section)
        assert is_dataclass(old), "the schema has two levels"
        root[section] = replace(old, **fields)  # type: ignore[type-var]
    return Composed(config=replace(composed.config, **root), resolved=resolved, overrides=words)


def is_single(tree: DictConfig, key: str) -> bool:
    """Whether a dotted key of one or two parts stands for a single value."""
    return key.count(".") < 2 and isinstance(_node(tree, key), ValueNode)


def _all_followers(template: Template, key: str) -> list[str]:
    direct = template.followers.get(key, [])
    return [name for one in direct for name in (one, *_all_followers(template, one))]


def _parse(text: str) -> int | float | bool | str | None:
    """Read a value as Hydra's grammar does."""
    lowered = text.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    if lowered == "null":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
