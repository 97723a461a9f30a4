"""Every phenomenon in its quick version, the run directory of one, and the full verdicts (slow)."""

import json
import math
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import scipy.stats
from matplotlib.figure import Figure

from gaplab.config.compose import CONFIG_DIR, compose_config
from gaplab.config.phenomenon import PhenomenonName
from gaplab.errors import ConfigError, Preempted
from gaplab.phenomena import __main__ as command
from gaplab.phenomena.catalogue import load_phenomenon
from gaplab.phenomena.pages import cell, print_verdict, write_page
from gaplab.phenomena.verdict import Check, Verdict, at_least, at_most, mean_at_least, mean_at_most
from gaplab.process.signals import stop_signals_caught
from gaplab.reports.render import markdown_table
from gaplab.runs.directory import read_json
from gaplab.runs.resume import plan_new
from gaplab.train import run_planned

CERTAIN = {"xor", "perceptron_mistakes", "backpropagation", "double_descent", "vanishing_gradients"}
"""What needs no long training holds in the quick version too."""


@pytest.mark.parametrize("name", PhenomenonName)
def test_quick_version_gives_a_complete_verdict(name: PhenomenonName) -> None:
    phenomenon = load_phenomenon(name)
    verdict = phenomenon.run([0], True)
    assert phenomenon.title
    assert phenomenon.claim
    assert phenomenon.reference
    assert verdict.checks
    assert verdict.rows
    assert all(len(row) == len(verdict.columns) for row in verdict.rows)
    assert all(check.expectation and check.measured for check in verdict.checks)
    assert verdict.figures
    assert all(isinstance(figure, Figure) for figure in verdict.figures.values())
    unmet = [check.expectation for check in verdict.checks if not check.holds]
    if name in CERTAIN:
        assert unmet == []
    assert verdict.holds == (unmet == [])


@pytest.mark.thorough
@pytest.mark.parametrize("name", PhenomenonName)
def test_verdict_holds_over_five_seeds(name: PhenomenonName) -> None:
    verdict = load_phenomenon(name).run(range(5), False)
    assert [check for check in verdict.checks if not check.holds] == []


def test_every_phenomenon_has_an_experiment_of_its_name() -> None:
    files = {path.stem for path in (CONFIG_DIR / "experiment" / "phenomena").glob("*.yaml")}
    assert files == set(PhenomenonName)
    for name in files:
        config = compose_config([f"experiment=phenomena/{name}"]).config
        assert config.phenomenon.name == name
        assert config.phenomenon.num_seeds == 5
        assert not config.phenomenon.quick


def test_an_experiment_leaves_its_verdict_in_the_run_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["experiment=phenomena/perceptron_mistakes", "phenomenon.num_seeds=2", "phenomenon.quick=true"]
    composed = compose_config(words)
    path = tmp_path / "run"
    assert run_planned(plan_new(composed, path)) == 0
    printed = " ".join(capsys.readouterr().out.split())
    verdict = json.loads((path / "verdict.json").read_text())
    assert verdict["phenomenon"] == "perceptron_mistakes"
    assert verdict["holds"]
    assert verdict["unmet"] == 0
    for check in verdict["checks"]:
        assert check["expectation"] in printed
        assert check["measured"] in printed
    assert "Novikoff 1962" in printed
    page = (path / "page.md").read_text()
    assert "**Verdict: holds.**" in page
    assert "(figures/mistakes.png)" in page
    assert (path / "figures" / "mistakes.png").stat().st_size > 5000
    assert read_json(path / "run.json")["status"] == "finished"
    assert (path / "config.yaml").is_file()

    assert run_planned(plan_new(composed, path)) == 0
    assert "Already finished" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_ends_it_at_once(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def test_for_long(seeds: object, quick: bool) -> Verdict:
        os.kill(os.getpid(), number)
        raise AssertionError("the signal was not obeyed")

    slow = replace(load_phenomenon(PhenomenonName.xor), run=test_for_long)
    monkeypatch.setattr("gaplab.phenomena.catalogue.load_phenomenon", lambda name: slow)
    composed = compose_config(["experiment=phenomena/xor"])
    with stop_signals_caught(), pytest.raises(Preempted, match=signal.Signals(number).name) as stop:
        run_planned(plan_new(composed, tmp_path / "run"))
    assert not stop.value.saved
    assert read_json(tmp_path / "run" / "run.json")["status"] == "preempted"
    monkeypatch.undo()
    words = ["experiment=phenomena/xor", "phenomenon.num_seeds=1", "phenomenon.quick=true"]
    monkeypatch.setattr("gaplab.runs.anew.differences", lambda *configurations: [])
    run_planned(plan_new(compose_config(words), tmp_path / "run"))
    assert read_json(tmp_path / "run" / "run.json")["status"] == "finished"


def test_the_command_for_all_writes_pages(tmp_path: Path) -> None:
    command.main(["double_descent", "--seeds", "1", "--quick", "--output", str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {"double_descent.md", "double_descent_descent.png"}


def test_a_wrong_name_gets_the_list_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"phenomenon\.name: expected one of .*Did you mean 'xor'"):
        compose_config(["phenomenon.name=xorr"])


@pytest.mark.parametrize(
    ("name", "module"),
    [(PhenomenonName.ladder, "sklearn.cluster"), (PhenomenonName.informative_words, "sklearn.naive_bayes")],
)
def test_a_phenomenon_names_the_missing_extra(
    name: PhenomenonName, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"phenomenon.name={name}: .*pip install 'gaplab\[sklearn\]'"):
        load_phenomenon(name).run([0], True)


def test_a_mean_holds_with_its_whole_interval() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5]  # mean 0.3, t-interval 0.104 to 0.496
    low, high = scipy.stats.t.interval(0.95, 4, loc=0.3, scale=scipy.stats.sem(values))
    assert mean_at_least("", values, low - 1e-6).holds
    assert not mean_at_least("", values, low + 1e-6).holds
    assert mean_at_most("", values, high + 1e-6).holds
    assert not mean_at_most("", values, high - 1e-6).holds
    assert "0.3 ± 0.2; 0.1 to 0.5" in mean_at_least("", values, 0).measured
    assert mean_at_least("", [0.5], 0.5).holds  # nothing to take an interval of
    assert not mean_at_least("", [math.nan, 1.0], 0).holds
    assert not mean_at_most("", [math.inf, 1.0], 2).holds


def test_witnesses_are_listed_and_no_part_of_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = (Check(expectation=f"x is {holds}", measured="y", holds=holds) for holds in (True, False))
    verdict = Verdict(checks=[good], columns=["a"], rows=[(1.0,)], figures={}, witnesses=[bad])
    assert verdict.holds
    assert not verdict.as_json()["witnesses"][0]["holds"]
    phenomenon = load_phenomenon(PhenomenonName.xor)
    print_verdict(phenomenon, verdict)
    assert "Witness (cannot fail, no verdict): x is False" in capsys.readouterr().out
    write_page(phenomenon, verdict, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "**Verdict: holds.**" in page
    assert "| x is False | y | **not seen** |" in page


def test_other_seeds_go_to_a_table_of_all_expectations(tmp_path: Path) -> None:
    page = tmp_path / "table.md"
    words = ["perceptron_mistakes", "--seeds", "2", "--first-seed", "7", "--quick", "--table", str(page)]
    command.main(words)
    assert list(tmp_path.iterdir()) == [page]
    text = page.read_text()
    assert "perceptron_mistakes --seeds 2 --first-seed 7" in text
    checks = load_phenomenon(PhenomenonName.perceptron_mistakes).run([7, 8], True).checks
    for check in checks:
        assert f"| {check.expectation} | {check.measured} |" in text


def test_one_bad_seed_is_enough_against_a_check() -> None:
    assert at_least("", [0.5, 0.7], 0.5).holds
    assert not at_least("", [0.4, 0.7], 0.5).holds
    assert at_most("", [0.5, 0.3], 0.5).holds
    assert not at_most("", [0.6, 0.3], 0.5).holds
    assert at_least("", [0.7, math.inf], 0.7).holds
    assert not at_most("", [0.0201, math.inf], 0.02).holds
    assert not at_least("", [math.nan], 0.5).holds
    assert not at_most("", [math.nan], 0.5).holds
    checks = [
        Check(expectation="a", measured="b", holds=True),
        Check(expectation="a", measured="b", holds=False),
    ]
    assert Verdict(checks=checks[:1], columns=[], rows=[], figures={}).holds
    assert not Verdict(checks=checks, columns=[], rows=[], figures={}).holds


def test_table_cells_cannot_break_the_table() -> None:
    assert markdown_table(("a", "b"), [("x|y", cell(0.123456))]) == [
        "| a | b |",
        "| --- | --- |",
        "| x\\|y | 0.1235 |",
    ]
