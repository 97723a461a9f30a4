"""Every kind of mistake in a configuration gives one message: key, expectation, value, nearest name."""

import subprocess
import sys
from pathlib import Path

import pytest

from gaplab.config.compose import CONFIG_DIR, compose_config
from gaplab.config.registry import PROJECT_ROOT, register
from gaplab.errors import ConfigError

MISTAKES = {
    # typos on the command line
    "network.widht=3": ["network.widht", "MLPConfig", "Did you mean 'widths'?"],
    "data.arms=3": ["data.arms", "SpiralsConfig", "'num_arms'"],
    "sed=3": ["sed", "Did you mean 'seed'?"],
    "trianer.max_steps=3": ["trianer", "Did you mean 'trainer'?"],
    "optimizr=adam": ["optimizr", "Did you mean 'optimizer'?"],
    "lr=0.1": ["lr", "Did you mean 'optimizer.lr'?"],
    "experiment=xor": ["experiment", "Did you mean 'phenomena/xor'?"],
    "task.pack=4": ["task.pack", "It is a key of task=gan"],
    # additions with + and ++, which Hydra's own messages suggest
    "+network.widht=3": ["network.widht", "MLPConfig", "Did you mean 'widths'?"],
    "++network.widht=3": ["network.widht", "MLPConfig", "Did you mean 'widths'?"],
    "+trianer.max_steps=3": ["trianer", "Did you mean 'trainer'?"],
    "+note=1": ["note", "Config", "no such key"],
    "~network.widths": ["network.widths", "deletion"],
    "~data": ["data", "spirals", "no option"],
    # types
    "optimizer.lr=fast": ["optimizer.lr", "expected a number", "'fast'"],
    "optimizer.lr=": ["optimizer.lr", "expected a number", "''"],
    "trainer.max_steps=2.5": ["trainer.max_steps", "a whole number", "'2.5'"],
    "data.num_points=many": ["data.num_points", "a whole number", "'many'"],
    "seed=true": ["seed", "a whole number", "'True'"],
    "seed=null": ["seed", "expected a value", "null"],
    "network.widths=wide": ["network.widths", "a list", "[50,50]", "'wide'"],
    "network.widths=[50,a]": ["network.widths[1]", "a whole number", "'a'"],
    "trainer.deterministic=maybe": ["trainer.deterministic", "true or false", "'maybe'"],
    # choices
    "network.activation=rleu": ["network.activation", "relu, leaky_relu", "'rleu'", "Did you mean 'relu'?"],
    "data.sampling=gird": ["data.sampling", "grid, iid", "'gird'", "Did you mean 'grid'?"],
    "network=mpl": ["network", "linear, mlp", "'mpl'", "Did you mean 'mlp'?"],
    "network=null": ["expected the name of an option"],
    "experiment=notebook_rleu": ["experiment", "two_spirals", "'notebook_rleu'", "'notebook_relu'"],
    "trainer.precision=bf16-true": ["trainer.precision", "bf16-mixed", "'bf16-true'"],
    "trainer.devices=two": ["trainer.devices", "a whole number or auto", "'two'"],
    # ranges
    "data.num_points=-5": ["data.num_points", "at least 3", "-5"],
    "data=notebook_spirals data.num_points=0": ["data.num_points", "at least 3", "got 0"],
    "data.num_test_points=0": ["data.num_test_points", "at least 1", "got 0"],
    "data.num_val_points=2": ["data.num_val_points", "at least 3", "got 2"],
    "data.num_points=1": ["data.num_points", "at least 3", "got 1", "Every arm needs a point"],
    "data.noise=inf": ["data.noise", "finite", "inf"],
    "data.label_noise=1.5": ["data.label_noise", "between 0 and 1", "1.5"],
    "data.batch_size=0": ["data.batch_size", "at least 1", "null for full batch"],
    "network.widths=[0]": ["network.widths", "at least 1", "got 0"],
    "network.dropout=1": ["network.dropout", "[0, 1)", "1.0"],
    "optimizer.lr=-1": ["optimizer.lr", "larger than 0", "-1.0"],
    "optimizer.lr=nan": ["optimizer.lr", "larger than 0", "nan"],
    "trainer.max_steps=0": ["trainer.max_steps", "at least 1", "got 0"],
    "trainer.devices=0": ["trainer.devices", "at least 1", "got 0"],
    "seed=-1": ["seed", "[0, 2^63)", "-1"],
    "run.id=../other": ["run.id", "one folder", "'../other'"],
    # combinations
    "data.batch_size=301": ["data.batch_size", "at most the 300", "301", "data.batch_size=null"],
    "trainer.max_steps=5 trainer.max_epochs=7": ["trainer.max_steps", "trainer.max_epochs", "5 and 7"],
    "task.loss=hinge task.label_smoothing=0.1": ["task.label_smoothing", "cross_entropy", "0.1"],
    "data.num_val_points=0 trainer.early_stopping_patience=3": ["early_stopping", "data.num_val_points"],
    "data.batch_size=8 trainer.devices=9 trainer.num_nodes=1": [
        "trainer.devices",
        "batch (8)",
        "got 9",
        "data.batch_size",
    ],
    "data.fold=1": ["data.fold", "data.num_folds", "got 1"],
    "data.num_folds=4 data.fold=4": ["data.fold", "between 0 and 3", "got 4"],
    "data=two_spirals data.num_points=100": ["two_spirals", "194", "data=spirals"],
    "network.block=residual network.dense_skip=true": ["network.dense_skip", "plain", "'residual'"],
    "optimizer=lbfgs optimizer.weight_decay=0.1": ["optimizer.weight_decay", "lbfgs", "0.1"],
    "optimizer=sgd optimizer.nesterov=true": ["optimizer.momentum", "Nesterov", "0.0"],
    "task=gan data=ring task.discriminator_optimizer.lr=0.001": [
        "task.discriminator_optimizer.lr",
        "it is null",
    ],
    "task=gan data=two_spirals": ["data", "a law to draw from"],
    "task=gan data.num_val_points=3": ["data.num_val_points", "at least 100", "got 3"],
    "task=gan data=ring data.num_points=1000 data.num_folds=20": ["data.num_folds", "at least 100 points"],
    "data=swiss_roll data.label_noise=0.1": ["data.label_noise", "0", "one class", "0.1"],
    "network.block=inception network.widths=[2]": ["network.widths", "at least 3", "got 2"],
    "network.rng_skip_widths=[[0]]": ["network.rng_skip_widths", "at least 1", "got 0"],
    "network=cs231n network.points_drawn_before=-1": ["network.points_drawn_before", "0 or larger", "-1"],
    # more than there is room for
    "trainer.num_threads=1000000": ["trainer.num_threads", "at most 1_024"],
    "data.num_points=1000000000000000000000000000000": ["data.num_points", "at most 1_000_000_000"],
    "data.noise_dimensions=10000000000": ["data.noise_dimensions", "at most 1_000_000_000"],
    "network.widths=[100000000000000000000]": ["network.widths[0]", "below 2^63"],
    # names of folders
    "run.name=../../x": ["run.name", "below run.root", "'../../x'"],
    "run.name=/x": ["run.name", "below run.root", "'/x'"],
    f"run.id={'a' * 300}": ["run.id", "at most 255 bytes"],
    # interpolations
    "published=${task}": ["published", "a list"],
    "tags=${task}": ["tags", "a list"],
    "run.name=${network.widths}": ["run.name", "Cannot convert"],
    "optimizer.lr=${network}": ["optimizer.lr", "Float"],
    "seed=${seed}": ["seed", "Recursive"],
    "data.noise=${oc.env:GAPLAB_NOPE}": ["data.noise", "'GAPLAB_NOPE' not found"],
    # grammar
    "experiment=null": ["experiment=null", "the name of an option"],
    "data=${seed}": ["data=${seed}"],
    "optimizer=[null]": ["optimizer=[null]", "as Hydra takes it"],
    "+=x": ["+=x", "key=value"],
    "seed": ["'seed'", "key=value"],
    "network.widths=[5": ["network.widths=[5", "Quote"],
    "optimizer.lr=0.1,0.2": ["optimizer.lr=0.1,0.2", "--multirun"],
    "data.batch_size=${nope}": ["data.batch_size", "'nope'", "does not exist"],
}


@pytest.mark.parametrize("words", MISTAKES)
def test_mistake_on_the_command_line(words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose_config(words.split())
    for part in MISTAKES[words]:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value), "one message is one line"


EXPERIMENTS = {
    "network: {widht: [3]}": ["configs/experiment/draft.yaml", "network.widht", "Did you mean 'widths'?"],
    "trianer: {max_steps: 3}": ["configs/experiment/draft.yaml", "trianer", "Did you mean 'trainer'?"],
    "optimizer: {lr: fast}": ["configs/experiment/draft.yaml", "optimizer.lr", "a number", "'fast'"],
    "network: {activation: rleu}": ["configs/experiment/draft.yaml", "network.activation", "'relu'"],
    "data: {num_points: -5}": ["data.num_points", "at least 3", "-5"],
    "defaults: [{override /network: mpl}]": ["network", "'mpl'", "Did you mean 'mlp'?"],
    "defaults: [{override /netwrk: mlp}]": ["netwrk"],
    "network: [3": ["draft.yaml", "line 2"],
    "published: [{name: loss/train}]": ["published[0].value"],
    "published: [{name: x, value: 1, realtion: near}]": ["PublishedNumber", "Did you mean 'relation'?"],
    "_target_: os.system": ["_target_", "no such key"],
    "network: {_target_: os.system}": ["network._target_", "no such key"],
}


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    """A folder of configurations like the shipped one, to which a test adds an experiment."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "config.yaml").write_text((CONFIG_DIR / "config.yaml").read_text())
    return tmp_path


@pytest.mark.parametrize("text", EXPERIMENTS)
def test_mistake_in_an_experiment(text: str, config_dir: Path) -> None:
    (config_dir / "experiment" / "draft.yaml").write_text(f"# @package _global_\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        compose_config(["experiment=draft"], config_dir)
    for part in EXPERIMENTS[text]:
        assert part in str(caught.value)


def test_experiment_beats_config_yaml_and_the_command_line_beats_both(config_dir: Path) -> None:
    (config_dir / "experiment" / "draft.yaml").write_text("# @package _global_\nseed: 7\ndata_seed: 8\n")
    config = compose_config(["experiment=draft", "data_seed=9"], config_dir).config
    assert (config.seed, config.data_seed, config.init_seed) == (7, 9, 7)
    assert config.run.name == "draft"


def test_a_choice_without_slots_or_of_an_unknown_group_cannot_be_registered() -> None:
    class Plain:
        pass

    with pytest.raises(ConfigError, match=r"Plain with @dataclass\(kw_only=True, slots=True\)"):
        register("network", "plain", Plain)
    with pytest.raises(ConfigError, match="data, network, task, optimizer, .*metric, but got 'netwrk'"):
        register("netwrk", "plain", Plain)


@pytest.mark.parametrize("word", ["network.widht=3", "data.num_points=-5"])
def test_the_command_answers_a_mistake_and_leaves_nothing_behind(word: str, tmp_path: Path) -> None:
    root = tmp_path / "logs"
    command = [sys.executable, str(PROJECT_ROOT / "train.py"), f"run.root={root}", word]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith(f"error: {word.split('=')[0]}: expected ")
    assert len(answer.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
