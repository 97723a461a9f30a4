"""Reading checkpoints: plain tensors and numbers only, never code."""

import logging
import os
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor, nn

from gaplab.errors import ConfigError
from gaplab.storage.atomic import replacing

_log = logging.getLogger(__name__)


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
    """Lightning's checkpoint files, of plain values and renamed into place within their own folder.

    Lightning writes to the system's temporary folder and moves the file; across file systems that move is
    a copy, which a kill can cut in half.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        checkpoint = plain_checkpoint(checkpoint)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)  # into an open file: by itself torch hides why it cannot write


_PLAIN = (bool, int, float, complex, str, bytes, Tensor, torch.Size, torch.dtype, torch.device, type(None))
_left_out: set[str] = set()


def plain_checkpoint(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint without what ``weights_only=True`` would refuse to open.

    That are objects among the hyperparameters that a module saves, such as a loss function, and whatever else a project
    adds. They are named once; who builds the module gives them again.
    """
    content = dict(checkpoint)
    for key in ("hyper_parameters", "datamodule_hyper_parameters"):
        if isinstance(content.get(key), Mapping):
            values = content[key] = dict(content[key])
            for name in [name for name, value in values.items() if not _is_plain(value)]:
                _leave_out(values, name, f"the hyperparameter {name}")
    content.pop("hparams_type", None)  # a class
    for key in [key for key, value in content.items() if not _is_plain(value)]:
        _leave_out(content, key, key)
    return content


def _leave_out(values: dict[str, Any], name: str, what: str) -> None:
    if what not in _left_out:
        _left_out.add(what)
        kind = type(values[name]).__name__
        _log.warning(
            "Checkpoints hold plain values and tensors only; %s (%s) is left out of them.", what, kind
        )
    del values[name]


def _is_plain(value: Any) -> bool:
    if type(value) in (dict, OrderedDict, defaultdict):
        return all(_is_plain(part) for pair in value.items() for part in pair)
    if type(value) in (list, tuple, set):
        return all(map(_is_plain, value))
    return type(value) in _PLAIN or type(value) is nn.Parameter
