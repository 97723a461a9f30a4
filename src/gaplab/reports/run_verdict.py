"""What a run found, in a few sentences."""

import math
from collections.abc import Mapping
from typing import Any

from gaplab.metrics.scorecard import half_width
from gaplab.reports.numbers import number, percent, plus_minus, short
from gaplab.tensorboard.read_curves import History
from gaplab.tensorboard.tags import draws_samples, split_quantities

RISE = 0.05
"""The value on val has to rise by this share above its minimum before a run counts as past its best."""


def verdict_of_run(result: Mapping[str, Any], history: History) -> str:
    """Return the finding of the last weights: how good, what gap, what the bounds say, when it overfits."""
    last = {tag: value for tag, value in result["last"].items() if value is not None}
    if draws_samples(last):
        sentences, monitor = _of_gan(last), "distance/sliced_w2_val"
    else:
        of_kind = _of_classifier(last, result) if "gap/accuracy" in last else _of_any_task(last)
        sentences, monitor = of_kind, "loss/val"
    return " ".join([*sentences, *result.get("remarks", ()), *_overfitting(history, monitor)])


def _of_classifier(last: dict[str, float], result: Mapping[str, Any]) -> list[str]:
    gap, radius = 100 * last["gap/accuracy"], 100 * (half_width(last, "gap/accuracy") or 0.0)
    direction = "fewer" if gap >= 0 else "more"
    sentences = [
        f"{percent(last['accuracy/test'])} right on unseen points: "
        f"{abs(gap):.1f} ± {radius:.1f} points {direction} than on training points (95 %).",
        f"The gap of the loss is {number(last['gap/loss'])} ± {number(half_width(last, 'gap/loss'))}.",
    ]
    bounds = [
        bound
        for bound in result.get("bounds", ())
        if bound["rigorous"] and bound["value"] is not None and not bound["name"].startswith("hoeffding")
    ]
    if bounds:
        best = min(bounds, key=lambda bound: (bound["vacuous"], bound["value"]))
        what = "gap" if best["quantity"] == "gap" else "error of a noisy copy"
        name, vacuous = best["name"].replace("_", " "), ", which is vacuous" if best["vacuous"] else ""
        limit = f"at most {number(best['value'])}{vacuous}"
        sentences.append(f"The best rigorous bound ({name}) says that the {what} is {limit}.")
    return sentences


def _of_any_task(last: dict[str, float]) -> list[str]:
    sentences = []
    for name in split_quantities(last):
        value, gap = last.get(f"{name}/test"), f"gap/{name.replace('/', '_')}"
        if value is not None and gap in last:
            worse = "worse" if last[gap] >= 0 else "better"
            distance = plus_minus(abs(last[gap]), half_width(last, gap))
            sentences.append(
                f"{name} {number(value)} on unseen points: {distance} {worse} than on training points."
            )
    if "bayes/loss" in last:
        sentences.append(f"No predictor has a smaller expected loss than {number(last['bayes/loss'])}.")
    return sentences


def _of_gan(last: dict[str, float]) -> list[str]:
    sentences = []
    for tag, text, shown in (
        ("modes/captured", "{} modes captured", short),
        ("modes/high_quality", "{} of the samples near one", percent),
        ("distance/sliced_w2_test", "sliced W2 distance to test points {}", number),
    ):
        if tag in last:
            ceiling = last.get(f"ceiling/{tag}")
            beside = "" if ceiling is None else f" (a perfect sampler: {shown(ceiling)})"
            sentences.append(text.format(shown(last[tag])) + beside)
    return [f"{', '.join(sentences)}."] if sentences else []


def _overfitting(history: History, monitor: str) -> list[str]:
    """Name the step of the smallest value on val, if the value rises again after it.

    That is overfitting where the value on train does not rise with it; a GAN may lose what it had learned.
    """
    values = {step: row[monitor] for step, row in history.items() if monitor in row}
    if len(values) < 3:
        return []
    lowest = min(values, key=lambda step: values[step])
    end = values[max(values)]
    if end <= values[lowest] + RISE * abs(values[lowest]):
        return []
    train = f"{monitor.removesuffix('val')}train"
    then, now = (history[step].get(train, -math.inf) for step in (lowest, max(values)))
    what = "It overfits after" if now <= then else "It was better at"
    return [f"{what} step {lowest}: {monitor} rises from {number(values[lowest])} to {number(end)}."]
