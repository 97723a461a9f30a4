"""The command that measures a saved run again."""

import json

import pytest

from gaplab import evaluate


def test_options_may_stand_between_the_run_and_its_overrides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []
    monkeypatch.setattr(
        evaluate, "evaluate", lambda *arguments: calls.append(arguments) or {"loss/test": 0.5}
    )
    evaluate.main(["run", "--json", "data.noise=0.6", "--weights", "last", "data_seed=1"])
    ((path, weights, overrides),) = calls
    assert (str(path), weights, overrides) == ("run", "last", ["data.noise=0.6", "data_seed=1"])
    assert json.loads(capsys.readouterr().out) == {"loss/test": 0.5}
