"""The pictures of a regression: the fitted curve of one input, predictions against the truth, residuals."""

import functools

import torch
from torch import Tensor

from gaplab.config.regression_data import RegressionDataConfig
from gaplab.data.datamodule import PointDataModule
from gaplab.data.splits import Split
from gaplab.figures.regression import draw_fit, draw_predictions, draw_residuals
from gaplab.losses.regression import as_matrix
from gaplab.tasks.classifier_figures import Render, logits_of, thinned
from gaplab.tasks.regression import Regression

SHOWN_POINTS = 1_000
CURVE_POINTS = 400


def regression_figures(task: Regression, data: PointDataModule, step: int) -> dict[str, Render]:
    """Return the pictures at an optimiser step; the first one tells most."""
    train, test = (thinned(data.splits[name], SHOWN_POINTS) for name in ("train", "test"))
    at = f"step {step:,}"

    @functools.cache
    def predicted() -> Tensor:
        return as_matrix(logits_of(task, test.points)).cpu()

    truth = as_matrix(test.labels).cpu()
    curve = (
        {"fit": lambda: _fit(task, data, train, test, at)}
        if data.in_features == 1 and truth.shape[1] == 1
        else {}
    )
    return curve | {
        "predictions": lambda: draw_predictions(truth, predicted(), title=f"Predictions, test points, {at}"),
        "residuals": lambda: draw_residuals(truth, predicted(), title=f"Residuals, test points, {at}"),
    }


def _fit(task: Regression, data: PointDataModule, train: Split, test: Split, at: str) -> Tensor:
    ends = torch.cat([train.points, test.points]).aminmax()
    x = torch.linspace(float(ends.min), float(ends.max), CURVE_POINTS).to(test.points)
    grid = x.view(-1, *test.points.shape[1:])
    law = data.config.build_law()[0] if isinstance(data.config, RegressionDataConfig) else None
    return draw_fit(
        x.cpu(),
        logits_of(task, grid).flatten().cpu(),
        (train.points.flatten().cpu(), train.labels.flatten().cpu()),
        (test.points.flatten().cpu(), test.labels.flatten().cpu()),
        mean=None if law is None else law(grid).flatten().cpu(),
        title=f"Fitted curve, {at}",
    )
