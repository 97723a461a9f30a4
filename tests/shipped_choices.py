"""Every choice that the package ships, and what it needs beside it to be trained."""

from pathlib import Path

from gaplab.config.registry import CHOICES

TABLE = Path(__file__).parent / "data" / "points.csv"

COMPANIONS = {
    "data=file": [f"data.path={TABLE}", "data.batch_size=8"],
    "data=friedman": ["task=regression"],
    "data=sine": ["task=regression"],
    "data=swiss_roll": ["task=gan", "task.num_samples=200", "data.num_test_points=200"],
    "network=cnn": ["data=digits"],
    "optimizer=lbfgs": ["data.batch_size=null"],
    "optimizer=torch": ["optimizer.name=NAdam"],
    "schedule=torch": ["schedule.name=ExponentialLR", "schedule.args.gamma=0.9"],
    "task=regression": ["data=sine"],
}
"""What a choice needs beside it."""


def shipped_choices() -> list[str]:
    """Return ``group=name`` of everything shipped; extensions that the checkout lists are left out."""
    return [
        f"{group}={name}"
        for group, options in CHOICES.items()
        for name, config in options.items()
        if config.__module__.startswith("gaplab.")
    ]
