"""What gaplab promises of every choice, tried by training a few steps: same seed, same digits, whatever happens."""

import contextlib
import math
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from gaplab.builders.load_run import load_run
from gaplab.callbacks.checkpoints import Checkpoints
from gaplab.config.compose import Composed, compose_config
from gaplab.errors import Preempted
from gaplab.evaluate import evaluate
from gaplab.launch.processes import run_with_all_processes
from gaplab.notebook.process_settings import process_settings_kept
from gaplab.process.signals import STOP_SIGNAL
from gaplab.runs.checkpoints import read_weights
from gaplab.runs.directory import read_json
from gaplab.runs.resume import plan_new
from gaplab.storage.locking import unlock
from gaplab.sweeps.grouping import obstacle
from gaplab.sweeps.train_work import run_many

STEPS, STOP = 12, 6
FEW_STEPS = (
    f"trainer.max_steps={STEPS}",
    "trainer.eval_every_n_steps=4",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
    "trainer.precision=64-true",
    "logging.pictures=false",
    "logging.subruns=never",
)
"""Double precision, so that sums in another order differ by far less than a mistake does."""
TOLERANCE = 1e-7
"""Between one process and two, alone and in a stack: more than rounding, less than any mistake."""


class BrokenPromiseError(AssertionError):
    """A choice does not hold what gaplab promises; the text says which promise, by how much, and the usual cause."""


@dataclass(slots=True)
class Trial:
    """The runs of one check, in a folder of their own."""

    words: Sequence[str]
    folder: Path

    def compose(self, *further: str) -> Composed:
        given = {word.split("=")[0] for word in (*self.words, *further)}
        few = [word for word in FEW_STEPS if word.split("=")[0] not in given]
        return compose_config([*self.words, *few, f"run.root={self.folder}", *further])

    def train(self, name: str, *further: str) -> Path:
        """Train, or continue, the run called ``name``; other code has used the global generators before."""
        composed, path = self.compose(*further), self.folder / name
        torch.manual_seed(len(name))
        run_with_all_processes(partial(plan_new, composed, path), composed.config)
        return path


def trains(trial: Trial) -> None:
    """A few steps end with finite losses on every split, and move the weights."""
    path = trial.train("first")
    for tag, value in _scores(path).items():
        if not math.isfinite(value) and tag.startswith("loss/"):  # others may have nothing to measure yet
            raise BrokenPromiseError(f"trains: {tag} is {value} after {STEPS} steps.")
    first = load_run(path, weights="last").task
    trial.train("untrained", "trainer.max_steps=1", "trainer.eval_every_n_steps=1")
    before = _weights(trial.folder / "untrained")
    if all(torch.equal(before[name], tensor) for name, tensor in first.state_dict().items()):
        raise BrokenPromiseError(
            "trains: the weights after 12 steps are those after one. Do the loss and the parameters that the "
            "optimizer gets belong to one another?"
        )


def repeats(trial: Trial) -> None:
    """The same seed gives the same weights and scores bit for bit, whatever the process drew before."""
    _same(
        "repeats",
        trial.folder / "first",
        trial.train("the second"),
        0.0,
        "Something draws from a generator that no seed sets. Take the generator that the builder is handed, or torch's "
        "global one; not random numbers of the time, of sets, or of a generator made without a seed.",
    )


def resumes(trial: Trial) -> None:
    """A run that is stopped between two measurements and continued is the run that was never stopped."""
    with _stopped_at(STOP):
        try:
            trial.train("parts")
        except Preempted:
            unlock(trial.folder / "parts")
        else:
            raise BrokenPromiseError(f"resumes: a stop signal at step {STOP} did not stop the run.")
    STOP_SIGNAL.number = 0
    _same(
        "resumes",
        trial.folder / "first",
        trial.train("parts"),
        0.0,
        "Something that training changes is in no checkpoint: a plain attribute of a module in place of a buffer "
        "(register_buffer), or a generator of one's own.",
    )


def loads(trial: Trial) -> None:
    """``load_run`` gives back the network, whose scores are those that were recorded."""
    path = trial.folder / "first"
    saved = read_json(path / "result.json")["last"]
    found = evaluate(path, "last")
    _close(
        "loads",
        {key: value for key, value in saved.items() if value is not None},
        found,
        TOLERANCE,
        "What the network computes depends on more than its state_dict, or the data differ from one draw to the next.",
    )


def shares(trial: Trial) -> None:
    """Two processes give the numbers of one."""
    _same(
        "shares",
        trial.folder / "first",
        trial.train("two", "trainer.devices=2"),
        TOLERANCE,
        "An example's loss depends on those beside it in the batch, as with BatchNorm, or random numbers are drawn for "
        "a part of the batch: draw them for the whole batch and take this process's part.",
    )


def stacks(trial: Trial) -> None:
    """Trained beside another seed as stacked models, a run is the run trained alone; where it can be stacked."""
    composed = trial.compose()
    if obstacle(composed.config) is not None:
        return
    other = trial.compose(f"seed={composed.config.seed + 1}")
    run_many(
        [
            plan_new(composed, trial.folder / "stack" / "0"),
            plan_new(other, trial.folder / "stack" / "1"),
        ],
        log=lambda sentence: None,
    )
    _same(
        "stacks",
        trial.folder / "first",
        trial.folder / "stack" / "0",
        TOLERANCE,
        "The stacked form of the task or of the optimizer's rule computes something else than the single one.",
    )


PROMISES: Mapping[str, Callable[[Trial], None]] = {
    promise.__name__: promise for promise in (trains, repeats, resumes, loads, shares, stacks)
}
"""Every promise by name, in the order in which they are tried; all others compare with the run of ``trains``."""


def check_choice(
    *words: str,
    extensions: Sequence[str | Path] = (),
    leave_out: Sequence[str] = (),
    folder: str | Path | None = None,
) -> None:
    """Train with a choice a few steps in every way there is, and compare bit for bit what must be equal.

    Args:
        words: Overrides of the command line, such as ``"data=moons", "network=cnn", "data.num_points=60"``.
        extensions: Files that register choices.
        leave_out: Promises not to try, by name: see ``PROMISES``. ``shares`` starts a process, which takes seconds.
        folder: Where the runs are kept for a look; None for one that is removed.

    Raises:
        BrokenPromiseError: For the first promise that is not kept.
        ConfigError: If the choice cannot be built, with the reason.
    """
    if unknown := set(leave_out) - PROMISES.keys():
        raise ValueError(
            f"leave_out: expected some of {', '.join(PROMISES)}, but got {', '.join(sorted(unknown))}."
        )
    named = [f"extensions=[{','.join(map(str, extensions))}]"] if extensions else []
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gaplab-"))
        stack.enter_context(process_settings_kept())
        trial = Trial([*named, *words], Path(folder))
        for name, promise in PROMISES.items():
            if name not in leave_out or name == "trains":
                promise(trial)


class CheckedChoice:
    """For pytest: a subclass that sets ``words`` has one test, ``test_it_keeps_every_promise``.

    ::

        class TestMoons(CheckedChoice):
            words = ("data=moons",)
            extensions = ("my_points.py",)
    """

    words: ClassVar[Sequence[str]] = ()
    extensions: ClassVar[Sequence[str | Path]] = ()
    leave_out: ClassVar[Sequence[str]] = ()

    def test_it_keeps_every_promise(self) -> None:
        check_choice(*self.words, extensions=self.extensions, leave_out=self.leave_out)


@contextlib.contextmanager
def _stopped_at(step: int) -> Iterator[None]:
    """Let a run find a stop signal when it has taken ``step`` steps or more."""
    original = Checkpoints.on_train_batch_start

    def hook(self: Checkpoints, trainer: Trainer, *arguments: Any) -> None:
        if trainer.global_step >= step:
            STOP_SIGNAL.number = signal.SIGTERM
        original(self, trainer, *arguments)

    Checkpoints.on_train_batch_start = hook  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Checkpoints.on_train_batch_start = original  # type: ignore[method-assign]


def _weights(path: Path) -> dict[str, Tensor]:
    return read_weights(path / "checkpoints" / "last.ckpt").weights


def _scores(path: Path) -> dict[str, float]:
    last = read_json(path / "result.json")["last"]
    return {tag: math.nan if value is None else float(value) for tag, value in last.items()}


def _same(promise: str, one: Path, other: Path, tolerance: float, cause: str) -> None:
    """Compare weights and scores of two runs; with a tolerance of 0, bit for bit."""
    ours, theirs = _weights(one), _weights(other)
    if ours.keys() != theirs.keys():
        raise BrokenPromiseError(
            f"{promise}: expected the same tensors in both runs, but got other names. {cause}"
        )
    for name, tensor in ours.items():
        difference = (tensor.double() - theirs[name].double()).abs().max().item() if tensor.numel() else 0.0
        if not difference <= tolerance:
            raise BrokenPromiseError(f"{promise}: {name} differs by {difference:.3g}. {cause}")
    _close(promise, _scores(one), _scores(other), tolerance, cause)


def _close(
    promise: str, ours: Mapping[str, float], theirs: Mapping[str, float], tolerance: float, cause: str
) -> None:
    if missing := ours.keys() - theirs.keys():
        raise BrokenPromiseError(f"{promise}: {', '.join(sorted(missing))} is not measured again. {cause}")
    for tag, value in ours.items():
        if math.isnan(value) and math.isnan(theirs[tag]):
            continue
        difference = abs(value - theirs[tag])
        if not difference <= tolerance * max(1.0, abs(value)):
            raise BrokenPromiseError(
                f"{promise}: {tag} is {value:.6g} in one run and {theirs[tag]:.6g} in the other. {cause}"
            )
