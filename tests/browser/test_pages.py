"""The four pages that a researcher opens, in headless Chromium."""

from pathlib import Path
from typing import Any

import pytest

from gaplab.runs.links import SPLITS_IN_COLOURS, deep_link

pytestmark = pytest.mark.browser


def test_time_series_of_the_deep_link(page: Any, address: str, screenshots: Path) -> None:
    page.goto(deep_link("single", SPLITS_IN_COLOURS, home=address))
    page.wait_for_selector("scalar-card tb-data-table-content-row")
    page.wait_for_function("document.querySelectorAll('scalar-card tb-data-table-content-row').length >= 8")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "time_series.png")
    # Titles may be broken after a slash.
    cards = [card.inner_text().replace("\n", "") for card in page.query_selector_all("scalar-card")]
    titles = ["accuracy", "gap/accuracy", "gap/loss", "loss"]
    assert len(cards) == len(titles)
    assert all(card.startswith(title) for card, title in zip(cards, titles, strict=True))
    for split in ("train", "val", "test"):
        assert f"single/{split}" in cards[0]
        assert f"single/{split}" in cards[3]
    assert all("Smoothed" not in card for card in cards)
    assert not any("sweep/" in card for card in cards)


def test_time_series_of_a_sweep_name_what_differs(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}?smoothing=0&tagFilter=%5Egap%2Floss%24&runFilter=sweep#timeseries")
    page.wait_for_function("document.querySelectorAll('scalar-card tb-data-table-content-row').length >= 3")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "time_series_sweep.png")
    shown = page.inner_text("scalar-card")
    assert all(f"seed={seed}" in shown for seed in (0, 1, 2))


def test_custom_scalars_show_the_named_charts(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}#custom_scalars&_smoothingWeight=0&regexInput=single")
    titles = ("Loss", "Accuracy", "Gap, scale and bounds", "Generalization gap", "Gradient norm by layer")
    for title in titles:
        page.get_by_text(title, exact=True).first.wait_for()
    page.locator("tf-custom-scalar-multi-line-chart-card path[d*='L']").first.wait_for(state="attached")
    page.locator("tf-custom-scalar-margin-chart-card path[d*='L']").first.wait_for(state="attached")
    page.wait_for_timeout(1500)
    page.screenshot(path=screenshots / "custom_scalars.png")
    assert page.get_by_text("steps for value, lower, and upper", exact=False).count() == 0
    assert not any(note.is_visible() for note in page.get_by_text("Missing Tags").all())


def test_custom_scalars_of_a_gan(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}#custom_scalars&_smoothingWeight=0&regexInput=two_players")
    for title in ("Discriminator and generator", "Modes and quality", "Two-sample tests"):
        page.get_by_text(title, exact=True).first.wait_for()
    page.locator("tf-custom-scalar-multi-line-chart-card path[d*='L']").first.wait_for(state="attached")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "custom_scalars_gan.png")


def test_custom_scalars_of_a_sweep_have_bands_over_seeds(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}#custom_scalars&_smoothingWeight=0&regexInput=sweep%2Fsummary")
    page.get_by_text("mean and 95 % interval over seeds").first.wait_for()
    page.locator("tf-custom-scalar-margin-chart-card path[d*='L']").first.wait_for(state="attached")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "custom_scalars_sweep.png")


def test_projector_shows_the_hidden_layer(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}#projector")
    page.wait_for_timeout(2000)
    page.reload()  # TensorBoard looks for embeddings only after the first question
    outer = page.frame_locator("iframe").first
    outer.frame_locator("iframe").first.get_by_text("hidden_0").first.wait_for(state="attached")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "projector.png")


def test_hparams_page_has_a_row_a_run_and_the_columns(
    page: Any, address: str, logs: Path, screenshots: Path
) -> None:
    page.goto(f"{address}#hparams")
    page.get_by_text("TABLE VIEW", exact=False).first.wait_for()
    page.get_by_text("seed=2 (sweep)", exact=True).first.wait_for(state="attached")
    page.wait_for_timeout(1500)
    page.screenshot(path=screenshots / "hparams.png")
    cells = [cell.strip() for cell in page.locator("vaadin-grid-cell-content").all_inner_texts()]
    shown = {"seed", "data.num_points", "gap loss", "loss train", "loss val", "loss test"}
    assert shown <= set(cells)
    assert cells.count(f"diverged ({logs.name})") == 1
    assert [cells.count(f"seed={seed} (sweep)") for seed in (0, 1, 2)] == [1, 1, 1]
    page.get_by_text("PARALLEL COORDINATES VIEW", exact=False).first.click()
    page.locator("tf-hparams-parallel-coords-plot path").first.wait_for(state="attached")
    page.wait_for_timeout(1000)
    page.screenshot(path=screenshots / "parallel_coordinates.png")


def test_images_page_shows_the_pictures(page: Any, address: str, screenshots: Path) -> None:
    page.goto(f"{address}#images&regexInput=single")
    page.get_by_text("pictures/decision_regions_train", exact=False).first.wait_for()
    page.locator("tf-image-loader img").first.wait_for()
    page.wait_for_timeout(2000)
    page.screenshot(path=screenshots / "images.png")
    widths = page.locator("tf-image-loader img").evaluate_all("images => images.map(i => i.naturalWidth)")
    assert len(widths) >= 4
    assert min(widths) > 100
