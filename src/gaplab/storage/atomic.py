"""Files that are either whole or absent: written under a temporary name, then renamed."""

import contextlib
import json
import math
import os
import secrets
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import yaml

MOST_KNOWN = 1_000
"""Parts of YAML files whose text is kept."""

_known: dict[str, str] = {}
_deferred: ContextVar[bool] = ContextVar("deferred", default=False)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@contextlib.contextmanager
def without_waiting() -> Iterator[None]:
    """Do not wait for the disk after each file that is replaced within the block.

    For thousands of small files that would take longer than training. A killed process loses nothing;
    a power failure may lose the files of the last seconds.
    """
    token = _deferred.set(True)
    try:
        yield
    finally:
        _deferred.reset(token)


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` that becomes ``path`` when the block ends without an error.

    A link called ``path`` is replaced, not followed. Folders that are missing are made.

    Args:
        path: The file to be.
        durable: Whether to wait until the disk has the content, which pictures are not worth.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        if durable and not _deferred.get():
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    with replacing(path, durable=durable) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode())


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON; numbers that JSON does not have (NaN, infinity) become null."""
    write_text(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def overwrite_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON into a file that is there, where it has its place: a full disk has no room for a new file."""
    text = (json.dumps(_finite(content), indent=2, allow_nan=False) + "\n").encode()
    handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        os.pwrite(handle, text, 0)
        os.ftruncate(handle, len(text))
    finally:
        os.close(handle)


def write_yaml(path: Path, content: Any) -> None:
    """Write plain values as YAML; parts that were written before, as most of a sweep's, are not dumped again."""
    if isinstance(content, dict) and content:
        write_text(path, "".join(_dumped(repr({key: value}), {key: value}) for key, value in content.items()))
    else:
        write_text(path, _dump(content))


def _dump(content: Any) -> str:
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False)
    return text


def _dumped(name: str, content: Any) -> str:
    """Return the YAML of plain values that have a name of their own."""
    if name not in _known:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[name] = _dump(content)
    return _known[name]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
