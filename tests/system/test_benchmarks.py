"""``python -m benchmarks`` names what it can run, and refuses what it cannot."""

import importlib
import inspect

import pytest
from benchmarks import __main__ as command


def test_an_unknown_benchmark_is_a_sentence_with_the_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "start_up", "trainig_loop"])
    with pytest.raises(SystemExit) as left:
        command.main()
    assert left.value.code == 2
    assert "no benchmark is named trainig_loop" in capsys.readouterr().err


@pytest.mark.parametrize("name", command.NAMES)
def test_a_benchmark_says_whether_it_met_its_figures(name: str) -> None:
    main = importlib.import_module(f"benchmarks.{name}").main
    assert inspect.signature(main).return_annotation is bool
