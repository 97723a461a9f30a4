"""What the pictures of runs and sweeps show, for those who see them and for those who do not."""

SEEN = {
    "curves": "Two charts over the optimiser steps: above, the values on train, validation and test points; "
    "below, the gap between test and train.",
    "gap_and_bounds": "Errors on train and test points, the gap with its 95 % interval, guessing and every "
    "bound as points on one logarithmic axis; bounds that say nothing are hollow.",
    "samples": "True points on the left and generated points on the right, on the discriminator's field.",
    "decision_regions_train": "The plane coloured by the class that the network predicts, with the training "
    "points; wrong ones are ringed.",
    "decision_regions_test": "The plane coloured by the class that the network predicts, with the test points; "
    "wrong ones are ringed.",
    "misclassified_test": "The test points that the network gets wrong, on its decision regions.",
    "confidence": "The plane coloured by the probability of the class that the network prefers, test points on top.",
    "confusion": "A matrix of true against predicted classes with the number of test points in every cell.",
    "hidden_layers": "The points of the plane and where each hidden layer moves them, coloured by class.",
    "loss_landscape": "The training loss as a coloured map on a random plane through the trained weights.",
    "samples_by_run": "True points, and the points that each run generates, side by side.",
    "ranking": "Every capacity measure on a line of its own, the best on top: how well it orders the runs by their "
    "gap (left) and how often it errs (right).",
}
"""Name of a picture to what is seen in it."""


CAPTIONS = {
    "curves": "Values on every split and the gap with its 95 % interval, over optimiser steps",
    "gap_and_bounds": "Errors, gap and bounds of the last weights",
    "samples": "True and generated points",
    "samples_by_run": "True points, and samples of each run",
    "ranking": "Capacity measures, the one that orders gaps best on top",
}
"""Name of a picture to its caption, where the name does not say it."""


def caption(name: str) -> str:
    """Return the name of a picture as words.

    >>> caption("gap_loss_against_data.noise"), caption("hidden_layers")
    ('gap loss against data.noise', 'hidden layers')
    """
    return CAPTIONS.get(name, name.replace("_", " "))


def alternative(name: str) -> str:
    """Return what is seen in a picture."""
    quantity, found, setting = name.partition("_against_")
    if found:
        return (
            f"{quantity.replace('_', ' ')} against {setting}: means over the runs with their 95 % intervals."
        )
    return SEEN.get(name, caption(name))
