"""TensorBoard's custom charts, made for the tags that a run has.

TensorBoard colours by run. A chart whose lines come from the sub-runs ``train``, ``val`` and ``test`` has three
colours; lines of one run share a colour and differ in their marks. A chart holds one band: with several, TensorBoard
reports missing tags for every sub-run. It shows bands after all other charts, the last one first.
"""

from collections.abc import Collection
from typing import Any

from gaplab.tensorboard.tags import draws_samples, split_quantities

Layout = dict[str, dict[str, list[Any]]]
"""Category to chart title to kind and tags, as ``SummaryWriter.add_custom_scalars`` takes it.

The tags of a "Multiline" are regular expressions, matched from the start; a "Margin" has value, lower and upper end.
"""

SUBRUN_QUANTITIES = {
    "loss/discriminator": "loss/discriminator_{split}",
    "distance/sliced_w2": "distance/sliced_w2_{split}",
}
"""Tag in the sub-runs to tag in the run, of GANs; others have ``<quantity>/<split>``."""
GRADIENTS = {"Gradient norm by layer": ["Multiline", ["^gradient_norm/"]]}


def charts(tags: Collection[str], subruns: bool) -> Layout:
    """Return the charts of a run that measures ``tags``, without the bands that it has no tags for."""
    layout = charts_of_gan(subruns) if draws_samples(tags) else charts_of_splits(tags, subruns)
    return {
        category: {
            title: content
            for title, content in group.items()
            if content[0] == "Multiline" or set(content[1]) <= set(tags)
        }
        for category, group in layout.items()
    }


def charts_of_splits(tags: Collection[str], subruns: bool) -> Layout:
    """Return the custom charts of a run that measures quantities on the splits: a gap and a chart for each."""
    splits = "$" if subruns else "/(train|val|test)$"
    gaps, values = {}, {}
    for quantity in split_quantities(tags):
        gap = f"gap/{quantity.replace('/', '_')}"
        title = "Generalization gap" + ("" if quantity == "loss" else f" in {quantity}")
        gaps[title] = band(gap) if f"{gap}_error" in tags else ["Multiline", [f"^{gap}$"]]
        beside = [f"^bayes/{quantity}$"] if f"bayes/{quantity}" in tags else []
        values[quantity.capitalize()] = ["Multiline", [f"^{quantity}{splits}", *beside]]
    return {
        "generalization": dict(reversed(gaps.items())),
        "training": values | GRADIENTS,
    }


def charts_of_gan(subruns: bool) -> Layout:
    """Return the custom charts of a GAN. Some bands reach from a score up to that of a perfect sampler."""
    splits = "$" if subruns else "_(train|val|test)$"
    scores = "modes/(high_quality|std_ratio)|coverage/(precision|recall|coverage)"
    return {
        "GAN": {
            "Discriminator and generator": ["Multiline", ["^loss/(discriminator|generator)_batch$"]],
            "Modes and quality": ["Multiline", [f"^(ceiling/)?({scores})$"]],
            "Two-sample tests": ["Multiline", ["^(ceiling/)?(judge/(accuracy|p_value)|mmd/p_value)"]],
            "Gap of the discriminator": band("gap/loss_discriminator"),
            "Captured modes, up to the ceiling": to_ceiling("modes/captured"),
            "Good samples, up to the ceiling": to_ceiling("modes/high_quality"),
        },
        "GAN on train, val and test": {
            "Loss of the discriminator": ["Multiline", [f"^loss/discriminator{splits}"]],
            "Distance of samples": [
                "Multiline",
                [f"^distance/sliced_w2{splits}", "^ceiling/distance/sliced_w2_test$"],
            ],
            **GRADIENTS,
        },
    }


def band(tag: str) -> list[Any]:
    """Return a chart of a value between its lower and its upper end."""
    return ["Margin", [tag, f"{tag}_lower", f"{tag}_upper"]]


def to_ceiling(tag: str) -> list[Any]:
    """Return a chart of a score with a band up to its ceiling: the area is what is missing."""
    return ["Margin", [tag, tag, f"ceiling/{tag}"]]
