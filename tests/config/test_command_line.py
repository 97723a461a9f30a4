"""The words of a command: flags of Hydra in any place, and refusals of what would have no effect."""

from pathlib import Path

import pytest

from gaplab.config.command_line import read_command_line
from gaplab.errors import ConfigError


def test_flags_are_told_from_overrides_wherever_they_stand() -> None:
    command = read_command_line(["seed=1,2", "--config-dir", "X", "-m", "data.noise=-1"])
    assert command.flags == ["--config-dir=X", "--multirun"]
    assert command.overrides == ["seed=1,2", "data.noise=-1"]
    assert command.multirun
    plain = read_command_line(["seed=1", "+tags=[a]"])
    assert (plain.flags, plain.overrides, plain.multirun) == ([], ["seed=1", "+tags=[a]"], False)
    assert read_command_line(["--cfg", "job", "-p", "data"]).flags == ["--cfg=job", "--package=data"]
    assert read_command_line(["-cp", "x"]).flags == [f"--config-path={Path.cwd() / 'x'}"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("seed=1 seed=2", "seed: expected one value, list or range, but got seed=1 and seed=2"),
        ("-m seed=range(0,3) ++seed=1", r"got seed=range\(0,3\) and \+\+seed=1"),
        ("data=ring +data=grid", "data: expected one value"),
        ("-m resume=RUN optimizer.lr=0.1,0.2", "resume: expected none in a sweep"),
        ("+resume=RUN", r"resume: expected resume=RUN beside overrides only, but got \+resume=RUN"),
        ("++resume=RUN", r"but got \+\+resume=RUN"),
        ("--config-dir=X resume=RUN", "but got --config-dir=X resume=RUN"),
        ("run.id=a resume=RUN", "run.id: expected none beside resume"),
        ("-m run.id=a seed=1,2", "run.id: expected none in a sweep"),
        ("-m run.name=a seed=1,2", "run.name: expected none in a sweep"),
        ("hydra/launcher=pool", "hydra/launcher: expected -m beside it"),
        ("hydra.sweeper.max_batch_size=1", "hydra.sweeper.max_batch_size: expected -m beside it"),
        ("hydra.run.dir=x", "hydra.run.dir: expected a key that has an effect"),
        ("hydra.verbose=true", "hydra.verbose: "),
        ("hydra/job_logging=default", "hydra/job_logging: "),
        ("-m hydra.job.chdir=true", "hydra.job.chdir: "),
        ("-m hydra.sweep.subdir=x", "hydra.sweep.subdir: "),
        ("--experimental-rerun x", "--experimental-rerun: "),
        ("--run -m", "--run, --multirun: expected one of these flags"),
        ("--resolve", "--resolve, --package: expected --cfg"),
        ("~data_seed", "~data_seed: expected key=value, as every key has a value"),
        ("~tags=[a]", "~tags=.a.: expected key=value"),
        ("+=x", "expected key=value, but there is no key"),
        ("=x", "expected key=value, but there is no key"),
        ("--nope", "unrecognized arguments: --nope. The flags are Hydra's"),
        ("--cfg everything", "invalid choice: 'everything'"),
    ],
)
def test_words_without_effect_are_refused(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_command_line(words.split())


def test_what_a_sweep_obeys_is_accepted() -> None:
    words = ["-m", "hydra/launcher=pool", "hydra.launcher.num_workers=2", "hydra/sweeper/sampler=random"]
    words += ["hydra.sweep.dir=x", "hydra.searchpath=[x]", "run.root=y"]
    assert read_command_line(words).overrides == words[1:]
    assert read_command_line(["hydra.searchpath=[x]", "resume=null"]).flags == []
