"""Successive halving against the curves of a full grid, and random draws against their law."""

import csv
import json
import math
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from scipy import stats
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gaplab.config.compose import compose_config
from gaplab.errors import ConfigError
from gaplab.reports.tensorboard_tab.findings import findings_of_run
from gaplab.sweeps.halving import promoted, rungs_of
from gaplab.sweeps.random_draws import draw
from gaplab.tensorboard.read_curves import read_history
from quick_runs import QUICK, set_once
from running import PROJECT
from same_runs import assert_same_run

Main = Callable[..., int]
RATES = ("0.001", "0.01", "0.1", "1", "1e300")
GRID = (
    *("-m", "optimizer=sgd", f"optimizer.lr={','.join(RATES)}", "optimizer.schedule=cosine"),
    *("trainer.precision=64-true", "trainer.max_steps=32", "trainer.eval_every_n_steps=4"),
)
HALVING = ("hydra/sweeper=halving", "hydra.sweeper.min_steps=6", "hydra.sweeper.eta=2")
RUNGS = (8, 12, 24)
"""The first measurements at or after 6, 12 and 24 steps."""


def statuses(sweep: Path) -> dict[str, tuple[str, str]]:
    """Status of every run in the ledger, and the step at which it was pruned."""
    with (sweep / "ledger.csv").open() as file:
        return {row["optimizer.lr"]: (row["status"], row["pruned_at_step"]) for row in csv.DictReader(file)}


def by_hand(grid: Path) -> dict[str, tuple[str, str]]:
    """The same, worked out with the curves of the full grid: rates are sorted by val at each rung, half go on."""
    curves = {rate: read_history(grid / f"lr={rate}") for rate in RATES if rate != "1e300"}
    found = {"1e+300": ("diverged", "")}
    alive = [*curves, "1e300"]
    for step in RUNGS:
        if len(alive) == 1:
            break
        order = sorted((curves[rate][step]["loss/val"], rate) for rate in alive if rate in curves)
        gone = [rate for _, rate in order[len(alive) // 2 :]]
        found |= dict.fromkeys(gone, ("pruned", str(step)))
        alive = [rate for _, rate in order[: len(alive) // 2]]
    return found | dict.fromkeys(alive, ("finished", ""))


@pytest.mark.parametrize("launcher", [pytest.param("basic", marks=pytest.mark.thorough), "vectorized"])
def test_who_goes_on_is_who_is_best_in_a_full_grid(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], launcher: str
) -> None:
    folders = [f"hydra.sweep.dir={tmp_path / name}" for name in ("grid", "halved")]
    assert main(*GRID, f"hydra/launcher={launcher}", folders[0]) == 0
    command = (*GRID, *HALVING, f"hydra/launcher={launcher}", folders[1])
    assert main(*command) == 0
    grid, halved = tmp_path / "grid", tmp_path / "halved"
    expected = by_hand(grid)
    assert {len([s for s in expected.values() if s[0] == name]) for name in ("finished", "diverged")} == {1}
    assert statuses(halved) == expected
    # Who reaches the end is the run of the full grid; who does not has the beginning of its curve.
    ((best, _),) = [one for one in expected.items() if one[1][0] == "finished"]
    assert_same_run(halved / f"lr={best}", grid / f"lr={best}")
    for rate, (status, step) in expected.items():
        if status == "pruned":
            ours, theirs = (read_history(folder / f"lr={rate}") for folder in (halved, grid))
            assert ours == {
                one: pytest.approx(row, abs=1e-8) for one, row in theirs.items() if one <= int(step)
            }
    # What is said of it.
    rate, (_, step) = next(one for one in expected.items() if one[1][0] == "pruned")
    report = (halved / "report.md").read_text()
    assert "1 of 5 runs finished, 3 were pruned" in report
    assert "| 8 | 4 | 2 | 2 |" in report
    row = EventAccumulator(str(halved / f"lr={rate}")).Reload().Scalars("run/pruned_at_step")
    assert [point.value for point in row] == [int(step)]
    assert f"rung of step {step}" in findings_of_run(halved / f"lr={rate}")["verdict"]
    # The same command has nothing to do.
    before = {file: file.stat().st_mtime_ns for file in halved.glob("*/run.json")}
    capsys.readouterr()
    assert main(*command) == 0
    assert {file: file.stat().st_mtime_ns for file in halved.glob("*/run.json")} == before
    assert statuses(halved) == expected
    said = capsys.readouterr().out
    assert "Rung at step 8: 2 of 5 settings go on" in said
    assert "lready finished" in said or "1 of 1 runs are finished already" in said
    # A pruned run can be trained to its end, and is then that of the full grid as well.
    if launcher == "basic":
        assert main_without_settings(main, f"resume={halved / f'lr={rate}'}") == 0
        assert_same_run(halved / f"lr={rate}", grid / f"lr={rate}")


def main_without_settings(main: Main, word: str) -> int:
    """Run a command that has no other word."""
    import sys

    from gaplab import cli

    sys.argv[1:] = [word]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_seeds_and_folds_of_a_setting_go_on_together(main: Main, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    words = (
        "hydra/launcher=vectorized",
        *HALVING,
        f"hydra.sweep.dir={sweep}",
        "trainer.eval_every_n_steps=6",
    )
    assert main("-m", *words, "optimizer.lr=1e-4,0.01", "seed=0,1", "data.num_folds=2", "data.fold=0,1") == 0
    with (sweep / "ledger.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    found = {
        rate: {row["status"] for row in rows if row["optimizer.lr"] == rate} for rate in ("0.0001", "0.01")
    }
    means = {}
    for rate in found:
        curves = [read_history(run) for run in sweep.glob(f"lr={rate},*")]
        assert len(curves) == 4
        means[rate] = sum(curve[6]["loss/val"] for curve in curves) / 4
    best = min(means, key=means.__getitem__)
    assert found == {rate: {"finished" if rate == best else "pruned"} for rate in found}


def test_a_stopped_search_goes_on_where_it_was(
    main: Main, tmp_path: Path, stop_at: Callable[[int | None], None]
) -> None:
    words = (*GRID, *HALVING, "hydra/launcher=vectorized")
    assert main(*words, f"hydra.sweep.dir={tmp_path / 'whole'}") == 0
    stop_at(16)
    assert main(*words, f"hydra.sweep.dir={tmp_path / 'stopped'}") == 75
    records = [json.loads(file.read_text())["status"] for file in (tmp_path / "stopped").glob("*/run.json")]
    assert "preempted" in records
    stop_at(None)
    assert main(*words, f"hydra.sweep.dir={tmp_path / 'stopped'}") == 0
    assert statuses(tmp_path / "stopped") == statuses(tmp_path / "whole")
    (best,) = (rate for rate, (status, _) in statuses(tmp_path / "whole").items() if status == "finished")
    assert_same_run(tmp_path / "stopped" / f"lr={best}", tmp_path / "whole" / f"lr={best}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("hydra.sweeper.eta=1",), "hydra.sweeper.eta: expected a whole number of at least 2, but got 1"),
        (("hydra.sweeper.min_steps=24",), "fewer than the 24 steps of a run (trainer.max_steps), but got 24"),
        (("hydra.sweeper.min_steps=0",), "hydra.sweeper.min_steps: expected at least 1"),
        (("hydra.sweeper.min_steps=17",), "expected a measurement between step 17 and the end at step 24"),
        (("hydra.sweeper.min_steps=2", "hydra.sweeper.eta=2"), "are not measured between steps 2 and 4"),
        (("data.num_val_points=0",), "data.num_val_points: expected validation points"),
        (("logging.csv=false", "logging.tensorboard=false"), "logging.csv: expected true"),
        (("trainer.max_steps=24,48", "hydra.sweeper.min_steps=8"), "expected runs of equal length"),
        (("hydra/launcher=slurm",), "hydra/launcher: expected one that waits"),
        (
            ("trainer.test_only_at_end=true", "hydra/launcher=vectorized"),
            "trainer.test_only_at_end: expected false",
        ),
        (("optimizer.lr=0.1", "seed=0,1"), "expected two settings or more"),
        (
            ("optimizer.lr=interval(0.1,1)",),
            "hydra.sweeper.draws: expected a number of draws beside keys to draw",
        ),
        (("hydra.sweeper.draws=3",), "but got 3 and 0 such keys"),
        (("hydra/sweeper=grid", "optimizer.lr=interval(0.1,1)"), "expected a list or range in a grid"),
        (("hydra/sweeper=grid", "seed=range(0,2),range(5,7)"), "seed: expected values or one range"),
    ],
)
def test_mistakes_are_named_and_leave_nothing(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    defaults = ("hydra/sweeper=halving", "optimizer.lr=0.1,0.2")
    assert main("-m", *set_once(*defaults, *words)) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "logs").exists()


def test_rungs_are_measurements_and_the_rule_is_that_of_asha() -> None:
    config = compose_config(
        [*set_once(*QUICK, "trainer.max_steps=1000", "trainer.eval_every_n_steps=10")]
    ).config
    assert rungs_of(config, 25, 3) == [30, 80, 230, 680]
    assert rungs_of(config, None, 4) == [20, 60, 240, 960]
    assert rungs_of(compose_config([*QUICK]).config, None, 3) == [8]
    assert promoted([3.0, 1.0, math.inf, 2.0, 5.0, 4.0], 3) == [1, 3]
    with pytest.raises(ConfigError, match=r"trainer.eval_every_n_steps=1,"):
        rungs_of(config, 1, 3)


def test_draws_follow_their_law_and_do_not_depend_on_other_words() -> None:
    words = ["a=tag(log,interval(1e-4,1e-1))", "b=int(interval(1,3))", "c=choice(x,y)", "d=interval(-2,2)"]
    overrides = OverridesParser.create().parse_overrides(words)
    rows = draw(overrides, 2_000, 5)
    values = {key: [dict(word.split("=") for word in row)[key] for row in rows] for key in "abcd"}
    logs = [math.log10(float(text)) for text in values["a"]]
    assert stats.kstest(logs, stats.uniform(-4, 3).cdf).pvalue > 0.01
    assert stats.kstest([float(text) for text in values["d"]], stats.uniform(-2, 4).cdf).pvalue > 0.01
    for key, choices in (("b", "123"), ("c", "xy")):
        counts = [values[key].count(one) for one in choices]
        assert sum(counts) == 2_000
        assert stats.chisquare(counts).pvalue > 0.01
    # More draws begin with the fewer ones; the order of words and other keys do not matter; a seed does.
    assert draw(overrides, 7, 5) == rows[:7]
    assert [row[::-1] for row in draw(overrides[::-1], 7, 5)] == rows[:7]
    assert [row[0] for row in draw(overrides[:1], 7, 5)] == [row[0] for row in rows[:7]]
    assert draw(overrides, 7, 6) != rows[:7]
    for text in ("a=interval(2,1)", "a=tag(log,interval(0,1))"):
        with pytest.raises(ConfigError, match="a: expected"):
            draw(OverridesParser.create().parse_overrides([text]), 2, 0)


@pytest.mark.parametrize("number", [0, 1])
def test_the_searches_of_the_page_run(main: Main, number: int) -> None:
    page = (PROJECT / "docs" / "sweeps.md").read_text()
    command = re.findall(r"```bash\npython train.py (.*?)```", page, flags=re.DOTALL)[number]
    assert main(*shlex.split(command.replace("\\\n", " "))) == 0


def test_every_draw_is_combined_with_the_lists(main: Main, tmp_path: Path) -> None:
    search = ("hydra/sweeper=random", "hydra.sweeper.draws=3", "hydra.sweeper.seed=1", "seed=0,1")
    rate = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
    assert (
        main("-m", *search, rate, "hydra/launcher=vectorized", f"hydra.sweep.dir={tmp_path / 'sweep'}") == 0
    )
    drawn = [row[0].split("=")[1] for row in draw(OverridesParser.create().parse_overrides([rate]), 3, 1)]
    names = {frozenset((f"lr={rate}", f"seed={seed}")) for rate in drawn for seed in (0, 1)}
    assert {frozenset(run.parent.name.split(",")) for run in (tmp_path / "sweep").glob("*/run.json")} == names
