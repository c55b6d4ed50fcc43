"""The line of a whole mix: all that is said and played in it, as something to be recorded."""

from __future__ import annotations

import uuid
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from ..calls.ports import JournalFile, LegListener, LegStatistics, OpenWide
from ..rtp.mixer import FRAME
from ..rtp.ring import BLOCK, RING

_NOTHING: Final = LegStatistics(0, 0, 0, 0, 0, 0.0, None)

log = structlog.get_logger(__name__)


class MixLine:
    """See `calls.ports.Line`. Nothing on it is ever late, and nothing is sent to it."""

    def __init__(self, first: int, rate: int) -> None:
        """Position 0 is where frame number `first` begins."""
        self.id = str(uuid.uuid4())
        self.rate = rate
        self.listener: LegListener | None = None
        self.wake = 0
        self._first = first
        self._placed = 0
        self._recent: NDArray[np.int16] = np.zeros(RING, np.int16)
        self._heard: JournalFile | None = None
        self._kept = 0
        self._failed = False

    def now(self) -> int:
        """Return the end of what was mixed."""
        return self._placed

    def sent_at(self, position: int) -> int:
        """Return `position`: the same clock."""
        return position

    def end(self) -> int:
        """Return the end of what was mixed."""
        return self._placed

    def marks(self) -> tuple[int, int, int]:
        """Return three times the end of what was mixed: it is final at once."""
        return self._placed, self._placed, self._placed

    def read(self, start: int, end: int) -> NDArray[np.int16]:
        """Return what was heard from `start` to `end`; of long ago, silence."""
        samples = np.zeros(end - start, np.int16)
        begin, stop = max(start, self._placed - RING), min(end, self._placed)
        if begin < stop:
            samples[begin - start : stop - start] = self._recent[np.arange(begin, stop) % RING]
        return samples

    def keep(
        self, heard: JournalFile, sent: JournalFile, since: int, wide: OpenWide | None = None
    ) -> None:
        """Write what is heard to `heard`; nothing is sent to a mix."""
        self._heard = heard
        self._kept = max(self._kept, since)

    def keep_up(self) -> None:
        """Write all that was mixed by now."""
        start = max(self._kept, self._placed - RING)
        if self._heard is not None and start < self._placed:
            self._heard.write(start, self.read(start, self._placed))
            self._kept = self._placed

    def keep_no_more(self) -> None:
        """Write nothing more."""
        self._heard = None

    def statistics(self) -> LegStatistics:
        """Return zeros: the members have the figures."""
        return _NOTHING

    def hear(self, number: int, frame: NDArray[np.int16]) -> None:
        """Take frame `number`, shape (FRAME,); what lies between it and the last is silence."""
        position = (number - self._first) * FRAME
        if position > self._placed:
            gap = np.arange(max(self._placed, position - RING), position) % RING
            self._recent[gap] = 0
        at = position % RING  # a ring is a whole number of frames
        self._recent[at : at + FRAME] = frame
        self._placed = position + FRAME
        if self._placed - self._kept >= BLOCK:
            self.keep_up()
        if self._placed >= self.wake:
            self._tell()

    def _tell(self) -> None:
        try:
            if self.listener is not None:
                self.listener.on_advance()
        except Exception:
            if not self._failed:  # one that fails may fail at every frame
                self._failed = True
                log.exception("line of a mix failed", line=self.id)
