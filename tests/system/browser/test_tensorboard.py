"""What a real TensorBoard serves, compared with ``result.json``, and its pages in headless Chromium."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gaplab.tensorboard.links import addresses_of_run, addresses_of_sweep

pytestmark = pytest.mark.thorough
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
    ends = [f"{name}/95% {end}" for name in names for end in ("lower", "upper")]
    assert sorted(found) == sorted([*names, *splits, *ends, "diverged", "sweep/summary"])


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
    assert metrics[:3] == ["best/gap_loss", "best/loss_train", "best/loss_val"]
    assert not any("hp_metric" in tag for tag in metrics)
    hparams = {info["name"]: info for info in columns["hparamInfos"]}
    assert list(hparams) == ["seed"], "what the sweep varies, and nothing else"

    query = QUERY | {"startIndex": 0, "colParams": [{"metric": {"tag": tag}} for tag in metrics]}
    rows = ask("plugin/hparams/session_groups", query)["sessionGroups"]
    assert len(rows) == 5
    for row in rows:
        (session,) = row["sessions"]
        values = {value["name"]["tag"]: value["value"] for value in session["metricValues"]}
        if session["name"] == "diverged":
            assert session["status"] == "STATUS_FAILURE"
            assert values["run/finished"] == 0.0
            continue
        assert session["status"] == "STATUS_SUCCESS"
        assert row["hparams"]["optimizer.max_grad_norm"] == "null"
        assert row["hparams"]["network.dense_skip"] is False
        run = session["name"]
        best = result(logs, run)["best"]
        for tag, value in best.items():
            assert values[f"best/{tag.replace('/', '_')}"] == pytest.approx(value, rel=1e-6)
        assert values["run/finished"] == 1.0
        if run.startswith("sweep/"):
            assert row["hparams"]["seed"] == int(run.removeprefix("sweep/seed="))


def test_custom_charts_are_laid_out_once(ask: Ask) -> None:
    categories = {
        category["title"]: {chart["title"] for chart in category["chart"]}
        for category in ask("plugin/custom_scalars/layout")["category"]
    }
    assert len(categories) == 5, "two of classifiers, two of GANs, and that of the sweep's summary"
    assert categories["generalization"] == {
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
    query = urlencode({"run": "sweep/seed=1", "tag": "pictures/1_decision_regions_train", "sample": 0})
    assert [image["step"] for image in ask(f"plugin/images/images?{query}")] == [400, 800, 1200]


@pytest.mark.browser
def test_time_series_of_the_deep_link(page: Any, address: str, screenshots: Path) -> None:
    page.goto(addresses_of_run("single", ["loss", "accuracy"], True, address)["Time Series, the gap first"])
    page.wait_for_selector("scalar-card tb-data-table-content-row")
    page.wait_for_function("document.querySelectorAll('scalar-card tb-data-table-content-row').length >= 8")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "time_series.png")
    # Titles may be broken after a slash.
    cards = [card.inner_text().replace("\n", "") for card in page.query_selector_all("scalar-card")]
    titles = ["Generalization gap/accuracy", "Generalization gap/loss", "accuracy", "loss"]
    assert len(cards) == len(titles)
    assert all(card.startswith(title) for card, title in zip(cards, titles, strict=True))
    for split in ("train", "val", "test"):
        assert f"single/{split}" in cards[2]
        assert f"single/{split}" in cards[3]
    assert all("Smoothed" not in card for card in cards)
    assert not any("sweep/" in card for card in cards)


@pytest.mark.browser
def test_time_series_of_a_sweep_name_what_differs(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}?smoothing=0&tagFilter=%5Egap%2Floss%24&runFilter=sweep#timeseries")
    page.wait_for_function("document.querySelectorAll('scalar-card tb-data-table-content-row').length >= 3")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "time_series_sweep.png")
    shown = page.inner_text("scalar-card")
    assert all(f"seed={seed}" in shown for seed in (0, 1, 2))


@pytest.mark.browser
def test_means_over_seeds_of_the_printed_address_begin_with_the_gap(
    page: Any, address: str, screenshots: Path
) -> None:
    page.goto(addresses_of_sweep(address)["means over seeds"])
    page.wait_for_function("document.querySelectorAll('scalar-card tb-data-table-content-row').length >= 4")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "means_over_seeds.png")
    cards = [card.inner_text().replace("\n", "") for card in page.query_selector_all("scalar-card")]
    assert cards[0].startswith("Generalization gap/accuracy")
    assert cards[1].startswith("Generalization gap/loss")


@pytest.mark.browser
def test_custom_scalars_show_the_named_charts(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}#custom_scalars&_smoothingWeight=0&regexInput=single")
    titles = ("Loss", "Accuracy", "Generalization gap", "Gradient norm by layer")
    for title in titles:
        page.get_by_text(title, exact=True).first.wait_for()
    page.locator("tf-custom-scalar-multi-line-chart-card path[d*='L']").first.wait_for(state="attached")
    page.locator("tf-custom-scalar-margin-chart-card path[d*='L']").first.wait_for(state="attached")
    page.wait_for_timeout(1500)
    page.screenshot(path=screenshots / "custom_scalars.png")
    assert page.get_by_text("steps for value, lower, and upper", exact=False).count() == 0
    assert not any(note.is_visible() for note in page.get_by_text("Missing Tags").all())


@pytest.mark.browser
def test_custom_scalars_of_a_gan(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}#custom_scalars&_smoothingWeight=0&regexInput=two_players")
    for title in ("Discriminator and generator", "Modes and quality", "Two-sample tests"):
        page.get_by_text(title, exact=True).first.wait_for()
    page.locator("tf-custom-scalar-multi-line-chart-card path[d*='L']").first.wait_for(state="attached")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "custom_scalars_gan.png")


@pytest.mark.browser
def test_custom_scalars_of_a_sweep_have_bands_over_seeds(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}#custom_scalars&_smoothingWeight=0&regexInput=sweep%2Fsummary")
    page.get_by_text("mean and 95 % interval over seeds").first.wait_for()
    page.locator("tf-custom-scalar-margin-chart-card path[d*='L']").first.wait_for(state="attached")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "custom_scalars_sweep.png")


@pytest.mark.browser
def test_projector_shows_the_hidden_layer(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}#projector")
    page.wait_for_timeout(2000)
    page.reload()  # TensorBoard looks for embeddings only after the first question
    outer = page.frame_locator("iframe").first
    outer.frame_locator("iframe").first.get_by_text("hidden_0").first.wait_for(state="attached")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "projector.png")


@pytest.mark.browser
def test_hparams_page_has_a_row_a_run_and_the_columns(
    page: Any, address: str, logs: Path, screenshots: Path
) -> None:
    page.goto(f"{address}#hparams")
    page.get_by_text("TABLE VIEW", exact=False).first.wait_for()
    page.get_by_text("0002 seed=2 (sweep)", exact=True).first.wait_for(state="attached")
    cells = page.locator("vaadin-grid-cell-content")
    for column in ("seed", "best gap loss", "best loss train", "best loss val", "best loss test"):
        cells.get_by_text(column, exact=True).first.wait_for(state="attached")
    page.wait_for_timeout(1500)
    page.screenshot(path=screenshots / "hparams.png")
    cells = [cell.strip() for cell in cells.all_inner_texts()]
    assert cells.count(f"diverged ({logs.name})") == 1
    assert [cells.count(f"000{seed} seed={seed} (sweep)") for seed in (0, 1, 2)] == [1, 1, 1]
    page.get_by_text("PARALLEL COORDINATES VIEW", exact=False).first.click()
    page.locator("tf-hparams-parallel-coords-plot path").first.wait_for(state="attached")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "parallel_coordinates.png")


@pytest.mark.browser
def test_images_page_shows_the_pictures(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}#images&regexInput=single")
    page.get_by_text("pictures/1_decision_regions_train", exact=False).first.wait_for()
    page.get_by_text("pictures/1_gap_loss", exact=False).first.wait_for()
    page.locator("tf-image-loader img").first.wait_for()
    page.wait_for_timeout(2000)
    page.screenshot(path=screenshots / "images.png")
    widths = page.locator("tf-image-loader img").evaluate_all("images => images.map(i => i.naturalWidth)")
    assert len(widths) >= 4
    assert min(widths) > 100
