"""The records of an event file with their checksums, byte after byte at once.

TensorBoard computes the same checksum in a Python loop, which takes as long as all else that is written of a run.
"""

import functools
import io
import struct

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78
"""Castagnoli's, its bits in reverse order: CRC-32C (RFC 3720, section 12.1)."""
BLOCK = 4_096
"""Bytes that are looked up at once."""


@functools.cache
def _tables() -> NDArray[np.uint32]:
    """Return [BLOCK, 256]: what a byte gives to the register if so many others follow it."""
    tables = np.empty((BLOCK, 256), dtype=np.uint32)
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = np.where(first & 1, (first >> 1) ^ np.uint32(POLYNOMIAL), first >> 1)
    tables[0] = first
    for row in range(1, BLOCK):
        before = tables[row - 1]
        tables[row] = (before >> 8) ^ first[before & 0xFF]
    return tables


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    tables, register = _tables(), 0xFFFFFFFF
    for start in range(0, len(data), BLOCK):
        block = np.frombuffer(data[start : start + BLOCK], dtype=np.uint8)
        # The register is added to the bytes that come first; what is left of it has moved towards the end.
        met = np.zeros(max(len(block), 4), dtype=np.uint8)
        met[: len(block)] = block
        met[:4] ^= np.frombuffer(struct.pack("<I", register), dtype=np.uint8)
        rest = int.from_bytes(met[len(block) :].tobytes(), "little")
        places = np.arange(len(block) - 1, -1, -1)
        register = rest ^ int(np.bitwise_xor.reduce(tables[places, met[: len(block)]]))
    return register ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    """Return a checksum as it stands in a file: turned, and moved by a constant."""
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def write_record(file: io.BytesIO, data: bytes) -> None:
    """Append a record: the length, its checksum, the data, their checksum."""
    file.write(b"".join([_head(len(data)), data, _checksum(data)]))


@functools.lru_cache(maxsize=10_000)
def _head(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + _checksum(packed)


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", masked(crc32c(data)))
