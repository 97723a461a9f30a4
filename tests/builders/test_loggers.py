"""MLflow and W&B with the real packages, without a network; skipped where they are missing, which a sentence names."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from gaplab.config.compose import compose_config
from gaplab.errors import ConfigError
from gaplab.runs.directory import read_json
from gaplab.runs.resume import plan_resumption
from gaplab.train import run_one, run_planned
from quick_runs import QUICK, Compose
from running import TRAIN, finished

EXTRA = ("logging.tensorboard=false", "logging.diagnostics=none")


# The packages' own warnings are not ours.
@pytest.mark.filterwarnings("ignore")
def test_mlflow_gets_every_measurement(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = tmp_path / "question" / "run"
    run_one(quick("logging.extra=[mlflow]", *EXTRA), path)
    client = mlflow.MlflowClient(f"sqlite:///{path.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("question")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "run"
    points = {point.step: point.value for point in client.get_metric_history(run.info.run_id, "gap/loss")}
    assert list(points) == [8, 16, 24]
    assert points[24] == pytest.approx(read_json(path / "result.json")["last"]["gap/loss"])
    assert run.data.params["num_steps"] == "24"
    run_planned(plan_resumption(path, ["trainer.max_steps=32"]))
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["resumed/num_steps"] == "32"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "gap/loss")] == [8, 16, 24, 32]
    assert run.data.metrics["objective"] == pytest.approx(read_json(path / "result.json")["objective"])


def test_runs_of_a_pool_share_one_store_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processes find no database at the same time; one of them makes it."""
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    words = [*QUICK, *EXTRA, "logging.extra=[mlflow]", "seed=0,1,2,3", f"run.root={tmp_path}"]
    pool = ["hydra/launcher=pool", "hydra.launcher.num_workers=4"]
    command = finished([*TRAIN, "-m", *words, *pool], tmp_path / "log.txt")
    assert command.process.returncode == 0, command.output
    assert "4 of 4 runs finished" in command.output
    (database,) = tmp_path.rglob("mlflow.db")
    client = mlflow.MlflowClient(f"sqlite:///{database}")
    (experiment,) = [one for one in client.search_experiments() if one.name != "Default"]
    runs = client.search_runs([experiment.experiment_id])
    assert {(run.info.run_name, run.info.status) for run in runs} == {
        (f"seed={n}", "FINISHED") for n in range(4)
    }


@pytest.mark.filterwarnings("ignore")
def test_each_run_of_a_process_is_one_of_wandb(
    quick: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("first", "second"):
        run_one(quick("logging.extra=[wandb]", *EXTRA), tmp_path / name)
    wandb.finish()
    for name in ("first", "second"):
        assert len(list((tmp_path / name / "wandb").glob("offline-run-*"))) == 1


def test_a_missing_logger_package_is_named(tmp_path: Path) -> None:
    missing = [name for name in ("mlflow", "wandb") if find_spec(name) is None]
    if not missing:
        pytest.skip("both packages are installed")
    composed = compose_config([*QUICK, f"run.root={tmp_path}", f"logging.extra=[{missing[0]}]"])
    with pytest.raises(
        ConfigError, match=rf"logging\.extra.*'{missing[0]}'.*pip install .*gaplab.{missing[0]}"
    ):
        run_one(composed, tmp_path / "run")
    assert not (tmp_path / "run").exists()
