"""Whether two run directories hold the same run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from gaplab.config.compose import Composed
from gaplab.runs.resume import Plan, plan_new
from gaplab.sweeps.train_work import run_many


def assert_same_run(together: Path, alone: Path) -> None:
    ours, theirs = (json.loads((path / "result.json").read_text()) for path in (together, alone))
    assert ours.keys() == theirs.keys()
    assert_close(ours, theirs)
    for name in ("last", "best") if (alone / "checkpoints" / "best.ckpt").exists() else ("last",):
        left, right = (
            torch.load(path / "checkpoints" / f"{name}.ckpt", weights_only=True) for path in (together, alone)
        )
        assert left["global_step"] == right["global_step"]
        assert_close(left["state_dict"], right["state_dict"])
        if name == "last":
            assert_close(left["optimizer_states"], right["optimizer_states"])
            assert_close(left["lr_schedulers"], right["lr_schedulers"])
            assert_close(left["callbacks"]["Recorder"], right["callbacks"]["Recorder"])


def assert_close(ours: Any, theirs: Any) -> None:
    """Equal structure, and numbers equal to 1e-8."""
    assert isinstance(ours, dict) == isinstance(theirs, dict)
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert_close(ours[key], theirs[key])
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for left, right in zip(ours, theirs, strict=True):
            assert_close(left, right)
    elif isinstance(ours, torch.Tensor):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)
    elif isinstance(ours, float):
        assert ours == pytest.approx(theirs, rel=0, abs=1e-8, nan_ok=True)
    else:
        assert ours == theirs


def assert_neighbours_do_not_matter(composed: Sequence[Composed], folder: Path) -> None:
    """Train runs all together, in pairs, and the third one alone; the results agree to 1e-12."""
    plans = [plan_new(run, folder / "all" / str(place)) for place, run in enumerate(composed)]
    together = run_many(plans)
    pairs = run_many([Plan(p.composed, folder / "pairs" / p.path.name) for p in plans], max_models=2)
    alone = run_many([Plan(plans[2].composed, folder / "one")])
    assert pairs == pytest.approx(together, rel=0, abs=1e-12)
    assert alone == pytest.approx(together[2:3], rel=0, abs=1e-12)
