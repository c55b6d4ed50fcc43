"""Payloads of audio to samples, many packets of one size at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .packet import PacketBatch
from .ring import Ring

LINEAR: Final = 5
"""In place of a law: payloads that are samples already, int16 of this machine."""


class Decoder:
    """Knows some laws by number, each a table of 256 int16 samples."""

    def __init__(self, laws: Mapping[int, NDArray[np.int16]]) -> None:
        self._single = dict(laws)
        self._pairs = {number: _pairs(table) for number, table in laws.items()}

    def many(self, payload: NDArray[np.uint8], law: int) -> NDArray[np.int16]:
        """Return the samples of payloads, shape (n, size); two bytes at a time if we can."""
        if payload.shape[1] % 2:
            return self._single[law].take(payload)
        return self._pairs[law].take(payload.view(np.uint16)).view(np.int16)

    def put(
        self,
        ring: Ring,
        line: NDArray[np.int64],
        position: NDArray[np.int64],
        batch: PacketBatch,
        row: NDArray[np.int64],
        size: NDArray[np.int64],
        law: NDArray[np.uint8],
    ) -> None:
        """Write packets to lines of `ring`: `size` samples, in `row` of the batch each.

        There is at least one, and none is larger than `ring.LARGEST`.
        """
        form = size << 8 | law
        forms = [int(form[0])] if (form == form[0]).all() else np.unique(form).tolist()
        for one in forms:
            these = slice(None) if len(forms) == 1 else form == one
            count, law_here = one >> 8, one & 0xFF
            if law_here == LINEAR:
                samples = batch.payloads(row[these], 2 * count).view(np.int16)
            else:
                samples = self.many(batch.payloads(row[these], count), law_here)
            ring.put_many(line[these], position[these], samples)

    def one(self, payload: NDArray[np.uint8], law: int) -> NDArray[np.int16]:
        """Return the samples of one payload."""
        if law == LINEAR:
            return payload.view(np.int16)
        return self._single[law].take(payload)


def _pairs(table: NDArray[np.int16]) -> NDArray[np.uint32]:
    """Return what each two bytes decode to, shape (65536,): both samples in one word."""
    one = table.view(np.uint16).astype(np.uint32)
    return (one[:, None] << np.uint32(16) | one).reshape(-1)
