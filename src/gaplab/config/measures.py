"""What is measured at the end of a run beside losses, accuracies and gaps."""

from enum import StrEnum

from gaplab.config.data import DataConfig, LabelNoise


class Measures(StrEnum):
    none = "none"
    bounds = "bounds"
    """Bounds that cost nothing: Hoeffding for the test set, finite precision for the gap."""
    capacity = "capacity"
    """Also the capacity measures of a classifier that need neither Hessian nor sampling: a tenth of a second."""
    full = "full"
    """Also the PAC-Bayes bound and all capacity measures of a classifier: seconds to a minute."""


def points_are_independent(data: DataConfig) -> bool:
    """Whether training and test points are independent draws of one law, which every bound assumes.

    The data say so (``DataConfig.independent``), but labels that are wrong in training only follow another law.
    """
    return data.independent and not (data.label_noise > 0 and data.label_noise_in is LabelNoise.train)
