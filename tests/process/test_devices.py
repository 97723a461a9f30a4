"""Which parts of a machine there may be."""

import sys
from pathlib import Path

import pytest
import torch

from gaplab.process.devices import has_mps, may_have_gpu, visible_gpus


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows devices as files")
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["null", "nvme0", "sda", "dri"], False),
        (["nvidia0", "nvidiactl"], True),
        (["nvhost-ctrl-gpu"], True),
        (["dxg"], True),
        (["kfd"], True),
    ],
)
def test_a_gpu_is_looked_for_where_a_driver_is(files: list[str], expected: bool, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert may_have_gpu(tmp_path) is expected


def test_what_is_found_is_what_torch_finds() -> None:
    assert len(visible_gpus()) == torch.cuda.device_count()
    assert has_mps() is torch.backends.mps.is_available()
