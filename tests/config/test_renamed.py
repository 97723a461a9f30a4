"""Old names: answered with the new one on a command line, and understood in the directory of an old run."""

from pathlib import Path

import pytest
import yaml

from gaplab.builders.load_run import load_run
from gaplab.config.compose import compose_config
from gaplab.config.renamed import CHOICES, KEYS, new_key, with_new_names
from gaplab.errors import ConfigError
from gaplab.runs.resume import plan_resumption
from gaplab.train import run_one
from quick_runs import Compose

OLD = [f"{section}.{old}".lstrip(".") for section, names in KEYS.items() for old in names]


@pytest.mark.parametrize("key", [*OLD, "task.generator.shortcuts"])
def test_an_old_key_is_answered_with_its_new_name(key: str) -> None:
    words = ["data=grid"] if key == "data.side" else []
    words += ["task=gan"] if key.startswith("task.generator") else []
    for prefix in ("", "+"):
        with pytest.raises(ConfigError, match=f"^{key}: .* {new_key(key)} now"):
            compose_config([*words, f"{prefix}{key}=1"])


@pytest.mark.parametrize(
    ("group", "old"), [(group, old) for group, names in CHOICES.items() for old in names]
)
def test_an_old_choice_is_answered_with_its_new_name(group: str, old: str) -> None:
    with pytest.raises(ConfigError, match=f"{group}={old} is called {group}={CHOICES[group][old]} now"):
        compose_config([f"{group}={old}"])


def test_an_old_value_is_answered_with_its_new_name() -> None:
    with pytest.raises(ConfigError, match="'counting'. It is called 'bounds' now"):
        compose_config(["measures=counting"])


def test_a_gan_keeps_its_loss_beside_an_old_name() -> None:
    saved = {"task": {"loss": "hinge", "generator": {"drawn_before": [], "shortcuts": True}}}
    assert with_new_names(saved)["task"] == {
        "loss": "hinge",
        "generator": {"rng_skip_widths": [], "dense_skip": True},
    }


def test_the_directory_of_an_old_run_is_read(tmp_path: Path, quick: Compose) -> None:
    run = tmp_path / "old"
    run_one(quick("optimizer.max_grad_norm=0.5", "network.dense_skip=true", "train_seed=3"), run)
    file = run / "config.yaml"
    content = yaml.safe_load(file.read_text())
    for section, names in KEYS.items():
        table = content[section] if section else content
        for old, new in names.items():
            if new in table:
                table[old] = table.pop(new)
    content |= {"stream": "separate", "measures": "counting"}
    file.write_text(yaml.safe_dump(content))
    config = load_run(run).config
    assert config.optimizer.max_grad_norm == 0.5
    assert config.train_seed == 3
    assert config.shared_rng is False
    plan = plan_resumption(run, [])
    assert plan.finished
