"""Reading checkpoints: plain tensors and numbers only, never code."""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

from gaplab.errors import ConfigError
from gaplab.storage.atomic import replacing


@dataclass(slots=True)
class Weights:
    """A task's state dict and the optimiser step that it belongs to."""

    weights: dict[str, Tensor]
    step: int


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Open a checkpoint with ``weights_only=True``, when the checksums of all its parts are right.

    Raises:
        ConfigError: If the file is missing, damaged, or holds anything but plain values and tensors.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: expected a checkpoint, but there is no such file.")
    try:
        check_whole(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{path}: expected a readable checkpoint, but: {reason}.") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise ConfigError(f"{path}: expected a checkpoint of a run, but it holds no 'state_dict'.")
    return content


def check_whole(path: Path) -> None:
    """Compare every byte of an archive with what ``torch.save`` wrote, which ``torch.load`` does not.

    The checksums cover the members; names, sizes and places stand twice in an archive, and what lies between two
    members is padding.

    Raises:
        ValueError: If they differ; it names the damaged member.
        zipfile.BadZipFile: If the archive cannot be read at all.
    """
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} is wrong")


def read_weights(path: Path) -> Weights:
    """Read the weights of a checkpoint; see ``read_checkpoint`` for what it raises."""
    content = read_checkpoint(path)
    return Weights(content["state_dict"], int(content["global_step"]))


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Put the weights of a checkpoint into a task.

    Raises:
        ConfigError: If they belong to another architecture; the differing keys are named.
    """
    weights = read_weights(path).weights
    own = module.state_dict()
    problems = [f"{key} is missing" for key in own if key not in weights]
    problems += [f"{key} is unknown" for key in weights if key not in own]
    problems += [
        f"{key} has shape {list(weights[key].shape)} instead of {list(own[key].shape)}"
        for key in own
        if key in weights and weights[key].shape != own[key].shape
    ]
    if problems:
        shown = "; ".join(problems[:4]) + ("; ..." if len(problems) > 4 else "")
        raise ConfigError(
            f"{path}: expected the weights of this network, but {shown}. "
            "The network section must be the one that the checkpoint was trained with."
        )
    module.load_state_dict(weights)


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
        with replacing(target) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)  # into an open file: by itself torch hides why it cannot write
