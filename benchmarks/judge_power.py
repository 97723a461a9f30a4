"""How often the judges of samples find a known flaw: rejections at 5 % with 2,000 + 2,000 points of the ring.

PYTHONPATH=src python -m benchmarks.judge_power --repeats 20
"""

import argparse

import torch
from torch import Tensor

from gaplab.config.mixtures import RingConfig
from gaplab.metrics.generative.two_sample import two_sample_test
from gaplab.randomness import make_generator

FLAWS = {
    "none": {},
    "modes half as wide": {"width": 0.5},
    "modes 10 % narrower": {"width": 0.9},
    "modes 5 % narrower": {"width": 0.95},
    "centres 0.3 sigma off": {"offset": 0.3},
    "one mode of eight 50 % short": {"short": 0.5},
    "one mode of eight 20 % short": {"short": 0.2},
}


def draw(
    num_points: int, draws: torch.Generator, *, width: float = 1.0, offset: float = 0.0, short: float = 0.0
) -> Tensor:
    """Return points of the ring whose modes are narrower, off their centres tangentially, or one of which is short."""
    centers, std = RingConfig().build_law()
    masses = torch.ones(len(centers))
    masses[0] -= short
    modes = torch.multinomial(masses, num_points, True, generator=draws)
    tangents = torch.stack([-centers[:, 1], centers[:, 0]], dim=1)
    noise = torch.randn(num_points, 2, generator=draws)
    return (centers + offset * std * tangents)[modes] + std * width * noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--points", type=int, default=2_000)
    options = parser.parse_args()
    law = RingConfig().build_law_scores()
    print("| flaw | largest accuracy | rejected at 5 % |\n|---|---|---|")
    for name, flaw in FLAWS.items():
        accuracies, rejected = [], 0
        for number in range(options.repeats):
            draws = make_generator(number, "judge power")
            real, fake = draw(options.points, draws), draw(options.points, draws, **flaw)
            found = two_sample_test(real, fake, generator=draws, features=law.features)
            accuracies.append(found.accuracy)
            rejected += found.p_value <= 0.05
        mean = sum(accuracies) / options.repeats
        print(f"| {name} | {mean:.3f} | {rejected} of {options.repeats} |", flush=True)


if __name__ == "__main__":
    main()
