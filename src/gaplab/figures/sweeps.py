"""The gap against a setting of a sweep, with intervals over seeds."""

from collections.abc import Sequence

from matplotlib.figure import Figure


def draw_gap_against(
    setting: str,
    values: Sequence[float],
    means: Sequence[float],
    half_widths: Sequence[float],
    counts: Sequence[int],
) -> Figure:
    """Draw means with 95 % intervals against the values of one setting; the axis is logarithmic where they span.

    Args:
        setting: Key of the setting.
        values: Its values.
        means: Mean gap of the loss at each value.
        half_widths: Half the interval; NaN where there is one run only.
        counts: Runs at each value.
    """
    order = sorted(range(len(values)), key=lambda index: values[index])
    x = [values[index] for index in order]
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.errorbar(
        x,
        [means[i] for i in order],
        yerr=[half_widths[i] for i in order],
        fmt="o-",
        capsize=3,
        color="#0072b2",
    )
    if min(x) > 0 and max(x) / min(x) >= 20:
        axes.set_xscale("log")
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set_xlabel(setting)
    axes.set_ylabel("gap of the loss, test - train (nats)")
    fewest, most = min(counts), max(counts)
    runs = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    axes.set_title(f"mean and 95 % t-interval over {runs} runs")
    return figure
