"""Run directories that somebody prepared: nothing outside them is read into them, written or executed."""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gaplab.builders.load_run import load_run
from gaplab.errors import ConfigError
from gaplab.runs.resume import plan_resumption

SECRET = b"private: 1\n"
BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
)


class Malice:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.system, ("touch executed",)


def replaced(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def linked(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path.parents[path.parts[::-1].index("run")] / "secret")


def piped(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def with_setting(run: Path, old: str, new: str) -> None:
    file = run / "config.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


ATTACKS: dict[str, Callable[[Path], None]] = {
    "the lock is a link": lambda run: linked(run / ".lock"),
    "the lock is a pipe": lambda run: piped(run / ".lock"),
    "an event file is a link": lambda run: linked(run / "events.out.tfevents.1.a"),
    "metrics.csv is a link": lambda run: linked(run / "metrics.csv"),
    "metrics.csv is a pipe": lambda run: piped(run / "metrics.csv"),
    "log.txt is a link": lambda run: linked(run / "log.txt"),
    "a figure is a link": lambda run: linked(run / "figures" / "x.png"),
    "run.json is a pipe": lambda run: piped(run / "run.json"),
    "config.yaml is a pipe": lambda run: piped(run / "config.yaml"),
    "config.yaml is a link": lambda run: linked(run / "config.yaml"),
    "last.ckpt is a pipe": lambda run: piped(run / "checkpoints" / "last.ckpt"),
    "last.ckpt is a pickle": lambda run: replaced(run / "checkpoints" / "last.ckpt", pickle.dumps(Malice())),
    "aliases multiply": lambda run: replaced(run / "config.yaml", BOMB.encode()),
    "an alias holds itself": lambda run: replaced(run / "config.yaml", b"&a {a: *a}"),
    "YAML names a function": lambda run: replaced(
        run / "config.yaml", b"a: !!python/object/apply:os.system ['touch executed']"
    ),
    "a section has a target": lambda run: with_setting(run, "network:", "network:\n  _target_: os.system"),
    "a name is looked up": lambda run: with_setting(run, "name: default", "name: ${oc.env:HOME}"),
    "an extension is named": lambda run: with_setting(run, "extensions: []", "extensions: [/tmp/evil.py]"),
}


@pytest.fixture
def prepared(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(SECRET)
    shutil.copytree(finished_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_prepared_run_is_refused(attack: str, prepared: Path) -> None:
    ATTACKS[attack](prepared)
    with pytest.raises(ConfigError) as refused:
        plan_resumption(prepared, ["trainer.max_steps=30"])
    assert str(prepared) in str(refused.value)
    assert "private" not in str(refused.value)
    if attack.startswith(
        ("a section", "a name", "an extension", "aliases", "an alias", "YAML", "config.yaml")
    ):
        with pytest.raises(ConfigError):
            load_run(prepared)
    assert (prepared.parent / "secret").read_bytes() == SECRET
    assert not (prepared.parent / "executed").exists()


def test_a_folder_that_is_a_link_is_not_written_to(prepared: Path) -> None:
    elsewhere = prepared.parent / "elsewhere"
    shutil.move(prepared / "checkpoints", elsewhere)
    (prepared / "checkpoints").symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="checkpoints: expected a file that a run wrote, but it is a link"):
        plan_resumption(prepared, ["trainer.max_steps=30"])


def test_links_within_a_run_and_those_of_other_programs_stay(prepared: Path) -> None:
    (prepared / "figures" / "newest.png").symlink_to("decision_regions_test.png")
    (prepared / "wandb").mkdir()
    (prepared / "wandb" / "debug.log").symlink_to(prepared.parent / "secret")
    assert plan_resumption(prepared, ["trainer.max_steps=30"]).checkpoint is not None
