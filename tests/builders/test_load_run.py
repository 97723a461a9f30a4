"""A run as objects, measured again from its directory alone."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml

from gaplab.builders.load_run import load_run
from gaplab.config.compose import compose_config
from gaplab.errors import ConfigError
from gaplab.evaluate import evaluate, main
from gaplab.runs.checkpoints import read_weights
from gaplab.runs.directory import read_config, read_json
from gaplab.train import run_one
from quick_runs import QUICK


@pytest.mark.parametrize("weights", ["best", "last"])
def test_loaded_run_is_the_run_that_was(weights: str, finished_run: Path) -> None:
    run = load_run(finished_run, weights=weights)
    saved = read_weights(finished_run / "checkpoints" / f"{weights}.ckpt").weights
    assert all(torch.equal(saved[name], tensor) for name, tensor in run.task.state_dict().items())
    assert not run.task.training
    assert run.config.data.label_noise == 0.2
    test = run.data.splits["test"]
    with torch.no_grad():
        correct = run.task(test.points).argmax(dim=1) == test.labels
    reported = read_json(finished_run / "result.json")[weights]
    assert float(correct.double().mean()) == reported["accuracy/test"]
    assert evaluate(finished_run, weights) == pytest.approx(reported)


def test_evaluation_on_other_data_keeps_the_weights(finished_run: Path) -> None:
    noisy = load_run(finished_run, overrides=["data.noise=1.5", "data.num_test_points=200"])
    plain = load_run(finished_run)
    assert all(
        torch.equal(tensor, noisy.task.state_dict()[name]) for name, tensor in plain.task.state_dict().items()
    )
    test = noisy.data.splits["test"]
    assert len(test) == 200
    table = evaluate(finished_run, "best", ["data.noise=1.5", "data.num_test_points=200"])
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(noisy.task(test.points), test.labels)
    assert table["loss/test"] == pytest.approx(float(loss), rel=1e-5)
    assert table["loss/test"] > evaluate(finished_run)["loss/test"], "noise makes it harder"


def test_a_run_that_moved_is_loaded(finished_run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished_run, tmp_path / "elsewhere")
    assert evaluate(copy) == evaluate(finished_run)
    (copy / "checkpoints" / "best.ckpt").unlink()
    assert evaluate(copy) == evaluate(finished_run, "last"), "without a best, the last"
    (copy / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(ConfigError, match="last.ckpt: expected a checkpoint, but there is none"):
        load_run(copy)


def test_the_command_prints_numbers_or_one_message(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(finished_run), "--weights", "last", "--json"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed == pytest.approx(read_json(finished_run / "result.json")["last"])
    main([str(finished_run)])
    assert "gap/loss " in capsys.readouterr().out
    for arguments, message in (
        ([str(tmp_path)], "expected a run directory"),
        ([str(finished_run), "data.nois=1"], "Did you mean 'noise'?"),
        ([str(finished_run), "network.widths=[9]"], "expected the weights of this network"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert message in captured.err


ATTACKS = {
    "a target": {"network": {"_target_": "pathlib.Path.touch", "self": "MARK"}},
    "a resolver": {"run": {"root": "${oc.env:SECRET}"}},
    "a target at the root": {"_target_": "os.system"},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_saved_configuration_executes_nothing(attack: str, finished_run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished_run, tmp_path / "copy")
    content = read_config(copy)
    for key, value in ATTACKS[attack].items():
        content[key] = content.get(key, {}) | value if isinstance(value, dict) else value
    (copy / "config.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError):
        load_run(copy)


def test_python_tags_in_a_saved_configuration_execute_nothing(finished_run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished_run, tmp_path / "copy")
    mark = tmp_path / "mark"
    with (copy / "config.yaml").open("a") as file:
        file.write(
            f"note: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{mark}]]\n"
        )
    with pytest.raises(ConfigError, match="config.yaml: expected readable YAML"):
        load_run(copy)
    assert not mark.exists()


def test_a_run_in_double_precision_loses_no_digit(tmp_path: Path) -> None:
    run_one(compose_config([*QUICK, "trainer.precision=64-true", "logging.pictures=false"]), tmp_path / "run")
    run = load_run(tmp_path / "run", weights="last")
    saved = read_weights(tmp_path / "run" / "checkpoints" / "last.ckpt").weights
    assert all(torch.equal(saved[name], tensor) for name, tensor in run.task.state_dict().items())
    reported = read_json(tmp_path / "run" / "result.json")["last"]
    assert evaluate(tmp_path / "run", "last") == pytest.approx(reported, rel=1e-12)
    test = run.data.splits["test"]
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(run.task(test.points), test.labels)
    assert float(loss) == pytest.approx(reported["loss/test"], rel=1e-12)


def test_a_key_that_is_gone_is_left_out_with_a_warning(
    finished_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = shutil.copytree(finished_run, tmp_path / "old")
    content = yaml.safe_load((copy / "config.yaml").read_text())
    content["optimizer"]["warp"], content["space"] = 9, {"time": 1}
    (copy / "config.yaml").write_text(yaml.safe_dump(content))
    assert evaluate(copy) == evaluate(finished_run)
    assert "optimizer.warp, space: no such key exists now; what the run had there is left out." in caplog.text
