"""What ``--help`` prints. Hydra's own help takes a second, most of it copying its list of groups."""

from pathlib import Path

from hydra.core.config_store import ConfigStore

from gaplab.config import schema  # noqa: F401  # its choices enter the table
from gaplab.config.extensions import SLOW, load_extensions
from gaplab.config.projects import config_folders
from gaplab.config.registry import CHOICES

MOST_USED = {
    "seed": "default of data_seed, init_seed and train_seed",
    "data.num_points": "training points",
    "data.noise": "spread of the points around their arm",
    "data.label_noise": "share of wrong labels",
    "data.batch_size": "points a step; null for full batch",
    "network.widths": "hidden layers, for example [50,50]",
    "network.activation": "relu, tanh, sigmoid, step, ...",
    "optimizer.lr": "learning rate",
    "trainer.max_steps": "optimiser steps (or trainer.max_epochs)",
    "trainer.devices": "processes on one machine",
}

EXAMPLES = {
    "python train.py experiment=notebook_relu": "one run",
    "python train.py -m seed='range(0,10)' data.noise=0.1,0.2": "a sweep",
    "python train.py -m seed='range(0,256)' hydra/launcher=vectorized": "as stacked models (also: pool, slurm)",
    "python train.py resume=logs/default/RUN": "continue a run",
    "python -m gaplab.evaluate logs/default/RUN": "measure it again",
}


def overview() -> str:
    """Return groups, experiments, the most used keys and examples."""
    load_extensions()
    lines = ["Train a network on a 2-D point set and measure its generalization gap.", "", "Groups:"]
    store = ConfigStore.instance()
    for group in CHOICES:
        names = sorted(name.removesuffix(".yaml") for name in store.list(group) if name.endswith(".yaml"))
        lines.append(f"  {group}={'|'.join(names)}")
    for group in ("experiment", "debug"):
        lines += ["", f"{group.capitalize()}s ({group}=NAME):"]
        for folder in config_folders():
            lines += [f"  {name:36} {question}" for name, question in described(folder / group)]
    lines += ["", "Most used keys (key=value):"]
    lines += [f"  {key:28} {meaning}" for key, meaning in MOST_USED.items()]
    lines += ["", "Examples:"]
    lines += [f"  {command:66} {meaning}" for command, meaning in EXAMPLES.items()]
    for name in SLOW:
        lines += [
            "",
            f"{name} imports torch when it is loaded, and every command waits for that; import it in the builder.",
        ]
    lines += [
        "",
        "All keys with their meaning stand in docs/keys.md; --cfg job prints what is set now.",
        'Completion: eval "$(python train.py --shell-completion install=bash)"',
    ]
    return "\n".join(lines)


def described(folder: Path) -> list[tuple[str, str]]:
    """Return name and first comment of every YAML file below a folder."""
    rows = []
    for file in sorted(folder.rglob("*.yaml")):
        comments = [line for line in file.read_text().splitlines() if line.startswith("# ")]
        question = next((line[2:] for line in comments if not line.startswith("# @package")), "")
        rows.append((str(file.relative_to(folder).with_suffix("")), question))
    return rows
