"""Mode scores of finished GAN runs beside published rows: ``python -m benchmarks.gan_table FOLDER [...]``.

Runs that differ in the seed only are one row: mean and standard error.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import yaml

COLUMNS = {
    "modes": "modes/captured",
    "balanced": "modes/balanced",
    "high quality": "modes/high_quality",
    "reverse KL": "modes/reverse_kl",
    "std ratio": "modes/std_ratio",
    "judge accuracy": "judge/accuracy_test",
    "judge p >= .05": "judge/p_value_test",
    "seconds": "seconds",
}
PUBLISHED = {
    "ring": {
        "GAN (PacGAN Table 1)": "6.3±.5 / 98.2±.2 % / .45±.09",
        "ALI (PacGAN Table 1)": "6.6±.3 / 97.6±.4 % / .36±.04",
        "PacGAN4 (PacGAN Table 1)": "7.8±.1 / 95.9±1.4 % / .07±.02",
        "VEEGAN (VEEGAN Table 1)": "8 / 52.9 %",
        "WGAN-GP (GDPP Table 1)": "6.8 / 59.6 %",
    },
    "grid": {
        "GAN (PacGAN Table 1)": "17.3±.8 / 94.8±.7 % / .70±.07",
        "ALI (PacGAN Table 1)": "24.1±.4 / 95.7±.6 % / .14±.03",
        "PacGAN4 (PacGAN Table 1)": "24.8±.2 / 93.6±.6 % / .04±.01",
        "VEEGAN (VEEGAN Table 1)": "24.6 / 40 %",
        "WGAN-GP (GDPP Table 1)": "24.2 / 28.7 %",
    },
}


def main() -> None:
    """Print one table a data set."""
    rows: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for folder in sys.argv[1:]:
        for path in sorted(Path(folder).rglob("run.json")):
            config = yaml.safe_load((path.parent / "config.yaml").read_text())
            record = json.loads(path.read_text())
            scores: dict[str, float] = {}
            if record["status"] == "finished":
                scores = json.loads((path.parent / "result.json").read_text())["last"]
                scores["seconds"] = record["seconds"]
            rows[config["choices"]["data"]][config["task"]["loss"]].append(scores)
    for data, methods in rows.items():
        print(f"\n{data}\n{'method':28}" + "".join(f"{column:>19}" for column in COLUMNS))
        for loss, runs in methods.items():
            ended = [scores for scores in runs if scores]
            cells = [summary(column, [s[tag] for s in ended if tag in s]) for column, tag in COLUMNS.items()]
            print(f"{loss + f', {len(ended)} of {len(runs)} runs':28}" + "".join(f"{c:>19}" for c in cells))
        for method, row in PUBLISHED.get(data, {}).items():
            print(f"{method:28}   modes / high quality / reverse KL: {row}")


def summary(column: str, values: list[float]) -> str:
    """Return mean and standard error; for the p-value, how many runs the judge could not reject at 5 %."""
    if not values:
        return "-"
    if column.startswith("judge p"):
        return f"{sum(value >= 0.05 for value in values)} of {len(values)}"
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4g} ± {error:.2g}"


if __name__ == "__main__":
    main()
