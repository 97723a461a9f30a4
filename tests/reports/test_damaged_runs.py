"""Runs that are damaged, or that somebody prepared."""

import json
import os
import shutil
from pathlib import Path

import pytest

from gaplab.errors import ConfigError
from gaplab.report import main, write_report
from gaplab.reports.ledger import read_ledger
from gaplab.runs.directory import read_config
from gaplab.storage.reading import read_regular, read_yaml
from left_runs import leave_run


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", "{}"),
        ("run.json", "[]"),
        ("run.json", "{"),
        ("overrides.yaml", None),
        ("overrides.yaml", "["),
        ("result.json", "[]"),
        ("result.json", '{"last": 3}'),
        ("result.json", '{"last": {"gap/loss": "x"}}'),
    ],
)
def test_a_damaged_run_does_not_cost_the_sweep_its_report(
    tmp_path: Path, file: str, content: str | None
) -> None:
    leave_run(tmp_path / "a", ["optimizer.lr=0.1"], None, "failed")
    leave_run(tmp_path / "b", ["optimizer.lr=0.1"], 0.1)
    leave_run(tmp_path / "c", ["optimizer.lr=0.2"], 0.2)
    shutil.copytree(tmp_path / "c", tmp_path / "aa")
    if content is None:
        (tmp_path / "aa" / file).unlink()
    else:
        (tmp_path / "aa" / file).write_text(content)
    main([str(tmp_path)])
    statuses = {row.name: row.status for row in read_ledger(tmp_path)}
    assert statuses == {"a": "failed", "aa": "unreadable", "b": "finished", "c": "finished"}
    assert '<th scope="row">aa</th><td>unreadable</td>' in (tmp_path / "report.html").read_text()
    assert "\naa,,,,,unreadable," in (tmp_path / "ledger.csv").read_text()


def test_links_and_pipes_are_neither_followed_nor_waited_for(finished_run: Path, tmp_path: Path) -> None:
    run, secret = tmp_path / "run", tmp_path / "secret"
    shutil.copytree(finished_run, run)
    secret.write_bytes(b"private")
    (run / "report.html").symlink_to(secret)
    (run / "figures" / "leak.png").symlink_to(secret)
    os.mkfifo(run / "figures" / "pipe.png")
    write_report(run)
    assert secret.read_bytes() == b"private"
    assert not (run / "report.html").is_symlink()
    page = (run / "report.html").read_text()
    assert "<figcaption>leak" not in page
    assert "<figcaption>pipe" not in page
    assert read_regular(run / "figures" / "pipe.png") is None


def test_aliases_that_multiply_are_refused(finished_run: Path, tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    (run / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="aliases"):
        read_config(run)
    (run / "overrides.yaml").write_text("&a [*a]")
    with pytest.raises(ConfigError, match="aliases"):
        read_yaml(run / "overrides.yaml")


def test_a_report_that_cannot_be_written_is_one_sentence(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    (run / "report.html").mkdir()
    with pytest.raises(SystemExit) as stop:
        main([str(run)])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {run / 'report.html'}: cannot write the report")
    assert not list(run.glob(".report*"))


def test_bounds_and_the_verdict_stand_in_the_report(finished_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    result = json.loads((run / "result.json").read_text())
    result["last"] |= {"accuracy/test": 0.973, "gap/accuracy": 0.027, "gap/accuracy_error": 0.004}
    bound = {"delta": 0.05, "rigorous": True, "source": "a book", "quantity": "gap", "trivial": 1.0}
    result["bounds"] = [
        bound | {"name": "finite_precision", "value": 4.7, "vacuous": True},
        bound | {"name": "pac_bayes", "value": 0.2, "vacuous": False, "quantity": "risk", "trivial": 0.5},
    ]
    (run / "result.json").write_text(json.dumps(result))
    rows = [f"{step},0.1,{val},0.3" for step, val in ((10, 0.5), (20, 0.2), (30, 0.4))]
    (run / "metrics.csv").write_text("\n".join(["step,loss/train,loss/val,loss/test", *rows]) + "\n")
    write_report(run)
    text = (run / "report.md").read_text()
    assert "97.3 % right on unseen points: 2.7 ± 0.4 points fewer than on training points" in text
    assert "(pac bayes) says that the error of a noisy copy is at most 0.2000." in text
    assert "It overfits after step 20: loss/val rises from 0.2000 to 0.4000." in text
    assert (
        "| finite_precision | error - training error | 4.7000 | 95 % | vacuous: known without data |" in text
    )
    assert (
        text.index("![Errors, gap and bounds of the last weights]")
        < text.index("## Result")
        < text.index("## What ran")
    )
