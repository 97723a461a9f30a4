"""The reports in a browser: on a desk, on a phone and on paper."""

import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from gaplab.report import write_report

pytestmark = [pytest.mark.thorough, pytest.mark.browser]


@pytest.fixture(scope="module", params=["single", "sweep", "two_players"])
def report(request: pytest.FixtureRequest, logs: Path) -> Path:
    folder = logs / request.param
    write_report(folder)
    return folder / "report.html"


def test_the_gap_is_on_the_first_screen_of_a_desk_and_a_phone(
    page: Any, report: Path, screenshots: Path
) -> None:
    for width, height, device in ((1300, 900, "desk"), (390, 844, "phone")):
        page.set_viewport_size({"width": width, "height": height})
        page.goto(report.as_uri())
        page.screenshot(path=screenshots / f"report_{report.parent.name}_{device}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        verdict, figure = page.locator(".verdict"), page.locator("figure img").first
        assert verdict.bounding_box()["y"] < 150
        box = figure.bounding_box()
        assert box["y"] + 0.6 * box["height"] < height
        assert 0.5 * min(width, 500) < box["width"] <= width
        assert figure.evaluate("image => image.naturalWidth") > 0
        assert page.locator("img:not([alt])").count() == 0


def test_print_has_no_blank_page_and_shows_what_is_folded(page: Any, report: Path, screenshots: Path) -> None:
    page.goto(report.as_uri())
    paper = page.pdf(path=screenshots / f"report_{report.parent.name}.pdf", format="A4")
    contents = re.findall(rb"/Type /Page\b(?!s).*?/Contents (\d+) 0 R", paper, re.DOTALL)
    assert 1 <= len(contents) <= 9
    for number in contents:
        stream = re.search(rb"\n%s 0 obj\n.*?stream\n(.*?)\nendstream" % number, paper, re.DOTALL)
        assert stream is not None
        drawn = zlib.decompress(stream[1])
        assert re.search(rb"\b(Tj|TJ|Do)\b", drawn), "a page without a text or a picture"
    page.emulate_media(media="print")
    assert page.locator("details table").first.is_visible()
