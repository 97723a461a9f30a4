"""The report of a run as one page and as Markdown."""

import base64
import re
import shutil
from pathlib import Path

import pytest

from gaplab.report import main, write_report
from gaplab.reports.render import Report, Table, to_html, to_markdown
from gaplab.runs.directory import read_json


@pytest.fixture(scope="module")
def reported(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished run with its report."""
    run = tmp_path_factory.mktemp("reports") / "finished"
    shutil.copytree(finished_run, run)
    write_report(run)
    return run


def test_page_needs_no_other_file_and_shows_every_picture(reported: Path) -> None:
    page = (reported / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    files = {file.stem: file for kind in ("png", "svg") for file in (reported / "figures").glob(f"*.{kind}")}
    assert {stem for stem, file in files.items() if file.suffix == ".svg"} == {"curves", "gap_and_bounds"}
    pictures = {file.read_bytes() for file in files.values()}
    assert {base64.b64decode(data) for data in re.findall(r'base64,([^"]+)"', page)} == pictures
    assert len(pictures) == 9  # seven of the run, the curves, and the gap and bounds
    best = read_json(reported / "result.json")["best"]
    assert f"<td>{best['loss/test']:.4f}</td>" in page


def test_markdown_links_the_pictures_that_exist(reported: Path) -> None:
    text = (reported / "report.md").read_text()
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert links[0] == "figures/curves.png"
    assert all((reported / link).is_file() for link in links)
    assert "| best (step" in text


def test_cells_are_escaped() -> None:
    report = Report("a < b", [Table("t", ("x",), [("<script>alert(1)</script> | pipe",)])])
    assert "<script>" not in to_html(report)
    assert "a &lt; b" in to_html(report)
    assert "\\| pipe" in to_markdown(report)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path)])
    assert stop.value.code == 2
    assert "error: " in capsys.readouterr().err
