"""Makes the pictures of README and docs/tensorboard.md anew: ``python docs/pictures.py``; takes some minutes.

The gap and the decision regions are those of the default run, with which README begins; the pages are those that the
browser tests have looked at.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
OF_THE_DEFAULT_RUN = {
    "gap_over_steps": "pictures/1_gap_loss",
    "decision_regions": "pictures/1_decision_regions_train",
}
"""Name of a picture to its tag in TensorBoard."""
PAGES = (
    "generalization",
    "generalization_sweep",
    "time_series",
    "custom_scalars",
    "custom_scalars_sweep",
    "hparams",
)
"""Names of the screenshots that are kept."""


def main() -> None:
    """Run what the pictures show, and put them into ``docs/pictures``."""
    with tempfile.TemporaryDirectory() as folder:
        run, screenshots = Path(folder, "default", "run"), Path(folder, "screenshots")
        words = [f"run.root={folder}", "run.id=run", "trainer.accelerator=cpu", "trainer.progress_bar=false"]
        subprocess.run([sys.executable, "train.py", *words], cwd=ROOT, check=True)
        events = EventAccumulator(str(run), {"images": 0}).Reload()
        for name, tag in OF_THE_DEFAULT_RUN.items():
            (PICTURES / f"{name}.png").write_bytes(events.Images(tag)[-1].encoded_image_string)
        tests = [sys.executable, "-m", "pytest", "-q", "-m", "thorough", "tests/system/browser"]
        shown = os.environ | {"GAPLAB_SCREENSHOTS": str(screenshots)}
        subprocess.run(tests, cwd=ROOT, check=True, env=shown)
        for name in PAGES:
            shutil.copy(screenshots / f"{name}.png", PICTURES)


if __name__ == "__main__":
    main()
