"""Published sign errors of the 24 measures of Dziugaite et al. 2020."""

from typing import NamedTuple


class PublishedSignError(NamedTuple):
    """Sign error over 9,242 environments of CIFAR-10 and SVHN networks; its maximum is 1 for every measure."""

    mean: float
    percentile_90: float | None = None
    """None where the reproduction that we read lists none."""


PUBLISHED = {
    "pacbayes_orig": PublishedSignError(0.0972, 0.360),
    "pacbayes_flatness": PublishedSignError(0.1024, 0.507),
    "pacbayes_init": PublishedSignError(0.1062, 0.819),
    "path_norm_over_margin": PublishedSignError(0.1217, 0.990),
    "pacbayes_mag_flatness": PublishedSignError(0.1261, 0.520),
    "path_norm": PublishedSignError(0.1274, 1.0),
    "fro_dist": PublishedSignError(0.1404, 1.0),
    "log_sum_of_fro": PublishedSignError(0.1616, 1.0),
    "param_norm": PublishedSignError(0.1788, 1.0),
    "log_sum_of_fro_over_margin": PublishedSignError(0.1857, 1.0),
    "log_prod_of_fro_over_margin": PublishedSignError(0.2986, 1.0),
    "log_prod_of_fro": PublishedSignError(0.3013, 1.0),
    "log_sum_of_spec": PublishedSignError(0.3034),
    "fro_over_spec": PublishedSignError(0.3115),
    "inverse_margin": PublishedSignError(0.3296),
    "log_sum_of_spec_over_margin": PublishedSignError(0.3349),
    "dist_spec_init": PublishedSignError(0.3746),
    "pacbayes_mag_orig": PublishedSignError(0.4071),
    "pacbayes_mag_init": PublishedSignError(0.4173),
    "params": PublishedSignError(0.4334),
    "log_spec_orig_main": PublishedSignError(0.5506),
    "log_spec_init_main": PublishedSignError(0.5614),
    "log_prod_of_spec": PublishedSignError(0.5965),
    "log_prod_of_spec_over_margin": PublishedSignError(0.6185),
}
"""From the headline ranking that github.com/AparajeetS/marginal-baseline-eval reproduces from the released runs
(``dziugaite2020/out/source_headline_ranking.csv``). Their measures have the σ² for σ and the |γ| that
``capacity.sharpness`` and ``capacity.margins`` describe; ours have not."""
