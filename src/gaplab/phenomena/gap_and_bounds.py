"""The gap against training points and weights, with the scale √(N/m) and the bounds that theory offers."""

import math
import statistics
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from gaplab.figures.palette import GAP, OF_BOUNDS, TEST
from gaplab.figures.phenomena import Curve, Panel, draw_panels
from gaplab.metrics.gap import effective_parameters, sqrt_params_over_points
from gaplab.networks import num_parameters
from gaplab.phenomena.gap_measurements import (
    NUM_TEST,
    POINTS_FOR_WIDTHS,
    WIDTH,
    Result,
    measure,
    measure_width,
)
from gaplab.phenomena.training import build_networks
from gaplab.phenomena.verdict import Check, Phenomenon, Row, Verdict, at_least, at_most, mean_at_least

POINTS = (30, 100, 300, 1000, 3000, 10_000)
WIDTHS = (10, 50, 250, 1000)
GUESSING = 0.5
FLOOR = 1e-4

BOUNDS = {
    "hoeffding": "Hoeffding, on the test set",
    "pac_bayes": "PAC-Bayes (of a noisy copy)",
    "finite_precision": "finite precision (Occam)",
    "vc": "VC dimension (constants unchecked)",
    "rademacher": "Rademacher, by random labels (estimate)",
}


def judge(results: dict[int, list[Result]], gaps_by_width: dict[int, list[float]]) -> Verdict:
    """``results[m][seed]`` and ``gaps_by_width[H][seed]``."""
    size = num_parameters(build_networks([0], [WIDTH], out_features=2).template)
    everything = [(m, result) for m, group in results.items() for result in group]
    few, many = min(results), max(results)
    scales = [sqrt_params_over_points(size, m) / r.gap for m, r in everything if r.gap > 0]
    narrow, wide = min(gaps_by_width), max(gaps_by_width)
    growth = (wide / narrow) ** 0.5
    counting = [r.bounds[name] for _, r in everything for name in ("finite_precision", "vc")]
    return Verdict(
        checks=[
            mean_at_least(
                f"the 0-1 gap at {few} points exceeds that at {many} by 0.02 in the mean",
                [a.gap - b.gap for a, b in zip(results[few], results[many], strict=True)],
                0.02,
            ),
            at_least("√(N/m) is larger than the 0-1 gap: their ratio where the gap is positive", scales, 1.0),
            Check(
                expectation=(
                    f"{narrow} to {wide} units: √(N/m) grows {growth:.0f}-fold, the mean gap by at most half"
                ),
                measured=f"mean gap {fmean(gaps_by_width[narrow]):.4f} to {fmean(gaps_by_width[wide]):.4f}",
                holds=fmean(gaps_by_width[wide]) <= 1.5 * fmean(gaps_by_width[narrow]),
            ),
            at_least(
                "both rigorous bounds from training data lie above the measured error",
                [
                    r.bounds[name] - r.test
                    for _, r in everything
                    for name in ("finite_precision", "pac_bayes")
                ],
                0.0,
            ),
            at_most(
                f"PAC-Bayes says more than guessing at {many} points",
                [r.bounds["pac_bayes"] for r in results[many]],
                0.3,
            ),
        ],
        witnesses=[
            at_least("bounds that count weights say less than guessing at every m", counting, GUESSING)
        ],
        columns=(
            "m",
            "train error",
            "test error",
            "0-1 gap",
            "√(N/m)",
            "N_eff = m gap²",
            "N from the Hessian",
            *BOUNDS.values(),
        ),
        rows=[_row(size, m, group) for m, group in results.items()],
        figures={"bounds": _draw_bounds(results), "scale": _draw_scale(size, results, gaps_by_width)},
        remark=(
            f"Two arms, noise 0.5, 2-{WIDTH}-2 ReLU networks with N = {size} weights; test sets of "
            f"{NUM_TEST} "
            "points; failure probability 0.05 for each bound alone. Numbers in a bound's column bound the "
            f"error from above: {GUESSING} and more says less than guessing (vacuous). √(N/m) is a "
            "heuristic scale, never a bound. The VC bound's constants are unchecked, the Rademacher "
            "estimate trains to fit random labels and may miss the supremum, and PAC-Bayes is about a "
            "noisy copy of the network; its error is compared with that of the network itself."
        ),
    )


def _row(size: int, m: int, group: list[Result]) -> Row:
    gap = fmean([r.gap for r in group])
    return (
        m,
        fmean([r.train for r in group]),
        fmean([r.test for r in group]),
        gap,
        sqrt_params_over_points(size, m),
        effective_parameters(gap, m),
        fmean([r.hessian_dimension for r in group]),
        *(fmean([r.bounds[name] for r in group]) for name in BOUNDS),
    )


def _draw_bounds(results: dict[int, list[Result]]) -> Figure:
    sizes = list(results)
    seeds = range(len(results[sizes[0]]))

    def curve(label: str, value: Callable[[Result], float], dashed: bool = False, color: str = "") -> Curve:
        # Not a number is not drawn: the VC bound is infinite with fewer points than the dimension.
        values = [[value(results[m][k]) for m in sizes] for k in seeds]
        rows = [[v if math.isfinite(v) else math.nan for v in row] for row in values]
        return Curve(label, sizes, rows, dashed, color)

    curves = [
        curve(label, lambda r, name=name: r.bounds[name], color=color)  # type: ignore[misc]
        for (name, label), color in zip(BOUNDS.items(), OF_BOUNDS, strict=True)
    ]
    panel = Panel(
        [*curves, curve("measured test error", lambda r: r.test, dashed=True, color=TEST)],
        "training points m",
        "error, and upper bounds on it (95 %)",
        log="xy",
        lines=[("guessing", GUESSING)],
    )
    return draw_panels([panel])


def _draw_scale(size: int, results: dict[int, list[Result]], gaps_by_width: dict[int, list[float]]) -> Figure:
    sizes, widths = list(results), list(gaps_by_width)
    by_seed = list(zip(*results.values(), strict=True))
    counts = [num_parameters(build_networks([0], [w], out_features=2).template) for w in widths]
    over_points = Panel(
        [
            Curve("0-1 gap", sizes, [[max(r.gap, FLOOR) for r in group] for group in by_seed], color=GAP),
            Curve("√(N/m), N = weights", sizes, [[sqrt_params_over_points(size, m) for m in sizes]]),
            Curve(
                "√(N/m), N from the Hessian",
                sizes,
                [
                    [(r.hessian_dimension / m) ** 0.5 for m, r in zip(sizes, group, strict=True)]
                    for group in by_seed
                ],
            ),
        ],
        "training points m",
        f"gap (at least {FLOOR:g}) and heuristic scales",
        f"2-{WIDTH}-2",
        log="xy",
    )
    over_width = Panel(
        [
            Curve("0-1 gap", widths, list(zip(*gaps_by_width.values(), strict=True)), color=GAP),
            Curve(
                "√(N/m), N = weights",
                widths,
                [[sqrt_params_over_points(count, POINTS_FOR_WIDTHS) for count in counts]],
            ),
        ],
        "hidden units",
        "gap and heuristic scale",
        f"{POINTS_FOR_WIDTHS} training points",
        log="xy",
    )
    return draw_panels([over_points, over_width])


def fmean(values: Sequence[float]) -> float:
    return statistics.fmean(values)


def run(seeds: Sequence[int], quick: bool) -> Verdict:
    sizes, widths, num_steps = ((30, 300), (10, 50), 100) if quick else (POINTS, WIDTHS, 500)
    return judge(
        {m: measure(m, seeds, num_steps) for m in sizes},
        {width: measure_width(width, seeds, num_steps) for width in widths},
    )


PHENOMENON = Phenomenon(
    title="The gap, the scale and the bounds",
    claim=(
        "The gap shrinks with the number of training points m but does not grow with the number of weights "
        "N as √(N/m) would have it; bounds that count weights are vacuous, a PAC-Bayes bound is not."
    ),
    reference=(
        "Arora 2018 (√(N/m)); Hoeffding 1963; Vapnik and Chervonenkis 1971; Bartlett and Mendelson 2002; "
        "Langford and Caruana 2001; Dziugaite and Roy 2017"
    ),
    run=run,
)
