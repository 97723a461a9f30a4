"""Addresses that open TensorBoard where it matters."""

import re
import shlex
from collections.abc import Collection
from pathlib import Path
from urllib.parse import quote

from gaplab.tensorboard.tags import draws_samples, split_quantities

HOME = "http://127.0.0.1:6006/"
"""TensorBoard's default address; it listens on this machine only."""

SPLITS_BY_TAG = "^(loss|accuracy)/(train|val|test)$|^gap/(loss|accuracy)$"
"""The charts that matter of a classifier's run without sub-runs."""
OF_A_GAN = "^(loss/discriminator|distance/sliced_w2)$|^gap/(loss_discriminator|distance_sliced_w2)$|^modes/"
"""The charts that matter of a GAN's run."""
OF_A_GAN_BY_TAG = OF_A_GAN.replace("sliced_w2)$|", "sliced_w2)_(train|val|test)$|")
MOST_SELECTED = 500
"""With more runs in a folder, TensorBoard starts with none of them selected."""
OF_A_SUMMARY = (
    "^(loss/(train|test)|accuracy/test|distance/sliced_w2_test|modes/high_quality)$"
    "|^gap/(loss|accuracy|distance_sliced_w2)$"
)
"""Means over seeds, without the tags that only draw their bands."""


def deep_link(run: str = "", tags: str = SPLITS_BY_TAG, home: str = HOME) -> str:
    """Return the address of the Time Series page with the charts of some tags, without smoothing.

    Args:
        run: The last part of a run's name; all runs if empty.
        tags: A regular expression.
        home: Where TensorBoard answers.
    """
    query = f"smoothing=0&tagFilter={quote(tags, safe='')}"
    if run:
        query += f"&runFilter={quote(f'(^|/){re.escape(run)}(/|$)', safe='')}"
    return f"{home}?{query}#timeseries"


def look_at_run(path: Path, subruns: bool, tags: Collection[str]) -> list[str]:
    """Return the lines with which a run that measures ``tags`` says where to look at it."""
    if draws_samples(tags):
        shown = OF_A_GAN if subruns else OF_A_GAN_BY_TAG
    else:
        names = split_quantities(tags)
        gaps = "|".join(name.replace("/", "_") for name in names)
        shown = f"^({'|'.join(names)}){'' if subruns else '/(train|val|test)'}$|^gap/({gaps})$"
    link = deep_link(path.name, shown)
    return [f"Look: tensorboard --logdir {shlex.quote(str(path.parent))}", f"then  {link}"]


def look_at_sweep(path: Path, num_runs: int) -> list[str]:
    """Return the lines with which a sweep says where to look at it: means over seeds, bands, all runs."""
    folder, summary = shlex.quote(str(path)), shlex.quote(str(path / "summary"))
    whole = [f"Look: tensorboard --logdir {folder}"]
    if num_runs > MOST_SELECTED:
        whole = [
            f"Look: tensorboard --logdir {summary}  (the means; TensorBoard selects none of so many runs)",
            f"or    tensorboard --logdir {folder}  (all runs)",
        ]
    return [
        *whole,
        f"then  {deep_link('summary', OF_A_SUMMARY)}  (means over seeds)",
        f"or    {HOME}#custom_scalars&regexInput=summary&_smoothingWeight=0  (with 95 % intervals)",
        f"or    {HOME}#hparams  (all runs)",
    ]
