"""``python -m benchmarks`` names what it can run, and refuses what it cannot."""

import importlib
import inspect

import pytest
import torch
from benchmarks import __main__ as command
from benchmarks.kernel_density import BANDWIDTHS, best_estimate


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


def test_the_kernel_density_has_the_bandwidth_that_makes_held_out_points_most_likely() -> None:
    points = torch.randn(350, 2, generator=torch.Generator().manual_seed(0)).double()
    train, val = points[:250], points[250:]
    widths = torch.as_tensor(BANDWIDTHS) * train.std()
    squares = (val[:, None] - train).square().sum(dim=2)
    kernels = -squares / (2 * widths[:, None, None] ** 2)
    likelihoods = kernels.logsumexp(dim=2).mean(dim=1) - 2 * widths.log()
    best = likelihoods.argmax()
    assert 0 < best < len(widths) - 1
    assert best_estimate(train, val).bandwidth == pytest.approx(widths[best].item())
