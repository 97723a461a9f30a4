"""What a kernel density estimate draws from the points that a GAN learns from, by the same judges.

PYTHONPATH=src python -m benchmarks.kernel_density --data ring grid spirals
"""

import argparse
from time import process_time

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neighbors import KernelDensity
from torch import Tensor

from gaplab.builders import build_data_and_task
from gaplab.config.compose import compose_config
from gaplab.data.datamodule import PointDataModule
from gaplab.tasks.gan import GAN
from gaplab.tasks.law_scores import SHAPE_POINTS

EXPERIMENTS = {"ring": "gan_ring", "grid": "gan_grid", "spirals": "gan_spiral"}
BANDWIDTHS = 0.75 ** np.arange(24)
"""Over the standard deviation of the points; 1 to 0.0013."""
SHOWN = (
    *("modes/captured", "modes/high_quality", "modes/reverse_kl", "modes/std_ratio", "modes/center_offset"),
    *("modes/mass_tv", "spiral/angle_std", "spiral/radius_distance", "distance/sliced_w2_test"),
    *("distance/copying_ratio", "distance/c_t", "judge/accuracy_test", "judge/p_value_test"),
)


def best_estimate(train: Tensor, val: Tensor) -> KernelDensity:
    """Return the Gaussian kernel density of the points [N, D] whose bandwidth makes those of ``val`` most likely."""
    points = torch.cat([train, val]).double().cpu().numpy()
    held_out = PredefinedSplit([-1] * len(train) + [0] * len(val))
    widths = train.std().item() * BANDWIDTHS
    search = GridSearchCV(
        KernelDensity(rtol=1e-3), {"bandwidth": widths}, cv=held_out, refit=False, error_score="raise"
    )
    width = search.fit(points).best_params_["bandwidth"]
    return KernelDensity(bandwidth=width).fit(points[: len(train)])


def scores(data: PointDataModule, task: GAN, seed: int) -> dict[str, float]:
    """Return the scores that a GAN's samples would have, of those of a kernel density estimate."""
    train, val = data.splits["train"].points, data.splits["val"].points
    estimate = best_estimate(train, val[:: -(-len(val) // 1_000)])
    drawn = torch.as_tensor(estimate.sample(SHAPE_POINTS, random_state=seed)).to(train)
    count = min(task.config.num_samples, *(len(split) for split in data.splits.values()))
    labels = torch.zeros(count, dtype=torch.int64)
    assert data.draw is not None
    table = task.scorer.scores(drawn[:count], labels, data.splits, data.draw, full=True, many=drawn)
    return {"bandwidth": float(estimate.bandwidth)} | table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12])
    parser.add_argument("overrides", nargs="*", help="changed settings, for example data.num_points=1000")
    options = parser.parse_intermixed_args()
    for name in options.data:
        tables = []
        for seed in options.seeds:
            started = process_time()
            words = [f"experiment={EXPERIMENTS[name]}", f"seed={seed}", *options.overrides]
            data, task = build_data_and_task(compose_config(words).config)
            assert isinstance(task, GAN)
            tables.append(scores(data, task, seed) | {"seconds": process_time() - started})
        print(f"\n{name}: seeds {', '.join(map(str, options.seeds))}; then a perfect sampler")
        for tag in ("bandwidth", *SHOWN, "seconds"):
            values = [table[tag] for table in tables if tag in table]
            if values:
                ceiling = tables[0].get(f"ceiling/{tag}")
                perfect = "" if ceiling is None else f"{ceiling:10.4f}"
                print(f"{tag:26}", *(f"{value:10.4f}" for value in values), perfect, sep="  ", flush=True)


if __name__ == "__main__":
    main()
