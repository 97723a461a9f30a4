"""The tab "Generalization": what it serves, from where, and that it loads as TensorBoard's plugins do."""

import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

from gaplab.reports.gap_curves import gap_curves
from gaplab.reports.run_verdict import verdict_of_run
from gaplab.reports.tensorboard_tab import GeneralizationPlugin
from gaplab.reports.tensorboard_tab.plugin import PAGE
from gaplab.runs.directory import read_json
from gaplab.tensorboard.read_curves import read_history
from left_runs import leave_run


def ask(root: Path, route: str, name: str = "", status: int = 200) -> Any:
    plugin = GeneralizationPlugin(TBContext(logdir=str(root)))
    answer = Client(plugin.get_plugin_apps()[f"/{route}"]).get(query_string={"name": name})
    assert answer.status_code == status
    return json.loads(answer.data)


def test_a_run_has_its_verdict_curves_and_bounds(finished_run: Path) -> None:
    root, name = finished_run.parent, finished_run.name
    assert name in ask(root, "names")["runs"]
    found = ask(root, "run", name)
    result, history = read_json(finished_run / "result.json"), read_history(finished_run)
    assert found["verdict"] == verdict_of_run(result, history)
    loss = found["curves"][0]
    assert (loss["quantity"], loss["steps"]) == ("loss", list(history))
    assert loss["gap"] == [row["loss/test"] - row["loss/train"] for row in history.values()]
    assert loss["half_widths"] == [pytest.approx(1.96 * row["gap/loss_error"]) for row in history.values()]
    assert list(loss["splits"]) == ["train", "val", "test"]
    assert [curve["quantity"] for curve in found["curves"]] == ["loss", "accuracy"]
    values = {mark["label"]: mark["value"] for mark in found["marks"]}
    assert values["test error"] == pytest.approx(1 - result["last"]["accuracy/test"])
    assert found["guessing"] == pytest.approx(1 - 1 / result["num_classes"])


def test_a_sweep_has_a_row_a_setting_and_every_run(tmp_path: Path) -> None:
    gaps = {100: (0.5, 0.7), 1_000: (0.1, 0.2)}
    for number, values in gaps.items():
        for seed, gap in enumerate(values):
            leave_run(tmp_path / "s" / f"{number}-{seed}", [f"data.num_points={number}", f"seed={seed}"], gap)
    names = ask(tmp_path, "names")
    assert names["sweeps"] == ["s"]
    assert len(names["runs"]) == 4
    found = ask(tmp_path, "sweep", "s")
    (table,) = found["tables"]
    assert [row[:2] for row in table["rows"]] == [["num_points=100", "2"], ["num_points=1000", "2"]]
    lines = next(forest["lines"] for forest in found["forests"] if forest["quantity"] == "gap/loss")
    assert [sorted(line["values"]) for line in lines] == [list(values) for values in gaps.values()]
    assert [line["mean"] for line in lines] == pytest.approx([0.6, 0.15])


def test_nothing_outside_of_the_folder_is_read(tmp_path: Path) -> None:
    leave_run(tmp_path / "secret" / "run", ["seed=0"], 0.5)
    leave_run(tmp_path / "logs" / "run", ["seed=0"], 0.5)
    (tmp_path / "logs" / "link").symlink_to(tmp_path / "secret")
    assert ask(tmp_path / "logs", "names")["runs"] == ["run"]
    for name in ("../secret/run", "link/run", str(tmp_path / "secret" / "run"), "none"):
        assert "below" in ask(tmp_path / "logs", "run", name, 404)["error"]
        assert "below" in ask(tmp_path / "logs", "sweep", name, 404)["error"]


def test_damaged_and_unfinished_runs_say_so(tmp_path: Path) -> None:
    leave_run(tmp_path / "young", ["seed=0"], None, "running")
    assert ask(tmp_path, "run", "young")["verdict"] == "No result yet: the run is running."
    leave_run(tmp_path / "broken", ["seed=0"], 0.5)
    (tmp_path / "broken" / "result.json").write_text('{"last": 3}')
    assert "broken" in ask(tmp_path, "run", "broken", 404)["error"]
    (tmp_path / "broken" / "run.json").write_text("[")
    assert "readable JSON" in ask(tmp_path, "run", "broken", 404)["error"]


def test_numbers_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    leave_run(tmp_path / "run", ["seed=0"], None, "running")
    rows = ["step,loss/train,loss/test,gap/loss,gap/loss_error", "0,1,2,1,0.1", "10,1,inf,inf,nan"]
    (tmp_path / "run" / "metrics.csv").write_text("\n".join(rows) + "\n")
    (curve,) = ask(tmp_path, "run", "run")["curves"]
    assert curve["steps"] == [0], "values that are not finite are no measurement"


def test_gans_have_curves_by_the_tags_that_are_there() -> None:
    row = {"distance/sliced_w2_train": 0.1, "distance/sliced_w2_test": 0.3, "gap/distance_sliced_w2": 0.2}
    (curve,) = gap_curves({0: row, 5: row, 9: {"modes/captured": 8.0}})
    assert (curve.quantity, curve.steps, curve.gap) == ("distance/sliced_w2", [0, 5], [0.2, 0.2])
    assert curve.half_widths is None
    assert list(curve.splits) == ["train", "test"]


def test_the_page_sets_texts_only_and_asks_nobody_else() -> None:
    script = PAGE.read_text()
    assert not {word for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(") if word in script}
    assert script.count("://") == 1, "the name of the language of drawings"
    plugin = GeneralizationPlugin(TBContext(logdir="nowhere"))
    assert plugin.frontend_metadata().es_module_path in plugin.get_plugin_apps()
    assert not plugin.is_active()
