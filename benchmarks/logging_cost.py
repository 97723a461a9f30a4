"""What measuring, drawing and logging cost in a default run, and how large its event files are."""

import tempfile
from pathlib import Path

from benchmarks.ratios import interleaved, show
from benchmarks.training_loop import NUM_STEPS, gaplab_seconds
from gaplab.config.compose import compose_config
from gaplab.train import run_one

DEFAULT = ("data.num_points=300",)
SILENT = (
    *DEFAULT,
    "logging.tensorboard=false",
    "logging.csv=false",
    "logging.diagnostics=none",
    "logging.pictures=false",
)
UNMEASURED = (*SILENT, f"trainer.eval_every_n_steps={NUM_STEPS}")
MEGABYTE = 1e6


def event_megabytes() -> float:
    """Return the size of all event files of a default run with its sub-runs."""
    with tempfile.TemporaryDirectory() as folder:
        run_one(compose_config(["trainer.progress_bar=false"]), Path(folder) / "run")
        return sum(file.stat().st_size for file in Path(folder).rglob("events.out.tfevents.*")) / MEGABYTE


def main() -> bool:
    undrawn = (*DEFAULT, "logging.pictures=false")
    all_of_it = interleaved(lambda: gaplab_seconds(*DEFAULT), lambda: gaplab_seconds(*UNMEASURED), repeats=5)
    records = interleaved(lambda: gaplab_seconds(*DEFAULT), lambda: gaplab_seconds(*SILENT), repeats=5)
    pictures = interleaved(lambda: gaplab_seconds(*DEFAULT), lambda: gaplab_seconds(*undrawn), repeats=5)
    results = [
        show("measuring, drawing and logging / one measurement, no logging", all_of_it, 1.25),
        show("drawing and logging / the same measurements, no logging", records, 1.25),
        show("with pictures / without", pictures, 1.10),
        show("event files of a default run in megabytes", event_megabytes(), 2),
    ]
    return all(results)


if __name__ == "__main__":
    main()
