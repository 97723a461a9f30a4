"""A file anywhere offers choices, in every process that needs them, and is found again with the run."""

from pathlib import Path

import pytest
import yaml

from gaplab.config.extensions import check_loaded, check_recorded, load_files
from gaplab.config.registry import CHOICES
from gaplab.errors import ConfigError
from quick_runs import QUICK
from running import TRAIN, finished

SOURCE = """
from dataclasses import dataclass

import torch
from gaplab import register
from gaplab.config.network import NetworkConfig
from gaplab.config.trainer import TrainerConfig


@dataclass(kw_only=True, slots=True)
class BilinearConfig(NetworkConfig):
    scale: float = 1.0

    def build(self, in_features, out_features, generator):
        network = torch.nn.Linear(in_features, out_features)
        for p in network.parameters():
            torch.nn.init.normal_(p, std=self.scale, generator=generator)
        return network


@dataclass(kw_only=True, slots=True)
class PatientConfig(TrainerConfig):
    rendezvous_seconds: float = 60.0


register("network", "one_map", BilinearConfig)
register("trainer", "patient", PatientConfig)
"""
WORDS = [
    *(word for word in QUICK if not word.startswith("network")),
    *("extensions=[elsewhere/my_choices.py]", "network=one_map", "trainer=patient"),
]


def test_a_file_serves_ranks_workers_resume_and_evaluation(tmp_path: Path) -> None:
    file, run, log = tmp_path / "elsewhere" / "my_choices.py", tmp_path / "logs" / "a" / "r", tmp_path / "log"
    file.parent.mkdir()
    file.write_text(SOURCE)
    two = finished([*TRAIN, *WORDS, "trainer.devices=2", "run.name=a", "run.id=r"], log)
    assert two.process.returncode == 0, two.output
    assert yaml.safe_load((run / "config.yaml").read_text())["extensions"] == [str(file)]

    (other := tmp_path / "other").mkdir()
    words = [*TRAIN, f"resume={run}", "trainer.max_steps=32", "trainer.devices=1"]
    refused = finished(words, other / "refused")
    assert refused.process.returncode == 2
    assert f"add extensions=[{file}] to the command" in refused.output
    more = finished([*words, f"extensions=[{file}]"], other / "log")
    assert more.process.returncode == 0, more.output

    sweep = [*TRAIN, "-m", *WORDS, "seed=0,1", "hydra/launcher=pool", "hydra.launcher.num_workers=2"]
    jobs = finished(sweep, tmp_path / "sweep.log")
    assert jobs.process.returncode == 0, jobs.output
    assert len([*(tmp_path / "logs").glob("*/*/result.json")]) == 3

    file.unlink()
    gone = finished([TRAIN[0], "-m", "gaplab.evaluate", str(run)], tmp_path / "gone.log")
    assert gone.process.returncode == 2
    assert gone.output.startswith(
        f"error: {run}/config.yaml, extensions: this run was made with choices of {file}"
    )
    assert "which is not there any more" in gone.output


@pytest.mark.parametrize(
    ("value", "answer"),
    [("[absent.py]", "there is no .*/absent.py"), ("absent.py", r"expected a list, .* but got 'absent.py'")],
)
def test_what_is_no_file_is_refused(value: str, answer: str) -> None:
    from gaplab.config.compose import compose_config

    with pytest.raises(ConfigError, match=f"extensions: .*{answer}"):
        compose_config([f"extensions={value}"])


def test_an_experiment_of_ones_own_brings_its_extensions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gaplab.config.compose import compose_config

    (tmp_path / "configs" / "experiment").mkdir(parents=True)
    lines = [
        "# @package _global_",
        "extensions: [carried_along.py]",
        "defaults:",
        "  - override /network: carried",
    ]
    (tmp_path / "configs" / "experiment" / "mine.yaml").write_text("\n".join(lines))
    (tmp_path / "carried_along.py").write_text(
        SOURCE.replace('"one_map"', '"carried"').split("@dataclass")[0]
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="network: expected one of .* but got 'carried'"):
        compose_config(["experiment=mine"])
    (tmp_path / "carried_too.py").write_text(SOURCE.replace('"one_map"', '"carried"'))
    yaml_file = tmp_path / "configs" / "experiment" / "mine.yaml"
    yaml_file.write_text(yaml_file.read_text().replace("carried_along", "carried_too"))
    composed = compose_config(["experiment=mine"])
    assert type(composed.config.network).__name__ == "BilinearConfig"
    assert composed.resolved["extensions"] == [str(tmp_path / "carried_too.py")]
    CHOICES["network"].pop("carried")


def test_extensions_that_come_too_late_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="late.py came too late to register choices. Add extensions="):
        check_loaded([str(tmp_path / "late.py")])


def test_a_run_directory_brings_no_code(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit")
    with pytest.raises(ConfigError, match=r"is not executed by itself: add extensions=.*evil.py"):
        check_recorded([str(tmp_path / "evil.py")], str(tmp_path / "config.yaml"))


def test_a_file_called_like_a_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("")
    with pytest.raises(ConfigError, match="a name of its own, but 'json' is also .*Rename"):
        load_files([str(tmp_path / "json.py")], "extensions")
