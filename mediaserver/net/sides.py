"""The two sides of a leg's call, for whoever listens along (`net.taps`).

What the party *says* is its leg's line (`rtp.timeline`), sample for sample. What it *hears* is put
together here, on the clock's positions: what the leg plays, or a conference sends it, and where
there is neither, the line of the leg it is joined to.

Both are given out `DELAY` late, so that packets that overtook one another are in place, and later
still while packets flow but come late: what is on its way is waited for, within `GRACE`, and there
is silence where nothing came.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..rtp.relay import NOWHERE
from ..rtp.ring import RING, Ring
from ..rtp.timeline import GRACE, STALL, Timelines

if TYPE_CHECKING:
    from .leg import RtpLeg
    from .media import MediaEngine

DELAY: Final = 0.06
"""Seconds after which audio is given out."""

SLACK: Final = 160
"""Samples that two clocks may part before one is made to follow the other."""

LEAP: Final = 800
"""Samples beyond which it follows at once, not by one sample a frame."""


def arrived(lines: Timelines, slot: int, present: int, now: float) -> int:
    """Return the position on a line, now at `present`, before which nothing more is waited for.

    While packets flow nobody is given silence for what is on its way, within `GRACE`.
    """
    due = present - int(DELAY * lines.rate)
    heard = lines.heard_at(slot)
    if heard is None or now - heard >= STALL:
        return due
    return min(due, max(int(lines.placed[slot]), present - int(GRACE * lines.rate)))


def follow(distance: int, target: int) -> int:
    """Return how far apart two clocks are to be taken to be now, given what they were."""
    error = target - distance
    if abs(error) <= SLACK:
        return distance
    if abs(error) > LEAP:
        return target
    return distance + (1 if error > 0 else -1)


class Said:
    """What the party of a leg says: positions are those of its line."""

    def __init__(self, engine: MediaEngine, slot: int) -> None:
        self._lines = engine.lines
        self._slot = slot

    def present(self, now: float) -> int:
        """Return where the line is."""
        return self._lines.present(self._slot, now)

    def ready(self, now: float) -> int:
        """Return the position before which all is there that will be given out."""
        return arrived(self._lines, self._slot, self.present(now), now)

    def end(self, now: float) -> int:
        """Return where it ends if it ends now."""
        return int(self._lines.placed[self._slot])

    def read(self, start: int, end: int) -> NDArray[np.int16]:
        """Return the samples between two positions."""
        return self._lines.read(self._slot, start, end)


class Heard:
    """What the party of a leg is sent: positions are the clock's since the leg was opened."""

    def __init__(self, engine: MediaEngine, leg: RtpLeg, now: float) -> None:
        self._engine = engine
        self._lines = engine.lines
        self.leg = leg
        self._ring = Ring(1)
        self._filled = self.present(now)
        self._pieces: deque[tuple[int, NDArray[np.int16]]] = deque()
        """What was played, from the positions that are not filled yet on."""
        self._run = (-1, -1)
        """Position and offset at which the next frame of what is played goes on."""
        self._partner = NOWHERE
        self._ahead = 0
        """Samples by which the partner's line is ahead of our clock's position."""
        self._since = 0
        """Position on the partner's line from which on it is passed on."""
        self.join(now)

    def present(self, now: float) -> int:
        """Return the clock's position."""
        return self._lines.position(self.leg.slot, now)

    def ready(self, now: float) -> int:
        """Put together what can be; return the position before which it is."""
        self.fill(self._due(now), now)
        return self._filled

    def end(self, now: float) -> int:
        """Put together all there is; return where it ends."""
        self.fill(self.present(now), now)
        return self._filled

    def read(self, start: int, end: int) -> NDArray[np.int16]:
        """Return the samples between two positions, silence beyond what is put together."""
        out = np.zeros(end - start, np.int16)
        stop = min(end, self._filled)
        if stop > start:
            self._ring.get(0, start, stop, out)
        return out

    def play(self, position: int, offset: int, samples: NDArray[np.int16]) -> None:
        """Take a frame of what is played, from `offset` of it on.

        Positions come from sums of fractions: those of one run may be off by one.
        """
        expected, goes_on = self._run
        if offset == goes_on and abs(position - expected) <= 1:
            position = expected
        self._run = position + samples.size, offset + samples.size
        self.put(position, samples)

    def put(self, position: int, samples: NDArray[np.int16]) -> None:
        """Take what was sent at a position; it goes before what the partner says."""
        self._pieces.append((position, samples))

    def join(self, now: float) -> None:
        """Begin to hear the partner, from what it says next on; nothing new: go on."""
        partner = self._engine.partner(self.leg)
        slot = NOWHERE if partner is None else partner.slot
        if slot in {NOWHERE, self._partner}:
            return
        self._partner = slot
        self._since = int(self._lines.placed[slot])
        self._ahead = self._lines.present(slot, now) - self.present(now)

    def part(self, now: float) -> None:
        """Take what the partner said last; it is heard no more."""
        if self._partner != NOWHERE:
            self.fill(self.present(now), now)
            self._partner = NOWHERE

    def fill(self, upto: int, now: float) -> None:
        """Put together what was sent up to a position."""
        start = self._filled
        if upto <= start:
            return
        start = max(start, upto - RING)
        whole = np.zeros(upto - start, np.int16)
        if self._partner != NOWHERE and self._engine.audible[self.leg.slot]:
            self._follow(now)
            begin, end = start + self._ahead, upto + self._ahead
            since = min(max(begin, self._since), end)
            whole[since - begin :] = self._lines.read(self._partner, since, end)
        while self._pieces and self._pieces[0][0] < upto:
            position, samples = self._pieces.popleft()
            if position + samples.size > upto:
                self._pieces.appendleft((upto, samples[upto - position :]))
                samples = samples[: upto - position]
            at = max(position - start, 0)
            samples = samples[max(start - position, 0) :]
            whole[at : at + samples.size] = samples
        self._ring.put(0, start, whole)
        self._filled = upto

    def _due(self, now: float) -> int:
        present = self.present(now)
        if self._partner == NOWHERE or self._engine.senders.playing(self.leg.slot):
            return present - int(DELAY * self._lines.rate)
        ahead = self._ahead
        return arrived(self._lines, self._partner, present + ahead, now) - ahead

    def _follow(self, now: float) -> None:
        target = self._lines.present(self._partner, now) - self.present(now)
        self._ahead = follow(self._ahead, target)
