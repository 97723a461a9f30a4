"""What a real TensorBoard serves of a run and of a sweep, compared with ``result.json``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

Ask = Callable[..., Any]
QUERY = {"experimentName": "", "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE"], "sliceSize": 100}


def scalars(ask: Ask, run: str, tag: str) -> dict[int, float]:
    points = ask(f"plugin/scalars/scalars?{urlencode({'run': run, 'tag': tag})}")
    return {step: value for _, step, value in points}


def result(logs: Path, run: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((logs / run / "result.json").read_text())
    return content


def test_runs_are_the_runs_and_the_splits_and_no_others(ask: Ask) -> None:
    names = ["single", "two_players", "sweep/seed=0", "sweep/seed=1", "sweep/seed=2"]
    splits = [f"{name}/{split}" for name in names for split in ("train", "val", "test")]
    embedding = "single/01200/hidden_0"  # the projector's folder holds no event file, and is no run
    found = ask("runs")
    assert embedding not in found
    assert sorted(found) == sorted([*names, *splits, "diverged", "sweep/summary"])


def test_splits_overlay_one_tag_and_equal_the_plain_tags(ask: Ask) -> None:
    for quantity in ("loss", "accuracy"):
        for split in ("train", "val", "test"):
            overlaid = scalars(ask, f"single/{split}", quantity)
            assert list(overlaid) == [200, 400, 600, 800, 1000, 1200]
            assert overlaid == scalars(ask, "single", f"{quantity}/{split}")


def test_last_points_are_those_of_the_result(ask: Ask, logs: Path) -> None:
    last = result(logs, "single")["last"]
    assert {"loss/train", "loss/val", "loss/test", "gap/loss", "gap/accuracy"} <= last.keys()
    for tag, value in last.items():
        assert scalars(ask, "single", tag)[1200] == pytest.approx(value, rel=1e-6), tag


def test_gap_is_test_minus_train_at_every_step(ask: Ask) -> None:
    train, test = (scalars(ask, f"single/{split}", "loss") for split in ("train", "test"))
    gap = scalars(ask, "single", "gap/loss")
    assert gap == {step: pytest.approx(test[step] - train[step], abs=1e-6) for step in train}


def test_hparams_have_one_row_a_run_with_the_final_metrics_of_the_best_weights(ask: Ask, logs: Path) -> None:
    columns = ask("plugin/hparams/experiment", {"experimentName": ""})
    metrics = [info["name"]["tag"] for info in columns["metricInfos"]]
    assert metrics[:3] == ["final/gap_loss", "final/loss_train", "final/loss_val"]
    assert not any("hp_metric" in tag for tag in metrics)
    hparams = {info["name"]: info for info in columns["hparamInfos"]}
    assert {"seed", "data.noise", "network.widths", "optimizer.lr", "num_steps"} <= hparams.keys()
    assert not any(name.startswith(("run.", "logging.")) or "_target_" in name for name in hparams)

    query = QUERY | {"startIndex": 0, "colParams": [{"metric": {"tag": tag}} for tag in metrics]}
    rows = ask("plugin/hparams/session_groups", query)["sessionGroups"]
    assert len(rows) == 5
    for row in rows:
        (session,) = row["sessions"]
        values = {value["name"]["tag"]: value["value"] for value in session["metricValues"]}
        if session["name"] == "diverged":
            assert session["status"] == "STATUS_FAILURE"
            assert values["final/finished"] == 0.0
            continue
        assert session["status"] == "STATUS_SUCCESS"
        assert row["hparams"]["optimizer.clip_norm"] == "null"
        assert row["hparams"]["network.shortcuts"] is False
        run = session["name"]
        best = result(logs, run)["best"]
        for tag, value in best.items():
            assert values[f"final/{tag.replace('/', '_')}"] == pytest.approx(value, rel=1e-6)
        assert values["final/finished"] == 1.0
        if run.startswith("sweep/"):
            assert row["hparams"]["seed"] == int(run.removeprefix("sweep/seed="))


def test_custom_charts_are_laid_out_once(ask: Ask) -> None:
    categories = {
        category["title"]: {chart["title"] for chart in category["chart"]}
        for category in ask("plugin/custom_scalars/layout")["category"]
    }
    assert len(categories) == 5, "two of classifiers, two of GANs, and that of the sweep's summary"
    assert categories["generalization"] == {
        "Gap, scale and bounds",
        "Generalization gap",
        "Generalization gap in accuracy",
    }
    assert categories["training"] == {"Loss", "Accuracy", "Gradient norm by layer"}
    assert {"Discriminator and generator", "Modes and quality", "Two-sample tests"} < categories["GAN"]
    assert "Generalization gap" in categories["mean and 95 % interval over seeds"]


def test_bounds_and_scale_are_lines_over_the_whole_run(ask: Ask, logs: Path) -> None:
    bounds = {f"bound/{bound['name']}": bound["value"] for bound in result(logs, "single")["bounds"]}
    assert len(bounds) == 2
    for tag, value in bounds.items():
        line = scalars(ask, "single", tag)
        assert list(line) == [200, 400, 600, 800, 1000, 1200]
        assert list(line.values()) == pytest.approx([value] * 6, rel=1e-6)


def test_a_gan_has_both_players_its_ceilings_and_splits_at_the_same_steps(ask: Ask, logs: Path) -> None:
    steps = [10, 20, 30, 40]
    for tag in ("loss/discriminator_batch", "loss/generator_batch", "ceiling/modes/high_quality"):
        assert list(scalars(ask, "two_players", tag)) == steps
    for split in ("train", "val", "test"):
        assert scalars(ask, f"two_players/{split}", "distance/sliced_w2") == scalars(
            ask, "two_players", f"distance/sliced_w2_{split}"
        )
    tests = result(logs, "two_players")["last"]
    for tag in ("judge/p_value_test", "mmd/p_value_test"):
        assert scalars(ask, "two_players", tag) == {40: pytest.approx(tests[tag], rel=1e-5)}


def test_text_card_and_histograms_are_there(ask: Ask) -> None:
    assert "run/card/text_summary" in ask("plugin/text/tags")["single"]
    tags = ask("plugin/histograms/tags")
    assert {"weights/hidden.0.linear.weight", "activations/hidden.0"} <= tags["single"].keys()
    assert "sweep/seed=0" not in tags  # costly: only with logging.diagnostics=full


def test_slider_has_a_picture_at_the_chosen_steps(ask: Ask) -> None:
    query = urlencode({"run": "sweep/seed=1", "tag": "pictures/decision_regions_train", "sample": 0})
    assert [image["step"] for image in ask(f"plugin/images/images?{query}")] == [400, 800, 1200]
