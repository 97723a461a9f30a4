"""What each capacity measure is: its family, its formula, and where it comes from."""

from typing import NamedTuple

HEALTH = "health"
"""Family of numbers that say how far a measure can be trusted."""
ROBUST = "Dziugaite et al. 2020 (arXiv 2010.11924)"


class Measure(NamedTuple):
    """One row of the catalogue.

    The formula is the value v before its scaling by the number m of training points; the measures of
    Dziugaite et al. are reported as √(v/m), those named log_* as ½·(v − ln m), all others as they stand.
    """

    family: str
    formula: str
    source: str = ROBUST


MEASURES: dict[str, Measure] = {
    "params": Measure("counting", "ω, the number of weights"),
    "inverse_margin": Measure("margin", "1/γ²"),
    "param_norm": Measure("norm", "Σ‖W_i‖_F²"),
    "fro_dist": Measure("distance", "Σ‖W_i − W_i⁰‖_F²"),
    "dist_spec_init": Measure("distance", "Σ‖W_i − W_i⁰‖₂²"),
    "log_prod_of_spec": Measure("norm", "Σ ln‖W_i‖₂²"),
    "log_prod_of_spec_over_margin": Measure("norm and margin", "Σ ln‖W_i‖₂² − 2 ln γ"),
    "log_sum_of_spec": Measure("norm", "ln d + (1/d)·Σ ln‖W_i‖₂²"),
    "log_sum_of_spec_over_margin": Measure("norm and margin", "ln d + (1/d)·(Σ ln‖W_i‖₂² − 2 ln γ)"),
    "log_prod_of_fro": Measure("norm", "Σ ln‖W_i‖_F²"),
    "log_prod_of_fro_over_margin": Measure("norm and margin", "Σ ln‖W_i‖_F² − 2 ln γ"),
    "log_sum_of_fro": Measure("norm", "ln d + (1/d)·Σ ln‖W_i‖_F²"),
    "log_sum_of_fro_over_margin": Measure("norm and margin", "ln d + (1/d)·(Σ ln‖W_i‖_F² − 2 ln γ)"),
    "fro_over_spec": Measure("norm", "Σ‖W_i‖_F²/‖W_i‖₂², the sum of the stable ranks"),
    "log_spec_init_main": Measure("norm and margin", "Σ ln‖W_i‖₂² − 2 ln γ + ln Σ‖W_i − W_i⁰‖_F²/‖W_i‖₂²"),
    "log_spec_orig_main": Measure("norm and margin", "Σ ln‖W_i‖₂² − 2 ln γ + ln Σ‖W_i‖_F²/‖W_i‖₂²"),
    "path_norm": Measure("path", "Σ over paths of Π w²"),
    "path_norm_over_margin": Measure("path and margin", "(Σ over paths of Π w²)/γ²"),
    "pacbayes_init": Measure("sharpness", "‖w − w⁰‖²/(4σ²) + ln(m/σ) + 10"),
    "pacbayes_orig": Measure("sharpness", "‖w‖²/(4σ²) + ln(m/σ) + 10"),
    "pacbayes_flatness": Measure("sharpness", "1/σ²"),
    "pacbayes_mag_init": Measure(
        "sharpness",
        "¼·Σ ln[(ε² + (σ'² + 1)·‖w − w⁰‖²/ω)/(ε² + σ'²·(w_i − w⁰_i)²)] + ln(m/σ') + 10",
    ),
    "pacbayes_mag_orig": Measure(
        "sharpness",
        "¼·Σ ln[(ε² + (σ'² + 1)·‖w‖²/ω)/(ε² + σ'²·(w_i − w⁰_i)²)] + ln(m/σ') + 10",
    ),
    "pacbayes_mag_flatness": Measure("sharpness", "1/σ'²"),
    "fisher_rao_norm": Measure("gradient", "E[⟨θ, ∂ℓ/∂θ⟩²]", "Liang et al. 2019"),
    "gradient_variance": Measure("gradient", "E‖∂ℓ_i/∂θ − ∂L/∂θ‖²", "Jiang et al. 2020"),
    "davies_bouldin": Measure(
        "training points",
        "mean over classes i of max over j of (s_i + s_j)/d_ij in the first hidden layer",
        "Davies and Bouldin 1979; Natekar and Sharma 2020",
    ),
    "mixup_error": Measure(
        "training points",
        "share of the midpoints of two training points of a class that get another class",
        "Natekar and Sharma 2020 (arXiv 2012.02775)",
    ),
    "davies_bouldin_mixup": Measure(
        "training points", "davies_bouldin × mixup_error", "Natekar and Sharma 2020 (arXiv 2012.02775)"
    ),
    "hessian_trace": Measure("curvature", "tr H", "sum of the eigenvalues of the Hessian"),
    "hessian_top_eigenvalue": Measure("curvature", "max λ_i", "largest eigenvalue of the Hessian"),
    "effective_dimension": Measure(
        "curvature", "Σ λ_i/(λ_i + α)", "MacKay 1992; Maddox, Benton and Wilson 2020"
    ),
    "takeuchi_trace": Measure("curvature", "tr((H₊ + αI)⁻¹C)", "Takeuchi 1976; Thomas et al. 2020"),
    "local_learning_coefficient": Measure(
        "singular", "mβ·(E[L(w)] − L(w*)), β = 1/ln m", "Lau, Furman, Wang, Murfet and Wei 2023"
    ),
    "local_learning_coefficient_spread": Measure(
        HEALTH, "standard deviation of local_learning_coefficient over its chains", "Lau et al. 2023"
    ),
    "local_learning_coefficient_r_hat": Measure(
        HEALTH, "split R̂ of the chains, above 1.1 where they have not mixed", "Gelman et al. 2013"
    ),
}


def is_measure(name: str) -> bool:
    """Whether a number is a measure, and not one that says how far another can be trusted."""
    return name not in MEASURES or MEASURES[name].family != HEALTH
