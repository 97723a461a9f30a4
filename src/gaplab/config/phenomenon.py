"""Settings of an experiment that tests a statement instead of training one network."""

from dataclasses import dataclass
from enum import StrEnum

from gaplab.config.checks import check_at_least


class PhenomenonName(StrEnum):
    """Every phenomenon, in the order of a course; each is a file of ``gaplab.phenomena``."""

    activations = "activations"
    xor = "xor"
    perceptron_mistakes = "perceptron_mistakes"
    backpropagation = "backpropagation"
    universal_approximation = "universal_approximation"
    depth_and_width = "depth_and_width"
    vanishing_gradients = "vanishing_gradients"
    edge_of_stability = "edge_of_stability"
    bias_variance = "bias_variance"
    early_stopping = "early_stopping"
    memorization = "memorization"
    double_descent = "double_descent"
    epochwise_double_descent = "epochwise_double_descent"
    calibration = "calibration"
    poisoned_minima = "poisoned_minima"
    gap_and_bounds = "gap_and_bounds"
    adversarial_examples = "adversarial_examples"
    ladder = "ladder"
    informative_words = "informative_words"
    generative_discriminative = "generative_discriminative"
    neural_collapse = "neural_collapse"
    lottery_tickets = "lottery_tickets"
    forgetting = "forgetting"
    machine_bias = "machine_bias"
    planted_errors = "planted_errors"
    reinforcement = "reinforcement"
    grokking = "grokking"


@dataclass(kw_only=True, slots=True)
class PhenomenonConfig:
    """One statement about learning, tested over several seeds."""

    name: PhenomenonName | None = None
    """Null trains one network as usual."""
    num_seeds: int = 5
    """Seeds are ``seed``, ``seed + 1``, ...; a statement holds if it holds for every one of them, or,
    where it speaks of a mean, for the mean's 95 % interval."""
    quick: bool = False
    """A smaller version that shows that everything works; its verdict means little."""

    def __post_init__(self) -> None:
        check_at_least("phenomenon.num_seeds", self.num_seeds, 1)
