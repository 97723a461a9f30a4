"""One SLURM for all tests of this folder, where the machine allows it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm import Slurm, missing


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """Beside pytest's own folders, which other sessions of pytest close to munge's user."""
    reason = missing()
    if reason is not None:
        pytest.skip(f"no SLURM of our own: {reason}")
    with tempfile.TemporaryDirectory(prefix="gaplab-slurm-", ignore_cleanup_errors=True) as folder:
        cluster = Slurm(Path(folder))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
