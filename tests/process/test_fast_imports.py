"""Imports of Torch and Lightning leave out what they would load in vain, and nothing else."""

import gc
import subprocess
import sys

import pytest

from gaplab.process.fast_imports import collector_resting

pytest.importorskip("scipy")


@pytest.mark.parametrize(
    "use",
    ["import scipy.signal", "from scipy.signal import find_peaks", "import scipy; scipy.signal.find_peaks"],
)
def test_what_torchmetrics_loads_in_vain_comes_where_it_is_used(use: str) -> None:
    script = (
        "import sys\n"
        "from gaplab.process.fast_imports import quick_imports\n"
        "with quick_imports():\n"
        "    import lightning.pytorch, torchmetrics\n"
        "assert 'scipy.signal' not in sys.modules, 'it was loaded in vain'\n"
        f"{use}\n"
        "import scipy.signal\n"
        "assert scipy.signal.__file__ and scipy.signal.windows.hamming(4)[0] < 0.1\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "use",
    [
        "from scipy.signal import find_peaks",
        "import scipy.signal.windows; from scipy.signal import find_peaks",
        "from scipy.signal.windows import hamming; from scipy.signal import find_peaks",
    ],
)
def test_who_uses_it_while_the_others_load_gets_it(use: str) -> None:
    script = (
        "import sys\n"
        "from gaplab.process.fast_imports import quick_imports\n"
        "with quick_imports():\n"
        f"    {use}\n"
        "    import lightning.pytorch, scipy.signal\n"
        "assert scipy.signal.find_peaks is find_peaks\n"
        "assert sys.modules['scipy.signal'].__file__\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("makes_garbage", [False, True])
def test_the_collector_works_again_and_finds_what_is_garbage(makes_garbage: bool) -> None:
    frozen = gc.get_freeze_count()
    with collector_resting(makes_garbage=makes_garbage):
        assert not gc.isenabled()
        ring: list[object] = []
        ring.append(ring)
        del ring
    assert gc.isenabled()
    try:
        assert (gc.get_freeze_count() > frozen) is not makes_garbage
        assert (gc.collect() > 0) is makes_garbage
    finally:
        gc.unfreeze()
