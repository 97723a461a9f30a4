"""What a paper needs of a run, in one file: ``python -m gaplab.archive RUN`` writes RUN.tar.gz.

It holds configuration, record, result, sources, changes and versions, and hashes of the data, not the weights.
``python -m gaplab.archive --check ARCHIVE RUN`` says in what a run differs from it: exit code 1 if in anything.

Hashed is every example of every split, as it is measured. What Datasets and DataLoaders read lazily is read once, a
chunk at a time, as long as one measurement reads; where a batch holds objects that are no numbers or texts, the archive
says that it is not hashed, and so does the check.
"""

import argparse
import gzip
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from gaplab.config.resumption import differences, with_overrides
from gaplab.errors import ConfigError
from gaplab.runs.directory import read_config, read_json
from gaplab.runs.source_copies import FOLDER
from gaplab.storage.atomic import write_bytes
from gaplab.storage.reading import SafeLoader, read_regular

DATA = "data.json"
FILES = ("config.yaml", "overrides.yaml", "run.json", "result.json")
RECORDED = ("status", "seeds", "data", "git", "project", "versions", "python", "device", "num_threads")
"""Entries of ``run.json`` that say how numbers came about; the others say when and where."""
NOT_HASHED = "not hashed"
MOST_BYTES = 50_000_000


def main(arguments: list[str] | None = None) -> None:
    """Write an archive, or compare a run with one."""
    parser = argparse.ArgumentParser(prog="python -m gaplab.archive", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="the directory of a finished run")
    parser.add_argument("--check", type=Path, metavar="ARCHIVE", help="compare the run with this archive")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: RUN.tar.gz beside the run")
    parser.add_argument(
        "brought", nargs="*", help="extensions=[mine.py] or task.module=mypkg.LitCNN, if it is yours"
    )
    options = parser.parse_intermixed_args(arguments)
    try:
        for word in options.brought:
            if not word.startswith(("extensions=", "task.module=", "task.datamodule=")):
                raise ConfigError(
                    f"{word}: expected nothing but extensions=[FILE.py], task.module=CLASS and task.datamodule=CLASS "
                    "beside the run."
                )
        content = contents(options.run, options.brought)
        if options.check is None:
            run = options.run.resolve()
            file = options.output or run.with_name(f"{run.name}.tar.gz")
            write_bytes(file, packed(content))
            print(file)
            return
        archived = unpacked(options.check)
        found = list(compared(archived, content))
        for split, digest in _entries(DATA, archived[DATA]).items():
            if str(digest).startswith(NOT_HASHED):
                print(
                    f"{DATA}, {split}: {digest}, so this check cannot tell whether the examples are the same."
                )
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print("\n".join(found) or f"{options.run} is what {options.check} holds.")
    if found:
        sys.exit(1)


def contents(run: Path, brought: list[str]) -> dict[str, bytes]:
    """Return the files of an archive by name; the data are built anew to hash them, with what the user ``brought``.

    Raises:
        ConfigError: If ``run`` is no finished run, or a file in it is damaged.
    """
    saved = read_config(run)
    if (status := read_json(run / "run.json").get("status")) != "finished":
        raise ConfigError(
            f"{run}: expected a finished run, but its status is {status}. Continue it with resume={run}."
        )
    names = [*FILES]
    names += sorted(file.relative_to(run).as_posix() for file in (run / FOLDER).rglob("*") if file.is_file())
    found = {}
    for name in names:
        if (content := read_regular(run / name)) is None:
            raise ConfigError(f"{run / name}: expected a file of the run, but it is not there, or is a link.")
        found[name] = content
    hashes = data_hashes(with_overrides(saved, brought, str(run / "config.yaml")).config)
    return found | {DATA: (json.dumps(hashes, indent=2) + "\n").encode()}


def data_hashes(config: Any) -> dict[str, str]:
    """Return a SHA-256 of all examples by split; of what is no number or text, that it is not hashed."""
    from gaplab.builders import build_data_and_task
    from gaplab.data.datamodule import DatasetDataModule, PointDataModule

    data, task = build_data_and_task(config)
    if isinstance(data, DatasetDataModule):
        return {name: _digest(loader) for name, loader in zip(data.splits, data.split_loaders(), strict=True)}
    if isinstance(data, PointDataModule):
        return {name: _digest([_parts(split)]) for name, split in data.splits.items()}
    return _hashes_of_loaders(config, data, task)


def _parts(split: Any) -> dict[str, Any]:
    points = split.points if isinstance(split.points, dict) else {"points": split.points}
    return {**points, "labels": split.labels}


def _hashes_of_loaders(config: Any, data: Any, task: Any) -> dict[str, str]:
    """Return the hashes of what a Trainer would measure of a data module, or of a module with loaders of its own."""
    from lightning.pytorch import Callback

    from gaplab.builders import build_trainer
    from gaplab.builders.process import prepare_process
    from gaplab.callbacks.evaluation_loaders import evaluation_loaders
    from gaplab.randomness import seeded_global_generators

    prepare_process(config)
    config.trainer.devices, config.trainer.num_nodes, config.trainer.progress_bar = 1, 1, False
    most = getattr(config.task, "max_batches", None)
    hashes = {}

    class Hashing(Callback):
        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            for name, loader in evaluation_loaders(trainer, most).items():
                with seeded_global_generators(
                    0, "measuring"
                ):  # what an augmentation draws is the same every time
                    hashes[name] = _digest(islice(loader, most))

    with seeded_global_generators(config.data_seed, "global", "setup"):
        build_trainer(config, [Hashing()], []).validate(task, datamodule=data, verbose=False)
    return hashes


def _digest(batches: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    try:
        for batch in batches:
            _feed(digest, "", batch)
    except TypeError as error:
        return f"{NOT_HASHED}: {error}"
    return digest.hexdigest()


def _feed(digest: Any, name: str, value: Any) -> None:
    """Let a digest take in a batch.

    Raises:
        TypeError: If there is something else in it than tensors, arrays, numbers and texts.
    """
    import numpy as np
    from torch import Tensor, as_tensor, uint8

    if isinstance(value, np.ndarray | np.generic):
        value = as_tensor(value)
    if isinstance(value, Tensor):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(uint8).numpy().tobytes())
    elif isinstance(value, Mapping):
        for key, part in value.items():
            _feed(digest, str(key), part)
    elif isinstance(value, list | tuple):
        for place, part in enumerate(value):
            _feed(digest, f"{name}[{place}]", part)
    elif isinstance(value, str | bytes | int | float | None):
        digest.update(f"{name} {value!r}\n".encode())
    else:
        raise TypeError(f"its batches hold objects of {type(value).__name__}")


def packed(content: Mapping[str, bytes]) -> bytes:
    """Return a .tar.gz of files; equal content gives equal bytes."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for name, data in sorted(content.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def unpacked(file: Path) -> dict[str, bytes]:
    """Return the files of an archive by name; nothing is written.

    Raises:
        ConfigError: If it is no archive of a run.
    """
    found, room = {}, MOST_BYTES
    try:
        with tarfile.open(file, "r:gz") as archive:
            for entry in archive:
                room -= entry.size
                if room < 0:
                    raise ConfigError(
                        f"{file}: expected the archive of a run, but it holds over {MOST_BYTES} bytes."
                    )
                if (stream := archive.extractfile(entry)) is not None:
                    found[entry.name] = stream.read()
    except (OSError, EOFError, tarfile.TarError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{file}: expected an archive that gaplab.archive wrote, but: {error}.") from error
    if missing := {*FILES, DATA} - found.keys():
        raise ConfigError(
            f"{file}: expected the archive of a run, but it lacks {', '.join(sorted(missing))}."
        )
    return found


def compared(archived: Mapping[str, bytes], run: Mapping[str, bytes]) -> Iterator[str]:
    """Yield a line for everything in which a run differs from an archive.

    Raises:
        ConfigError: If a file that is compared by its entries is damaged.
    """
    for name in sorted(archived.keys() | run.keys()):
        if name not in run or name not in archived:
            yield f"{name}: only in the {'archive' if name in archived else 'run'}"
        elif archived[name] == run[name] or name == "overrides.yaml":  # config.yaml says what came of them
            continue
        elif name.endswith((".json", ".yaml")) and "/" not in name:
            old, new = (_entries(name, side[name]) for side in (archived, run))
            for change in differences(old, new):
                yield f"{name}, {change.key}: {change.old} in the archive, {change.new} in the run"
        else:
            yield f"{name}: another content"


def _entries(name: str, content: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(content) if name.endswith(".json") else yaml.load(content.decode(), SafeLoader)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{name}: expected readable settings, but: {' '.join(str(error).split())}."
        ) from error
    if not isinstance(entries, dict):
        raise ConfigError(f"{name}: expected a mapping, but got {type(entries).__name__}.")
    return {key: entries[key] for key in RECORDED if key in entries} if name == "run.json" else entries


if __name__ == "__main__":
    main()
