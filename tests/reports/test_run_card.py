"""The run card: a run that is found a year later explains itself."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from torch.utils.tensorboard import SummaryWriter

from gaplab.reports.render import to_markdown
from gaplab.reports.run_card import run_card
from gaplab.runs.directory import read_json
from gaplab.train import run_one
from quick_runs import Compose


def test_card_says_what_ran_what_differs_and_what_came_out(finished_run: Path) -> None:
    card = run_card(finished_run)
    ran, settings, result, _ = card.tables
    record = read_json(finished_run / "run.json")
    facts = dict(ran.rows)
    assert facts["status"] == "finished"
    assert facts["command"] == record["command"]
    if record["git"] is not None:
        assert facts["git commit"].startswith(record["git"]["commit"])
    assert f"torch {record['versions']['torch']}" in facts["versions"]

    changed = dict(settings.rows)
    assert changed["data"] == "spirals"
    assert changed["data.label_noise"] == "0.2"
    assert changed["network.widths"] == "[8]"
    assert "optimizer.weight_decay" not in changed  # as it is by default

    best = read_json(finished_run / "result.json")["best"]
    row = next(row for row in result.rows if row[0].startswith("best") and row[1] == "loss")
    assert row[2:5] == tuple(f"{best[f'loss/{split}']:.4f}" for split in ("train", "val", "test"))


def test_card_stands_in_tensorboard_at_the_start_and_at_the_end(finished_run: Path) -> None:
    first, last = EventAccumulator(str(finished_run)).Reload().Tensors("run/card/text_summary")
    assert (first.step, last.step) == (0, 24)
    text = make_ndarray(last.tensor_proto).item().decode()
    assert text == to_markdown(run_card(finished_run))
    assert "| status | running |" in make_ndarray(first.tensor_proto).item().decode()


def test_a_finished_run_has_its_card_even_where_a_flush_returned_too_early(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # TensorBoard's own thread may be writing the same file, and the second to flush finds nothing to do.
    monkeypatch.setattr(SummaryWriter, "flush", lambda writer: None)
    run_one(quick("logging.pictures=false"), tmp_path / "run")
    cards = EventAccumulator(str(tmp_path / "run")).Reload().Tensors("run/card/text_summary")
    # Of two files that begin in one second, 8 and 15 of a process, TensorBoard reads 15 first.
    assert sorted(card.step for card in cards) == [0, 24]


def test_card_compares_published_numbers(quick: Compose, tmp_path: Path) -> None:
    number = "{name: loss/train, value: 0.5, tolerance: 10, source: a book}"
    run_one(quick(f"published=[{number}]", "logging.pictures=false"), tmp_path / "run")
    (row,) = run_card(tmp_path / "run").tables[-1].rows
    measured = read_json(tmp_path / "run" / "result.json")["last"]["loss/train"]
    assert row == ("loss/train", "0.5000", f"{measured:.4f}", "met")
