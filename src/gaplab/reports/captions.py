"""What the pictures of runs and sweeps show, for those who see them and for those who do not."""

SEEN = {
    "curves": "Two charts over the optimiser steps: above, the values on train, validation and test points; "
    "below, the gap between test and train.",
    "gap_and_bounds": "Errors on train and test points, the gap with its 95 % interval, guessing and every "
    "bound as points on one logarithmic axis; bounds that say nothing are hollow.",
    "confidence": "The plane coloured by the probability of the class that the network prefers, test points on top.",
    "confusion": "A matrix of true against predicted classes with the number of test points in every cell.",
    "decision_regions_test": "The plane coloured by the class that the network predicts, with the test points; "
    "wrong ones are ringed.",
    "decision_regions_train": "The plane coloured by the class that the network predicts, with the training "
    "points; wrong ones are ringed.",
    "hidden_layers": "The points of the plane and where each hidden layer moves them, coloured by class.",
    "loss_landscape": "The training loss as a coloured map on a random plane through the trained weights.",
    "misclassified_test": "The test points that the network gets wrong, on its decision regions.",
    "samples": "True points on the left and generated points on the right, on the discriminator's field.",
}
"""Name of a picture to what is seen in it."""


def caption(name: str) -> str:
    """Return the name of a picture as words.

    >>> caption("gap_against_data.noise")
    'gap against data.noise'
    """
    return name.replace("_", " ")


def alternative(name: str) -> str:
    """Return what is seen in a picture."""
    if name.startswith("gap_against_"):
        setting = name.removeprefix("gap_against_")
        return f"Gaps and scores against {setting}: means over the runs with their 95 % intervals."
    return SEEN.get(name, caption(name))
