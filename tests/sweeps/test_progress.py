"""What the bar of a stacked sweep says before the first steps, and after."""

from gaplab.sweeps.progress import SweepProgress


def test_the_bar_says_why_nothing_moves_yet() -> None:
    progress = SweepProgress(3, 300, shown=False)
    (task,) = progress.bar.tasks
    assert task.fields["speed"] == "preparing or compiling"
    progress.report(100, 1)
    assert (task.completed, task.total) == (100, 300)
    assert task.fields["speed"].endswith(" models x steps/s, 1 diverged")
