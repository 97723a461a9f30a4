"""What the jobs of a sweep find in its folder, looked at before any of them starts."""

from collections.abc import Sequence
from pathlib import Path

from gaplab.errors import ConfigError
from gaplab.process.exits import is_first_process
from gaplab.sweeps.job import LAUNCHED, SweepJob


def prepare_folder(jobs: Sequence[SweepJob], *, more: bool) -> None:
    """Make room for runs that are to be done anew, refuse jobs in the place of other runs, and record the jobs.

    Args:
        jobs: At least one.
        more: Whether they come on top of the jobs that are recorded already.

    Raises:
        ConfigError: If the run of another configuration stands in the place of a job, or one that is at work in
            the place of a job to do anew, or the folder cannot be written.
    """
    from gaplab.runs.anew import notice_of_other_code, refuse_other_run, set_aside, wishes_anew
    from gaplab.runs.sweep_folder import runs_of, write_jobs
    from gaplab.storage.locking import lock, unlock
    from gaplab.sweeps.run_job import status

    wishes = [wishes_anew(job.composed) for job in jobs]
    if not is_first_process():
        return
    done = set(LAUNCHED)
    if not any(wishes):
        for job in jobs:
            refuse_other_run(job.composed, job.path)
    folder = jobs[0].path.parent
    try:
        old = [job.path for job in jobs if any(wishes) and job.path not in done and job.path.is_dir()]
        for path in old:  # all of them first, so that none is moved if one is at work
            lock(path)
            unlock(path)
        for path in old:
            set_aside(path)
        write_jobs(folder, [job.path.name for job in jobs], more=more)
    except OSError as error:
        raise ConfigError(
            f"run.root: expected a folder that can be written, but {folder} gave: {error.strerror or error}. Choose "
            "another with run.root=FOLDER."
        ) from error
    finished = [job.path for job in jobs if status(job.path) == "finished"]
    if finished and (notice := notice_of_other_code(finished)) is not None:
        print(notice)
    if others := _others(folder, runs_of(folder)):
        print(
            f"{others} runs in {folder} are of other settings than this sweep's; they stay, and are not counted."
        )


def _others(folder: Path, own: Sequence[Path]) -> int:
    return sum(1 for _ in folder.glob("*/run.json")) - len(own)
