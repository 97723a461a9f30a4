"""TensorBoard's custom charts, made for the tags that a run has.

TensorBoard colours by run. A chart whose lines come from the sub-runs ``train``, ``val`` and ``test`` has three
colours; lines of one run share a colour and differ in their marks. A band may hold several series, each of a value
with a lower and an upper end; where the three are one tag, it is a plain line.
"""

from collections.abc import Collection

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar import layout_pb2

Series = tuple[str, str, str]
Layout = dict[str, dict[str, list[str] | list[Series]]]
"""Category to chart title to its content: regular expressions, matched from the start, or bands of exact tags."""

SUBRUN_QUANTITIES = {
    "loss": "loss/{split}",
    "accuracy": "accuracy/{split}",
    "loss/discriminator": "loss/discriminator_{split}",
    "distance/sliced_w2": "distance/sliced_w2_{split}",
}
"""Tag in the sub-runs to tag in the run, of classifiers and of GANs."""


def charts(tags: Collection[str], subruns: bool) -> Layout:
    """Return the charts of a run that measures ``tags``."""
    return charts_of_classifier(tags, subruns) if "gap/loss" in tags else charts_of_gan(tags, subruns)


def charts_of_classifier(tags: Collection[str], subruns: bool) -> Layout:
    """Return the custom charts of a classifier."""
    splits = "$" if subruns else "/(train|val|test)$"
    lines = [_line(tag) for tag in sorted(tags) if tag.startswith(("scale/", "bound/"))]
    gaps = [_band(gap) for gap in ("gap/loss", "gap/accuracy")]
    return _existing(
        tags,
        {
            "generalization": {
                "Generalization gap": [*gaps, *lines],
                "Generalization gap, close up": gaps[:1],
                "Gap in accuracy, close up": gaps[1:],
            },
            "training": {
                "Loss": [f"^loss{splits}"],
                "Accuracy": [f"^accuracy{splits}"],
                "Gradient norm by layer": ["^gradient_norm/"],
            },
        },
    )


def charts_of_gan(tags: Collection[str], subruns: bool) -> Layout:
    """Return the custom charts of a GAN. A band reaches from a score to that of a perfect sampler, its ceiling."""
    splits = "$" if subruns else "_(train|val|test)$"
    quality = ("modes/high_quality", "coverage/precision", "coverage/recall", "coverage/coverage")
    return _existing(
        tags,
        {
            "GAN": {
                "Modes and quality": [_to_ceiling(tag) for tag in quality],
                "Captured modes": [_to_ceiling(tag) for tag in ("modes/captured", "modes/balanced")],
                "Gap of the discriminator": [_band("gap/loss_discriminator")],
            },
            "GAN in training": {
                "Discriminator and generator": ["^loss/(discriminator|generator)_batch$"],
                "Two-sample tests": [
                    "^(ceiling/)?(judge|mmd)/(accuracy|p_value)",
                    "^distance/sliced_w2_test$",
                ],
                "Discriminator on train, val and test": [f"^loss/discriminator{splits}"],
                "Distance to train, val and test": [
                    f"^distance/sliced_w2{splits}",
                    "^ceiling/distance/sliced_w2_test$",
                ],
                "Gradient norm by layer": ["^gradient_norm/"],
            },
        },
    )


def layout_summary(layout: Layout) -> Summary:
    """Return the record that TensorBoard's page Custom Scalars reads."""
    categories = [
        layout_pb2.Category(
            title=category, chart=[_chart(title, content) for title, content in group.items()]
        )
        for category, group in layout.items()
    ]
    data = layout_pb2.Layout(category=categories).SerializeToString()
    tensor = TensorProto(dtype="DT_STRING", string_val=[data], tensor_shape=TensorShapeProto())
    plugin = SummaryMetadata.PluginData(plugin_name="custom_scalars")
    metadata = SummaryMetadata(plugin_data=plugin)
    return Summary(value=[Summary.Value(tag="custom_scalars__config__", tensor=tensor, metadata=metadata)])


def _chart(title: str, content: list[str] | list[Series]) -> layout_pb2.Chart:
    lines = [entry for entry in content if isinstance(entry, str)]
    if lines:
        return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=lines))
    bands = [
        layout_pb2.MarginChartContent.Series(value=entry[0], lower=entry[1], upper=entry[2])
        for entry in content
    ]
    return layout_pb2.Chart(title=title, margin=layout_pb2.MarginChartContent(series=bands))


def _existing(tags: Collection[str], layout: Layout) -> Layout:
    """Leave out the bands of tags that the run does not have: TensorBoard would complain about them."""
    kept: Layout = {}
    for category, group in layout.items():
        kept[category] = {}
        for title, content in group.items():
            if isinstance(content[0], str):
                kept[category][title] = content
            elif bands := [entry for entry in content if set(entry) <= set(tags)]:
                kept[category][title] = bands  # type: ignore[assignment]
    return kept


def _band(tag: str) -> Series:
    return tag, f"{tag}_lower", f"{tag}_upper"


def _to_ceiling(tag: str) -> Series:
    return tag, tag, f"ceiling/{tag}"


def _line(tag: str) -> Series:
    return tag, tag, tag
