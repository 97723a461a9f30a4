"""Where a sweep says that it can be looked at."""

from pathlib import Path

from gaplab.tensorboard.links import look_at_run, look_at_sweep


def test_so_many_runs_that_none_is_selected_are_opened_by_their_summary() -> None:
    few, many = (look_at_sweep(Path("logs/sweep"), count) for count in (500, 501))
    assert few[0] == "Look: tensorboard --logdir logs/sweep"
    assert many[0].startswith("Look: tensorboard --logdir logs/sweep/summary ")
    assert many[1].startswith("or    tensorboard --logdir logs/sweep ")
    assert many[2:] == few[1:]


def test_a_command_that_is_printed_can_be_typed() -> None:
    assert (
        look_at_run(Path("my logs/a/b"), True, ["loss/train", "gap/loss"])[0]
        == "Look: tensorboard --logdir 'my logs/a'"
    )
    assert look_at_sweep(Path("my logs/a"), 2)[0] == "Look: tensorboard --logdir 'my logs/a'"
