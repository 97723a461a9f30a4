"""Runs that are there already: whether other code made them, and how to run them anew without losing them."""

import dataclasses
import itertools
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from gaplab.config.compose import Composed
from gaplab.config.registry import PROJECT_ROOT
from gaplab.config.resumption import differences
from gaplab.errors import ConfigError
from gaplab.runs.directory import read_config, read_json
from gaplab.runs.provenance import git_state
from gaplab.storage.locking import LOCK, lock, unlock

EARLIER = "earlier"
"""Folder beside a run, to which ``run.again=true`` moves what stood in the run's place."""
RESTARTS = ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT")


def is_restarted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a scheduler starts this process once more: it goes on with what its former self has left."""
    return any(environment.get(name, "0") not in ("", "0") for name in RESTARTS)


def wishes_anew(composed: Composed) -> bool:
    """Return whether ``run.again=true`` was typed, and forget it: it is a wish of one command, not of the run.

    A process that a scheduler restarts has none: what is there is its own.
    """
    wish = composed.config.run.again
    if wish:
        composed.config.run = dataclasses.replace(composed.config.run, again=False)
        composed.resolved["run"] = composed.resolved["run"] | {"again": False}
    return wish and not is_restarted()


def refuse_other_run(composed: Composed, path: Path) -> None:
    """Refuse a directory that holds a run of another configuration.

    Raises:
        ConfigError: If it does.
    """
    if not (path / "run.json").is_file():
        # A run that was killed while it opened its directory has left its lock there.
        if path.is_dir() and any(path.iterdir()) and not (path / LOCK).is_file():
            raise ConfigError(
                f"run.id: expected a new folder or that of a run, but {path} holds other files. Choose another run.id "
                "or run.root."
            )
        return
    changes = differences(read_config(path), composed.resolved)
    if changes:
        shown = ", ".join(f"{c.key} ({c.old!r} there, {c.new!r} here)" for c in changes[:4])
        raise ConfigError(
            f"run.id: {path} holds a run of another configuration; they differ in {shown}. Choose another "
            f"run.id, run anew and keep both with run.again=true, or continue that run with {resume_word(path)}."
        )


def resume_word(path: Path) -> str:
    """Return the word of a command that continues a run, as a shell takes it."""
    return shlex.quote(f"resume={path}")


def set_aside(path: Path) -> None:
    """Move the run in ``path``, if there is one, to the folder ``earlier`` beside it.

    Raises:
        ConfigError: If another process works in ``path``.
    """
    if not (path / "run.json").is_file():
        return
    lock(path)
    try:
        folder = path.parent / EARLIER
        folder.mkdir(exist_ok=True)
        target = next(t for n in itertools.count(1) if not (t := folder / f"{path.name}-{n}").exists())
        path.rename(target)
    finally:
        unlock(path)
    print(f"What was in {path} is in {target} now.")


def tell_finished(path: Path) -> None:
    """Say that a run is finished already, and whether other code made it."""
    print(f"Already finished: {path}")
    if (notice := notice_of_other_code([path])) is not None:
        print(notice)


def notice_of_other_code(paths: Sequence[Path]) -> str | None:
    """Return a sentence if another commit made some finished runs; None if none is known to differ."""
    now = git_state(PROJECT_ROOT)
    if now is None:
        return None
    commits = [commit for path in paths if (commit := _commit(path)) is not None]
    others = sorted({commit for commit in commits if commit != now["commit"]})
    if not others:
        return None
    number = sum(commit in others for commit in commits)
    shown = ", ".join(commit[:10] for commit in others[:3]) + (", ..." if len(others) > 3 else "")
    made = "It was" if len(paths) == 1 else f"{number} of {len(paths)} were"
    here = now["commit"][:10]
    return (
        f"{made} made by commit {shown}; the code is at {here} now. run.again=true runs anew and keeps both."
    )


def _commit(path: Path) -> str | None:
    try:
        git = read_json(path / "run.json").get("git")
    except ConfigError:
        return None
    return git.get("commit") if isinstance(git, dict) else None
