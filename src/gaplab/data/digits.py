"""Scikit-learn's handwritten digits, flat or as images."""

import torch

from gaplab.config.data_files import DigitsConfig
from gaplab.data.splits import cut_rows
from gaplab.data.tables import Examples
from gaplab.errors import ConfigError

NUM_CLASSES = 10
BRIGHTEST = 16.0
"""Value of a full pixel."""


def load_digits(config: DigitsConfig, generator: torch.Generator) -> Examples:
    """Return the digits in random shares, pixels in [0, 1].

    Raises:
        ConfigError: If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise ConfigError(
            "data: expected scikit-learn to be installed, which holds the digits. Install it with: pip install "
            '"gaplab[sklearn]", or in a clone: pip install -e ".[sklearn]"'
        ) from error
    found = load()
    images = torch.from_numpy(found.images).float() / BRIGHTEST
    points = images.flatten(1) if config.flat else images[:, None]
    labels = torch.from_numpy(found.target).long()
    rows = cut_rows(len(labels), config.val_share, config.test_share, generator)
    return Examples({name: (points[some], labels[some]) for name, some in rows.items()}, NUM_CLASSES, {})
