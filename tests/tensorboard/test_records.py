"""Records of event files, against TensorBoard's own."""

import io
import random

import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.summary.writer.record_writer import RecordWriter

from gaplab.tensorboard.records import BLOCK, crc32c, masked, write_record


@pytest.mark.parametrize(
    "length", [0, 1, 3, 4, 5, 100, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 3, BLOCK + 4, 3 * BLOCK]
)
def test_checksums_are_those_of_tensorboard(length: int) -> None:
    data = random.Random(length).randbytes(length)
    assert masked(crc32c(data)) == masked_crc32c(data)


def test_a_record_is_that_of_tensorboard() -> None:
    ours, theirs = io.BytesIO(), io.BytesIO()
    for data in (b"", b"brain.Event:2", bytes(5_000)):
        write_record(ours, data)
        RecordWriter(theirs).write(data)
    assert ours.getvalue() == theirs.getvalue()
