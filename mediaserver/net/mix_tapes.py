"""What members of mixes are sent, as it goes out, and on its way to their journals.

The payloads of all members lie in one piece of memory, each member's of the present block of
0.3 s in a row; packets are sent from there. While a leg is *kept*, its row goes to its journal when
the block is over, those of all legs in one step. A stretch that was interrupted (a prompt, a hold)
takes the careful way, and so does what somebody asks for before the block is over.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..audio.g711 import ALAW_DECODE, ULAW_DECODE
from ..calls.ports import JournalFile, Journals
from ..rtp.mixer import FRAME
from ..rtp.ring import BLOCK

FRAMES: Final = BLOCK // FRAME
"""Frames in a block."""

_NONE: Final = -1


class MixTapes:
    """The payloads and the kept legs among `capacity`."""

    def __init__(self, capacity: int, journals: Journals | None) -> None:
        self.alaw: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Whether a leg's payloads are A-law; else they are mu-law."""
        self._codes: NDArray[np.uint8] = np.zeros((capacity, BLOCK), np.uint8)
        self._frames = self._codes.reshape(capacity, FRAMES, FRAME)
        self._address = int(self._codes.ctypes.data)
        self._journals = journals
        self._files: dict[int, JournalFile] = {}
        self._number: NDArray[np.int64] = np.full(capacity, _NONE, np.int64)
        self._first: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Positions before this one are not kept."""
        self._origin: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Position of the first sample of each row."""
        self._start: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._end: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """The stretch of each row that was sent and is not written."""

    def keep(self, slot: int, file: JournalFile, first: int) -> None:
        """Write what a leg is sent from position `first` of its clock on."""
        self._files[slot] = file
        self._number[slot] = file.number
        self._first[slot] = first

    def keep_up(self, slot: int) -> None:
        """Write all that a leg was sent by now."""
        file = self._files.get(slot)
        start, end = int(self._start[slot]), int(self._end[slot])
        origin = int(self._origin[slot])
        begin = max(start, int(self._first[slot]) - origin)
        if file is not None and begin < end:
            file.write(origin + begin, self._decode(slot, self._codes[slot, begin:end]))
        self._start[slot] = end

    def keep_no_more(self, slot: int) -> None:
        """Write nothing more of a leg; what was not written by `keep_up` is not."""
        if self._files.pop(slot, None) is not None:
            self._number[slot] = _NONE

    def forget(self, slot: int) -> None:
        """Begin a leg anew, of which nothing is kept."""
        self.keep_no_more(slot)
        self._start[slot] = self._end[slot] = 0

    def set_law(self, slot: int, *, alaw: bool) -> None:
        """Encode what a leg is sent in another law from now on."""
        if alaw != self.alaw[slot]:
            self.keep_up(slot)
            self.alaw[slot] = alaw

    def put(
        self,
        slot: NDArray[np.int64],
        position: NDArray[np.int64],
        frame: int,
        codes: NDArray[np.uint8],
    ) -> NDArray[np.uint64]:
        """Lay down a frame for each of `slot`; return the addresses, good for the block.

        `frame` counts the frames of the block, `position` is where each frame lies on the
        member's clock, `codes` has the shape (n, FRAME).
        """
        column = frame * FRAME
        goes_on = (self._end[slot] == column) & (self._origin[slot] + column == position)
        for one, origin in zip(slot[~goes_on].tolist(), position[~goes_on].tolist(), strict=True):
            self.keep_up(one)
            self._start[one] = column
            self._origin[one] = origin - column
        self._frames[slot, frame] = codes
        self._end[slot] = column + FRAME
        if frame == FRAMES - 1:
            self._turn_over(slot)
        return (self._address + slot * BLOCK + column).astype(np.uint64)

    def _turn_over(self, slot: NDArray[np.int64]) -> None:
        """Write the rows, which are full, and begin them anew."""
        kept = self._number[slot] != _NONE
        whole = kept & (self._start[slot] == 0) & (self._origin[slot] >= self._first[slot])
        if whole.any():
            assert self._journals is not None
            full = slot[whole]
            codes, alaw = self._codes[full], self.alaw[full]
            samples = ULAW_DECODE.take(codes)
            if alaw.any():
                samples[alaw] = ALAW_DECODE.take(codes[alaw])
            self._journals.write_many(self._number[full], self._origin[full], samples)
        for one in slot[kept & ~whole].tolist():
            self.keep_up(one)
        self._start[slot] = self._end[slot] = 0
        self._origin[slot] += BLOCK

    def _decode(self, slot: int, codes: NDArray[np.uint8]) -> NDArray[np.int16]:
        table = ALAW_DECODE if self.alaw[slot] else ULAW_DECODE
        return table.take(codes)
