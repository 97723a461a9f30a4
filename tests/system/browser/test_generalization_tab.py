"""The tab "Generalization" in a real TensorBoard and a real browser."""

import math
from pathlib import Path
from typing import Any

import pytest

from gaplab.reports.run_verdict import verdict_of_run
from gaplab.runs.directory import read_json
from gaplab.tensorboard.read_curves import read_history

pytestmark = [pytest.mark.thorough, pytest.mark.browser]
SEEDS = (0, 1, 2)


@pytest.fixture
def requests(page: Any) -> list[str]:
    """Whatever the page asks for, from the start."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def tab(page: Any, address: str, choice: str) -> Any:
    """Open the tab and choose a run or a sweep; return the frame that TensorBoard gives it."""
    page.goto(f"{address}#generalization")
    frame = page.frame_locator("iframe").first
    frame.locator(f'option[value="{choice}"]').wait_for(state="attached")
    frame.locator("select").select_option(choice)
    frame.get_by_text("Reading").wait_for(state="detached")
    frame.locator("figure svg").first.wait_for()
    return frame


def numbers(points: Any, name: str) -> list[float]:
    return [float(value) for value in points.evaluate_all(f"all => all.map(e => e.getAttribute('{name}'))")]


def cut_off(frame: Any) -> list[str]:
    """Return the texts that leave their figure."""
    found: list[str] = frame.locator("svg").evaluate_all(
        """svgs => svgs.flatMap(svg => {
          const box = svg.getBoundingClientRect();
          return [...svg.querySelectorAll('text')].filter(text => {
            const own = text.getBoundingClientRect();
            return own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1
              || own.bottom > box.bottom + 1;
          }).map(text => text.textContent);
        })"""
    )
    return found


def test_a_run_shows_its_verdict_every_measurement_and_the_bounds(
    page: Any, requests: list[str], address: str, logs: Path, screenshots: Path
) -> None:
    frame = tab(page, address, "run single")
    page.screenshot(path=screenshots / "generalization.png")
    result, history = read_json(logs / "single" / "result.json"), read_history(logs / "single")
    assert frame.locator(".verdict").inner_text() == verdict_of_run(result, history)

    gap = frame.locator("figure", has_text="generalization gap in loss with its 95 % interval")
    assert gap.locator("path.band").count() == 1
    dots = gap.locator("circle")
    assert dots.count() == len(history)
    values = [row["gap/loss"] for row in history.values()]
    heights = numbers(dots, "cy")
    assert heights.index(min(heights)) == values.index(max(values)), "the largest gap stands highest"
    height = float(gap.locator("svg").get_attribute("viewBox").split()[3])
    assert 0 < min(heights) <= max(heights) < height, "no outlier leaves the frame"
    steps = numbers(dots, "cx")
    first, second, last = (list(history).index(step) for step in (200, 400, 800))
    assert steps[last] - steps[second] == pytest.approx(steps[second] - steps[first], abs=0.1), "log steps"

    splits = frame.locator("figure", has_text="loss on every split").locator("path.line")
    assert splits.count() == 3
    assert len(set(splits.evaluate_all("all => all.map(e => e.getAttribute('stroke'))"))) == 3

    bounds = frame.locator("figure", has_text="errors, gap and bounds")
    shown = {
        bound["name"].replace("_", " ") for bound in result["bounds"] if "hoeffding" not in bound["name"]
    }
    assert bounds.locator("circle.mark").count() == 3 + len(shown)
    assert all(name in bounds.inner_text() for name in (*shown, "guessing", "(vacuous)"))
    assert cut_off(frame) == []
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []


def test_a_sweep_shows_a_row_a_setting_and_every_run(
    page: Any, requests: list[str], address: str, logs: Path, screenshots: Path
) -> None:
    frame = tab(page, address, "sweep sweep")
    page.screenshot(path=screenshots / "generalization_sweep.png")
    gaps = [read_json(logs / "sweep" / f"seed={seed}" / "result.json")["last"]["gap/loss"] for seed in SEEDS]
    forest = frame.locator("figure", has_text="gap loss by setting")
    places = numbers(forest.locator("circle.seed"), "cx")
    order = sorted(range(len(SEEDS)), key=lambda k: gaps[k])
    assert sorted(places) == [places[k] for k in order]
    shares = [(places[k] - places[order[0]]) / (gaps[k] - gaps[order[0]]) for k in order[1:]]
    assert shares[0] == pytest.approx(shares[1], rel=1e-3), "a linear axis"
    (mean,) = numbers(forest.locator("rect.mark"), "x")
    assert min(places) < mean < max(places)
    rows = frame.locator("table tr")
    assert rows.count() == 2
    text = rows.nth(1).inner_text()
    assert f"{math.fsum(gaps) / len(gaps):.4f}" in text
    assert all(f"{gap:.4f}" in text for gap in gaps)
    assert f"{len(SEEDS)} of {len(SEEDS)} runs finished." in frame.locator(".verdict").inner_text()
    assert cut_off(frame) == []
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []
