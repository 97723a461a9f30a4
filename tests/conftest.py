"""Which tests run where and in what order; what they share stands in ``shared_fixtures.py``."""

import pytest

from forked import share_template
from gaplab.process.devices import own_cpus

LONGEST = (
    "test_worker_pool.py",
    "test_readme.py",
    "test_gans.py",
    "test_phenomena.py",
    "test_shipped_configs.py",
    "test_lightning_projects.py",
    "test_ddp.py",
    "test_halving.py",
    "test_project.py",
    "test_stacked_runs.py",
    "test_preemption.py",
    "test_torchrun.py",
    "test_resume.py",
    "test_gan.py",
)
"""Files that begin first: a file's tests run in one process, and none should end long after the others."""


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures, except in a process that only hands tests to others and need not wait for torch."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        share_template()
    else:
        config.pluginmanager.import_plugin("shared_fixtures")


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: many tests wait for the processes that they start."""
    return len(own_cpus()) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))
