"""A sweep gives up what it trained before it goes on, whether or not the garbage collector has come by itself."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from gaplab.config.compose import compose_config
from gaplab.runs.resume import plan_new
from gaplab.sweeps import train_work
from gaplab.sweeps.train_work import run_many

QUICK = (
    *("data.num_points=64", "data.num_val_points=0", "data.num_test_points=80", "network.widths=[8]"),
    *(
        "trainer.max_steps=2",
        "trainer.accelerator=cpu",
        "trainer.progress_bar=false",
        "logging.pictures=false",
    ),
)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("stacked", [True, False])
def test_no_network_outlives_its_turn(
    stacked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_collector: None
) -> None:
    gc.collect()
    before = {id(one) for one in gc.get_objects() if issubclass(type(one), nn.Module)}
    train_item, alive = train_work.train_item, []

    def watched(*arguments: object, **options: object) -> object:
        answer = train_item(*arguments, **options)  # type: ignore[arg-type]
        modules = (one for one in gc.get_objects() if issubclass(type(one), nn.Module))
        alive.append(sum(id(one) not in before for one in modules))
        return answer

    monkeypatch.setattr(train_work, "train_item", watched)
    more = [] if stacked else ["logging.checkpoint_steps=[1]"]
    jobs = [compose_config([*QUICK, *more, f"seed={seed}"]) for seed in range(6)]
    plans = [plan_new(job, tmp_path / str(number)) for number, job in enumerate(jobs)]
    run_many(plans, max_models=2, compile=False)
    assert len(alive) == (3 if stacked else 6)
    # What is compiled for the next chunk keeps the functions, and so a network, of the first one.
    assert max(alive) == alive[0]
