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

import torch
import yaml
from lightning.fabric.plugins import TorchCheckpointIO

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
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` that becomes ``path`` when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        if not _deferred.get():
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON; numbers that JSON does not have (NaN, infinity) become null."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def write_yaml(path: Path, content: Any) -> None:
    with replacing(path) as temporary:
        temporary.write_text(yaml.dump(content, Dumper=_Dumper, sort_keys=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, renamed into place within their own folder.

    Lightning writes to the system's temporary folder and moves the file; across file systems that move is
    a copy, which a kill can cut in half.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            torch.save(checkpoint, temporary)
