"""Figures as vectors and the table as LaTeX, which a paper takes."""

import shutil
from pathlib import Path

import pytest

from gaplab.report import main
from gaplab.reports.latex import escaped


def test_a_run_gives_vectors_and_a_table_the_same_twice(finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    files = [run / "figures" / "curves.pdf", run / "figures" / "curves.svg", run / "result.tex"]
    written = []
    for _ in range(2):
        main([str(run), "--format", "pdf,svg,tex"])
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]
    pdf, svg, tex = written[0]
    assert pdf.startswith(b"%PDF")
    assert b"<svg" in svg
    rows = [line for line in tex.decode().splitlines() if line.endswith(r"\\")]
    assert len({row.replace(r"\&", "").count("&") for row in rows}) == 1
    assert any("loss" in row and r"$\pm$" in row for row in rows)


def test_letters_that_are_commands_are_escaped() -> None:
    assert escaped(r"a_b 95 % \x{}") == r"a\_b 95 \% \textbackslash{}x\{\}"


def test_another_format_is_refused(finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(finished_run), "--format", "docx"])
    assert "expected some of pdf,svg,tex, but got docx" in capsys.readouterr().err
