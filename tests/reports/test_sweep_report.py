"""The report of a sweep, rebuilt from directories that hold nothing but what a study may keep."""

import csv
import re
from pathlib import Path

import pytest
from scipy import stats
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gaplab.figures.sweeps import Against, Line, Point, draw_against
from gaplab.report import main
from gaplab.reports.ledger import read_ledger
from gaplab.reports.sweep_figures import by_value, lines_against
from gaplab.tensorboard.event_files import write_events
from gaplab.tensorboard.read_curves import read_history
from left_runs import leave_run

GAPS = {100: (0.5, 0.7), 1_000: (0.1, 0.2)}
STEPS = (10, 20)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two numbers of points, two seeds, one run lost; half of the runs have a table, half have events only."""
    folder = tmp_path_factory.mktemp("sweeps") / "sweep"
    for number, gaps in GAPS.items():
        for seed, gap in enumerate(gaps):
            run = folder / f"num_points={number},seed={seed}"
            leave_run(run, [f"data.num_points={number}", f"seed={seed}"], gap)
            history = {step: {"gap/loss": gap * step / 20, "gap/loss_lower": -1.0} for step in STEPS}
            if seed == 0:
                rows = [f"{step},{row['gap/loss']},-1.0" for step, row in history.items()]
                (run / "metrics.csv").write_text("\n".join(["step,gap/loss,gap/loss_lower", *rows]) + "\n")
            else:
                write_events(run, history)
    leave_run(folder / "lost", ["data.num_points=100", "seed=2"], None, "diverged")
    main([str(folder)])
    return folder


def test_histories_are_the_same_from_a_table_and_from_events(sweep: Path) -> None:
    assert read_history(sweep / "num_points=100,seed=0") == {10: {"gap/loss": 0.25}, 20: {"gap/loss": 0.5}}
    events = read_history(sweep / "num_points=100,seed=1")
    assert events == {10: {"gap/loss": pytest.approx(0.35)}, 20: {"gap/loss": pytest.approx(0.7)}}


def test_bands_are_the_intervals_of_scipy(sweep: Path) -> None:
    for number, gaps in GAPS.items():
        events = EventAccumulator(str(sweep / "summary" / f"num_points={number}")).Reload()
        mean, low, high = (events.Scalars(f"seeds/gap_loss{end}")[-1] for end in ("", "_lower", "_upper"))
        assert mean.step == 20
        assert events.Scalars("gap/loss")[-1].value == mean.value
        assert mean.value == pytest.approx(sum(gaps) / 2)
        expected = stats.t.interval(0.95, 1, loc=sum(gaps) / 2, scale=stats.sem(gaps))
        assert (low.value, high.value) == pytest.approx(expected, rel=1e-5)


def test_summary_run_has_the_setting_as_axis_and_the_page(sweep: Path) -> None:
    events = EventAccumulator(str(sweep / "summary"), size_guidance={"images": 0}).Reload()
    points = events.Scalars("against_num_points/gap_loss")
    assert {point.step: point.value for point in points} == {
        number: pytest.approx(sum(gaps) / 2) for number, gaps in GAPS.items()
    }
    assert events.Tags()["images"] == [
        "figures/01_gap_loss_against_data.num_points",
        "figures/02_loss_test_against_data.num_points",
    ]
    assert "sweep/table/text_summary" in events.Tags()["tensors"]


def test_page_needs_no_other_file_and_names_means_and_losses(sweep: Path) -> None:
    page = (sweep / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert len(re.findall(r"image/svg.xml;base64,", page)) == 2
    row = '<th scope="row">num_points=100</th><td>2</td><td>0.6000</td><td>0.1414</td><td>0.5000, 0.7000</td>'
    assert row in page, "setting, runs, mean, standard deviation, the values of few seeds"
    assert '<th scope="row">lost</th><td>diverged</td>' in page
    assert "4 of 5 runs finished. By loss/val of the last weights num_points=1000 is best: 1.1500" in page
    assert (
        "the mean of 2 runs, 0.4500 below the next setting. There: gap/loss 0.15 (runs: 0.1 to 0.2)." in page
    )
    text = (sweep / "report.md").read_text()
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(links) == 2
    assert all((sweep / link).is_file() for link in links)
    assert text.index("## By setting") < text.index("## Best runs"), "one table, and the rest folded away"
    assert page.count("<details>") == 6


def test_a_second_report_is_the_same(sweep: Path) -> None:
    before = {path for path in sweep.rglob("*") if "tfevents" not in path.name}
    page = (sweep / "report.html").read_bytes()
    events = len(list((sweep / "summary").rglob("*tfevents*")))
    main([str(sweep)])
    assert {path for path in sweep.rglob("*") if "tfevents" not in path.name} == before
    assert (sweep / "report.html").read_bytes() == page
    assert len(list((sweep / "summary").rglob("*tfevents*"))) == events
    with (sweep / "ledger.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 5


def test_lines_hold_what_agrees_in_every_other_setting(tmp_path: Path) -> None:
    for width in (10, 20):
        for act in ("relu", "tanh"):
            words = [f"network.widths=[{width}]", f"network.activation={act}"]
            leave_run(tmp_path / f"{width}{act}", words, width / 100)
    rows = read_ledger(tmp_path)
    lines = lines_against(rows, "network.widths", "gap/loss")
    assert {line.label for line in lines} == {"activation=relu", "activation=tanh"}
    assert [(point.x, point.mean, point.values) for point in lines[0].points] == [
        (10, 0.1, [0.1]),
        (20, 0.2, [0.2]),
    ]
    assert set(by_value(rows, "network.activation")) == {"relu", "tanh"}


def test_a_figure_has_the_means_in_order() -> None:
    points = [Point(1_000.0, 0.1, 0.01, (0.09, 0.1, 0.11)), Point(10.0, 0.9, 0.1, (0.8, 0.9, 1.0))]
    figure = draw_against(
        "data.num_points", Against("gap", [Line("", points)], [(10.0, 9.0), (1_000.0, 0.9)])
    )
    (axes,) = figure.axes
    assert list(axes.lines[0].get_xdata()) == [10, 1_000]
    assert list(axes.lines[0].get_ydata()) == [0.9, 0.1]
    assert axes.get_xscale() == "log"
    seen = [list(map(tuple, dots.get_offsets())) for dots in axes.collections if len(dots.get_paths()) == 1]
    assert [(point.x, value) for point in points[::-1] for value in point.values] in seen, "every run is seen"
    assert "(far above)" in axes.get_legend().get_texts()[0].get_text()


def test_a_folder_that_is_neither_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path)])
    assert stop.value.code == 2
    assert "expected a run directory" in capsys.readouterr().err
