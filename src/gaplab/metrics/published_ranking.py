"""What is published of the 24 measures of Dziugaite et al. 2020, on CIFAR-10 and SVHN networks."""

from typing import NamedTuple


class Published(NamedTuple):
    """Scores of one measure; the largest sign error is 1 for every measure."""

    mean: float
    """Mean sign error over 9,242 environments."""
    percentile_90: float
    """90th percentile of the sign error."""
    residual_correlation: float
    """Rank correlation of the settings' held-out residuals, 9,700 runs of 1,000 settings, design regressed out."""
    error_removed: float
    """Share of the squared error out of fold that falls away once the measure is added to the design."""


PUBLISHED = {
    "pacbayes_orig": Published(0.0972, 0.360, 0.588, 0.385),
    "pacbayes_flatness": Published(0.1024, 0.507, 0.580, 0.344),
    "pacbayes_init": Published(0.1062, 0.819, 0.641, 0.554),
    "path_norm_over_margin": Published(0.1217, 0.990, 0.337, 0.396),
    "pacbayes_mag_flatness": Published(0.1261, 0.520, 0.631, 0.486),
    "path_norm": Published(0.1274, 1.0, 0.319, 0.388),
    "fro_dist": Published(0.1404, 1.0, 0.590, 0.420),
    "log_sum_of_fro": Published(0.1616, 1.0, 0.284, 0.097),
    "param_norm": Published(0.1788, 1.0, 0.471, 0.225),
    "log_sum_of_fro_over_margin": Published(0.1857, 1.0, 0.262, 0.074),
    "log_prod_of_fro_over_margin": Published(0.2986, 1.0, 0.350, 0.302),
    "log_prod_of_fro": Published(0.3013, 1.0, 0.344, 0.302),
    "log_sum_of_spec": Published(0.3034, 1.0, 0.392, 0.173),
    "fro_over_spec": Published(0.3115, 1.0, -0.145, 0.023),
    "inverse_margin": Published(0.3296, 1.0, 0.092, 0.001),
    "log_sum_of_spec_over_margin": Published(0.3349, 1.0, 0.331, 0.130),
    "dist_spec_init": Published(0.3746, 1.0, 0.459, 0.450),
    "pacbayes_mag_orig": Published(0.4071, 1.0, 0.163, 0.076),
    "pacbayes_mag_init": Published(0.4173, 1.0, 0.300, 0.221),
    "params": Published(0.4334, 1.0, 0.038, -0.016),
    "log_spec_orig_main": Published(0.5506, 1.0, 0.368, 0.569),
    "log_spec_init_main": Published(0.5614, 1.0, 0.373, 0.553),
    "log_prod_of_spec": Published(0.5965, 1.0, 0.346, 0.555),
    "log_prod_of_spec_over_margin": Published(0.6185, 1.0, 0.341, 0.522),
}
"""Sign errors: the headline ranking that github.com/AparajeetS/marginal-baseline-eval reproduces from the released runs
(``dziugaite2020/out/source_headline_ranking.csv``); the rest: the audit of the same runs there (``reaudit.csv``,
pooled, ``B1_design``), whose fit is a polynomial of degree 4 of each hyperparameter. Spectral norms are those
of its ``_fft`` columns. Their measures have the σ² for σ and the |γ| that ``capacity.sharpness`` and
``capacity.margins`` describe; ours have not."""
