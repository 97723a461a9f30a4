"""The task of docs/tasks.md, in a folder outside the repository: processes, resumption, a sweep, pages, loading."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gaplab import load_run
from gaplab.config.extensions import LOADED
from gaplab.config.registry import CHOICES, PROJECT_ROOT
from gaplab.evaluate import main as evaluate
from gaplab.report import main as report
from quick_runs import QUICK, set_once
from running import TRAIN, finished
from running import points as logged

PAGE = (PROJECT_ROOT / "docs" / "tasks.md").read_text()
WORDS = set_once(
    *QUICK,
    "extensions=[mine/my_task.py]",
    "task=shaken",
    "task.shake=0.3",
    "network.dropout=0.2",
    "data.num_points=61",
    "data.batch_size=15",
    "trainer.precision=64-true",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the file and a sweep over one and two processes; the task is forgotten at the end."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine").mkdir()
    source = next(block for block in PAGE.split("```python\n") if block.startswith("# my_task.py"))
    (folder / "mine" / "my_task.py").write_text(source.split("```")[0])
    command = finished([*TRAIN, "-m", *WORDS, "trainer.devices=2,1"], folder / "log")
    assert command.process.returncode == 0, command.output
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(LOADED, "")
        yield folder
    CHOICES["task"].pop("shaken", None)


def run_of(folder: Path, devices: int) -> Path:
    (path,) = folder.glob(f"logs/sweep-*/devices={devices}")
    return path


def last(run: Path) -> dict[str, float]:
    return dict(json.loads((run / "result.json").read_text())["last"])


@pytest.mark.ddp
def test_two_processes_give_the_numbers_of_one(folder: Path) -> None:
    one, two = last(run_of(folder, 1)), last(run_of(folder, 2))
    assert {"loss/test", "kappa/test", "gap/loss", "gap/loss_error", "gap/kappa"} <= one.keys()
    assert two == pytest.approx(one, abs=1e-8)


def test_tables_charts_and_pages_have_what_the_task_measures(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = (folder / "log").read_text()
    assert "│ kappa " in printed
    assert "gap/kappa" in printed
    assert "perfect sampler" not in printed
    sweep = run_of(folder, 1).parent
    ledger = list(csv.DictReader((sweep / "ledger.csv").read_text().splitlines()))
    assert float(ledger[0]["kappa/test"]) == pytest.approx(last(run_of(folder, 1))["kappa/test"])
    tags = {tag for tag, _ in logged(run_of(folder, 1))}
    assert {"train/kappa", "val/kappa", "test/kappa", "./gap/kappa", "./loss/train_batch"} <= tags
    own = f"extensions=[{folder / 'mine' / 'my_task.py'}]"
    report([str(run_of(folder, 1)), own])
    assert "kappa" in (run_of(folder, 1) / "report.md").read_text()
    report([str(sweep)])
    page = (sweep / "report.md").read_text()
    assert "kappa/test by setting" in page
    with pytest.raises(SystemExit):
        report([str(sweep), "data.noise=1"])
    assert "expected nothing but extensions=" in capsys.readouterr().err


@pytest.mark.ddp
def test_a_run_goes_on_is_loaded_and_measured_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After ``two_processes``: what two processes began, one continues to the numbers of an unbroken run."""
    own = "extensions=[mine/my_task.py]"
    words = [*TRAIN, own, f"resume={run_of(folder, 2)}", "trainer.max_steps=32", "trainer.devices=1"]
    command = finished(words, folder / "more")
    assert command.process.returncode == 0, command.output
    assert yaml.safe_load((run_of(folder, 2) / "config.yaml").read_text())["task"] == {"shake": 0.3}
    whole = finished([*TRAIN, *set_once(*WORDS, "trainer.max_steps=32"), "run.id=whole"], folder / "whole")
    assert whole.process.returncode == 0, whole.output
    run = folder / "logs" / "default" / "whole"
    assert last(run_of(folder, 2)) == pytest.approx(last(run), abs=1e-8)

    files = f"extensions=[{folder / 'mine' / 'my_task.py'}]"
    loaded = load_run(run, weights="last", overrides=[files])
    assert type(loaded.task).__name__ == "Shaken"
    logits = loaded.task(loaded.data.splits["test"].points)
    right = logits.argmax(dim=1) == loaded.data.splits["test"].labels
    assert right.double().mean() > 0.4, "three classes"
    evaluate([str(run), "--weights", "last", "--json", files])
    assert json.loads(capsys.readouterr().out) == pytest.approx(last(run), rel=1e-6)
