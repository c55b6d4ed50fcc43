"""The last seconds of every leg's line, in one piece of memory.

Each slot has a row of `RING` samples; position p of its line lies at column p % RING. A row is
cut into blocks of `BLOCK` samples, and what a journal is given is whole blocks: they never wrap,
so that those of hundreds of legs are fetched in one step. Behind each row there is room for one
more packet, so that a packet that begins before the end of the row is written in one piece, too,
and what stuck out is then moved to the front.

Whole packets are moved as single items (numpy's void type): that is a `memcpy` each, thirty times
as quick as an index a sample.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 2400
"""Samples in a block: 0.3 s at 8 kHz, a whole number of packets of any usual length."""

RING: Final = 14 * BLOCK
"""Samples kept of each line: 4.2 s at 8 kHz."""

HISTORY: Final = RING // 4
"""Samples behind the end of a line that a late packet may still fill in."""

LARGEST: Final = 960
"""Samples that `put_many` takes in a packet: 120 ms at 8 kHz."""

_ROW: Final = RING + LARGEST


class Ring:
    """The samples of `capacity` lines. What was never written, or long ago, is not told apart."""

    def __init__(self, capacity: int) -> None:
        self._flat: NDArray[np.int16] = np.zeros(capacity * _ROW, np.int16)
        self._rows: NDArray[np.int16] = self._flat.reshape(capacity, _ROW)
        self._blocks: NDArray[np.int16] = self._rows[:, :RING].reshape(capacity, -1, BLOCK)
        assert np.shares_memory(self._blocks, self._flat)
        self._packets: dict[int, NDArray[np.void]] = {}

    def put(self, slot: int, position: int, samples: NDArray[np.int16]) -> None:
        """Write samples of one line; of more than RING only the last stay."""
        skip = max(0, samples.size - RING)
        at, count = (position + skip) % RING, samples.size - skip
        first = min(count, RING - at)
        row = self._rows[slot]
        row[at : at + first] = samples[skip : skip + first]
        row[: count - first] = samples[skip + first :]

    def clear(self, slot: int, start: int, end: int) -> None:
        """Make positions `start` to `end` of one line silent."""
        start = max(start, end - RING)
        at, count = start % RING, max(0, end - start)
        first = min(count, RING - at)
        row = self._rows[slot]
        row[at : at + first] = 0
        row[: count - first] = 0

    def get(self, slot: int, start: int, end: int, out: NDArray[np.int16]) -> None:
        """Copy positions `start` to `end`, at most RING of them, to the beginning of `out`."""
        at, count = start % RING, end - start
        first = min(count, RING - at)
        row = self._rows[slot]
        out[:first] = row[at : at + first]
        out[first:count] = row[: count - first]

    def put_many(
        self, slot: NDArray[np.int64], position: NDArray[np.int64], samples: NDArray[np.int16]
    ) -> None:
        """Write packets of one size: `samples` has shape (n, size), size at most LARGEST."""
        size = samples.shape[1]
        column = position % RING
        packets = self._packets_of(size)
        packets[slot * _ROW + column] = samples.view(packets.dtype)[:, 0]
        for crosser in np.flatnonzero(column > RING - size):
            row, out = self._rows[slot[crosser]], int(column[crosser]) + size - RING
            row[:out] = row[RING : RING + out]

    def get_many(
        self, slot: NDArray[np.int64], position: NDArray[np.int64], size: int
    ) -> NDArray[np.int16]:
        """Return a copy, shape (n, size), of stretches of one size, at most LARGEST."""
        column = position % RING
        packets = self._packets_of(size)[slot * _ROW + column]
        samples: NDArray[np.int16] = packets.view(np.int16).reshape(-1, size)
        for crosser in np.flatnonzero(column > RING - size):
            first = RING - int(column[crosser])
            samples[crosser, first:] = self._rows[slot[crosser], : size - first]
        return samples

    def blocks(self, slot: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.int16]:
        """Return a copy, shape (n, BLOCK), of block `number` (position // BLOCK) of each line."""
        return self._blocks[slot, number % (RING // BLOCK)]

    def _packets_of(self, size: int) -> NDArray[np.void]:
        """Return a view in which item i is the `size` samples from `_flat[i]` on."""
        packets = self._packets.get(size)
        if packets is None:
            packets = self._packets[size] = np.ndarray(
                (self._flat.size - size + 1,), np.dtype(f"V{2 * size}"), self._flat.data, 0, (2,)
            )
        return packets
