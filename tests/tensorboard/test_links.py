"""Addresses that open TensorBoard where it matters, and how to look at a run or a sweep."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from gaplab.look import addresses, folders, kind_of, main
from gaplab.tensorboard.links import addresses_of_run, addresses_of_sweep
from left_runs import leave_run

HOME = "http://127.0.0.1:6006/"


@pytest.mark.parametrize("subruns", [True, False])
def test_the_gap_is_pinned_and_the_charts_are_those_of_the_run(subruns: bool) -> None:
    found = addresses_of_run("lr=0.1", ["loss", "distance/sliced_w2"], subruns)
    address = urlsplit(found["Time Series, the gap first"])
    query = parse_qs(address.query)
    assert address.fragment == "timeseries"
    assert query["smoothing"] == ["0"]
    tags = re.compile(query["tagFilter"][0])
    pinned = "Generalization gap/loss" if subruns else "gap/loss"
    assert query["pinnedCards"] == [f'[{{"plugin": "scalars", "tag": "{pinned}"}}]']
    shown = ["loss", "distance/sliced_w2"] if subruns else ["loss/train", "distance/sliced_w2_test"]
    assert all(tags.search(tag) for tag in [pinned, *shown])
    assert not any(tags.search(tag) for tag in ("bound/finite_precision", "loss/train_batch", "accuracy/val"))
    run = re.compile(query["runFilter"][0])
    assert run.search("sweep/lr=0.1/train")
    assert not run.search("lr=0x1")


def test_pages_that_are_blank_with_many_runs_are_opened_with_a_filter() -> None:
    for address in (addresses_of_run("a b", ["loss"], True) | addresses_of_sweep()).values():
        page = urlsplit(address).fragment
        assert page.partition("&")[0] in ("generalization", "timeseries", "hparams") or "regexInput=" in page


def test_a_run_a_sweep_and_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave_run(tmp_path / "sweep" / "one", ["seed=0"], None, "running")
    rows = ["step,error/train,error/test,gap/error", "0,1,2,1"]
    (tmp_path / "sweep" / "one" / "metrics.csv").write_text("\n".join(rows) + "\n")
    assert kind_of(tmp_path / "sweep") == "sweep"
    assert addresses(tmp_path / "sweep", HOME) == addresses_of_sweep(HOME)
    assert addresses(tmp_path / "sweep" / "one", HOME) == addresses_of_run("one", ["error"], False, HOME)
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path)])
    assert stop.value.code == 2
    assert "holds run directories, but it is neither" in capsys.readouterr().err


def test_of_more_runs_than_tensorboard_selects_the_means_are_shown(tmp_path: Path) -> None:
    """TensorBoard unselects all runs of more than 500, and its charts would be empty."""
    for number in range(500):
        (tmp_path / f"seed={number}").mkdir()
        (tmp_path / f"seed={number}" / "run.json").write_text("{}")
    assert folders(tmp_path) == (tmp_path, tmp_path)
    assert folders(tmp_path / "seed=0") == (tmp_path, tmp_path)
    (tmp_path / "seed=500").mkdir()
    (tmp_path / "seed=500" / "run.json").write_text("{}")
    assert folders(tmp_path) == (tmp_path, tmp_path / "summary")
