"""Numbers are whole on a terminal of 80 columns."""

import re
from pathlib import Path

import pytest
from rich.console import Console

from gaplab.reports.ledger import group_by_setting, read_ledger
from gaplab.reports.result_table import print_result
from gaplab.reports.sample_tables import print_sample_tables, sample_table
from gaplab.reports.sweep_report import print_summary
from gaplab.runs.results import Result
from left_runs import leave_run

GAN = {
    "modes/captured": 7.0,
    "distance/copying_ratio": 154.78,
    **{f"distance/sliced_w2_{split}": 0.6480442 for split in ("train", "val", "test")},
    **{f"mmd/squared_{split}": -0.00998 for split in ("train", "test")},
    "judge/p_value_test": 4.4e-16,
    "gap/distance_sliced_w2": -0.0051,
    "loss/discriminator_train": -0.7239653,
    "loss/discriminator_test": -0.7288570,
    "gap/loss_discriminator": -0.00489,
    "gap/loss_discriminator_error": 0.00962,
    "ceiling/distance/copying_ratio": 1.04526,
    "ceiling/judge/p_value_test": 0.6214355,
}


def printed(result: Result) -> str:
    console = Console(record=True, width=80)
    print_result(result, console)
    return console.export_text()


def test_a_gan_shows_last_and_best_weights_with_whole_numbers() -> None:
    text = printed(
        Result(12, 1.2, 139, 480, None, GAN, best=GAN, best_step=8, monitor="distance/sliced_w2_{split}")
    )
    assert "last (step 12)" in text
    assert "best (step 8)" in text
    for number in ("4.4e-16", "154.7800", "-0.0100", "-0.0049 ± 0.0189", "0.6214", "copying_ratio"):
        assert text.count(number) >= 2, number
    assert "…" not in text
    assert "0.0000" not in text


def test_a_classifier_shows_intervals_of_95_percent() -> None:
    scores = {f"{name}/{split}": 0.5 for name in ("loss", "accuracy") for split in ("train", "val", "test")}
    scores |= {"gap/loss": 0.25, "gap/loss_error": 0.01, "gap/accuracy": -0.125, "gap/accuracy_error": 0.03}
    scores["scale/sqrt_params_over_points"] = 1.4
    text = printed(Result(100_000, 1.0, 603, 300, 3, scores, best=scores, best_step=100_000))
    assert "+0.2500 ± 0.0196" in text, "1.96 standard errors"
    assert "-0.1250 ± 0.0300" in text, "the Hoeffding radius as it is"
    assert "…" not in text


def test_a_sweep_lists_the_values_of_few_seeds(tmp_path: Path) -> None:
    for seed in range(3):
        leave_run(tmp_path / f"{seed}", [f"seed={seed}", "optimizer.weight_decay=0.001"], 1e-5 * (seed + 1))
    leave_run(tmp_path / "other", ["seed=0", "optimizer.weight_decay=0.1"], 0.5)
    rows = read_ledger(tmp_path)
    console = Console(record=True, width=80)
    print_summary(rows, group_by_setting(rows), console)
    text = console.export_text()
    for number in ("1.0e-5", "2.0e-5", "3.0e-5", "0.5000"):
        assert number in text
    assert "…" not in text


def test_the_table_of_gans_has_whole_numbers() -> None:
    run = {"modes/captured": 24.4, "modes/high_quality": 0.98765, "modes/reverse_kl": 0.0001234}
    run |= {"judge/accuracy_test": 0.50123, "modes/std_ratio": 1.0}
    methods = {"non_saturating, lr=0.0002": [run] * 5, "hinge": [run | {"modes/captured": 8.0}] * 3}
    console = Console(record=True, width=80)
    print_sample_tables([sample_table("grid", methods)], console)
    text = console.export_text()
    for number in ("24.4", "0.988", "1.23e-4", "0.501", "0.936 ± 0.006"):
        assert re.search(rf"(?<![\w.]){re.escape(number)}(?![\w.])", text), number
    assert "…" not in text


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    console = Console(record=True, width=width)
    print_sample_tables([sample_table("ring", {"minimax": [{"modes/captured": 8.0}] * 6})], console)
    assert max(map(len, console.export_text().splitlines())) <= width
