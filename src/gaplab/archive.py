"""What a paper needs of a run, in one file: ``python -m gaplab.archive RUN`` writes RUN.tar.gz.

It holds configuration, record, result, sources, changes and versions, and hashes of the data, not the weights.
``python -m gaplab.archive --check ARCHIVE RUN`` says in what a run differs from it: exit code 1 if in anything.
"""

import argparse
import gzip
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterator, Mapping
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
MOST_BYTES = 50_000_000


def main(arguments: list[str] | None = None) -> None:
    """Write an archive, or compare a run with one."""
    parser = argparse.ArgumentParser(prog="python -m gaplab.archive", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="the directory of a finished run")
    parser.add_argument("--check", type=Path, metavar="ARCHIVE", help="compare the run with this archive")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: RUN.tar.gz beside the run")
    parser.add_argument("extensions", nargs="*", help="extensions=[mine.py], for choices of a file")
    options = parser.parse_intermixed_args(arguments)
    try:
        for word in options.extensions:
            if not word.startswith("extensions="):
                raise ConfigError(f"{word}: expected nothing but extensions=[FILE.py] beside the run.")
        content = contents(options.run, options.extensions)
        if options.check is None:
            run = options.run.resolve()
            file = options.output or run.with_name(f"{run.name}.tar.gz")
            write_bytes(file, packed(content))
            print(file)
            return
        found = list(compared(unpacked(options.check), content))
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print("\n".join(found) or f"{options.run} is what {options.check} holds.")
    if found:
        sys.exit(1)


def contents(run: Path, extensions: list[str]) -> dict[str, bytes]:
    """Return the files of an archive by name; the data are built anew to hash them.

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
    hashes = data_hashes(with_overrides(saved, extensions, str(run / "config.yaml")).config)
    return found | {DATA: (json.dumps(hashes, indent=2) + "\n").encode()}


def data_hashes(config: Any) -> dict[str, str]:
    """Return a SHA-256 of points and labels by split; none of data that are read lazily or by a module's loaders."""
    from gaplab.builders import build_data_and_task

    data, _ = build_data_and_task(config)
    hashes = {}
    for name, split in getattr(data, "splits", {}).items():
        if not hasattr(split, "points"):
            continue
        parts = split.points if isinstance(split.points, dict) else {"points": split.points}
        digest = hashlib.sha256()
        for part, tensor in {**parts, "labels": split.labels}.items():
            digest.update(f"{part} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        hashes[name] = digest.hexdigest()
    return hashes


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
