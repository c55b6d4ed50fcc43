"""Live audio of legs: what a party says and hears, in even frames, while it happens.

The sides of a leg are those of `net.sides`; they run by different clocks. Where two are wanted at
once, what is said leads and what is heard follows it, by a sample left out or repeated now and
then.

Legs without a tap cost nothing; those with one are drained at every tick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import structlog
from numpy.typing import NDArray

from ..recording.resource import Direction
from ..rtp.sender import Frames
from .live_frames import LiveFrames
from .sides import Heard, Said, follow

if TYPE_CHECKING:
    from .leg import RtpLeg
    from .media import MediaEngine

log = structlog.get_logger(__name__)


class Tap(LiveFrames):
    """See `calls.ports.LiveAudio`, whose methods these are."""

    def __init__(
        self, taps: Taps, leg: RtpLeg, direction: Direction, ptime: int, *, apart: bool, now: float
    ) -> None:
        super().__init__(leg.rate, ptime)
        self.leg = leg
        said = Said(taps.engine, leg.slot)
        self.heard = None if direction is Direction.SPEAK else Heard(taps.engine, leg, now)
        self._said = said if direction is not Direction.LISTEN else None
        self._apart = apart
        self._taps = taps
        self._at = self._leader.present(now)
        self._behind = said.present(now) - self.heard.present(now) if self.heard else 0
        """Samples by which the clock's position is behind the line's."""

    @property
    def _leader(self) -> Said | Heard:
        leader = self._said or self.heard
        assert leader is not None
        return leader

    def close(self) -> None:
        """Want no more; what was not taken is thrown away."""
        self._taps.forget(self)
        super().close()

    def turn(self, now: float) -> None:
        """Give out the frames whose time has come."""
        self._give(self._leader.ready(now), now)

    def finish(self, now: float) -> None:
        """Give out what has not been yet, the last frame filled up with silence."""
        end = self._leader.end(now)
        if self._said and self.heard:
            end = max(end, self.heard.end(now) + self._behind)
        missing = max(0, end - self._at)
        self._give(self._at + -(-missing // self.frame) * self.frame, now, whole=True)
        self.end()

    def _give(self, upto: int, now: float, *, whole: bool = False) -> None:
        while self._at + self.frame <= upto:
            samples = self._read(now, whole=whole)
            if samples is None:
                return
            self._at += self.frame
            self.put(samples)

    def _read(self, now: float, *, whole: bool) -> NDArray[np.int16] | None:
        """Return the next frame, shape (tracks, samples); None: it is not there yet."""
        start, end = self._at, self._at + self.frame
        if self.heard is None or self._said is None:
            return self._leader.read(start, end)[None]
        self._behind = follow(self._behind, self._said.present(now) - self.heard.present(now))
        start, end = start - self._behind, end - self._behind
        if self.heard.ready(now) < end:
            if not whole:
                return None
            self.heard.fill(end, now)
        both = np.stack([self._said.read(self._at, self._at + self.frame),
                         self.heard.read(start, end)])  # fmt: skip
        if self._apart:
            return both
        mixed: NDArray[np.int32] = both.sum(0, np.int32, keepdims=True)
        return mixed.clip(-32768, 32767).astype(np.int16)


class Taps:
    """The taps of an engine's legs."""

    def __init__(self, engine: MediaEngine) -> None:
        self.engine = engine
        self._taps: list[Tap] = []
        self._heard: dict[int, list[Heard]] = {}

    def open(
        self, leg: RtpLeg, direction: Direction, ptime: int, *, apart: bool, closed: bool = False
    ) -> Tap:
        """Return the live audio of a leg from now on; one that was `closed` has none."""
        now = self.engine.clock.monotonic()
        tap = Tap(self, leg, direction, ptime, apart=apart, now=now)
        if closed:
            tap.end()
            return tap
        self._taps.append(tap)
        if tap.heard is not None:
            self._heard.setdefault(leg.slot, []).append(tap.heard)
        return tap

    def forget(self, tap: Tap) -> None:
        """Give a tap no more; one that was forgotten before is no matter."""
        if tap not in self._taps:
            return
        self._taps.remove(tap)
        if tap.heard is not None:
            sides = self._heard[tap.leg.slot]
            sides.remove(tap.heard)
            if not sides:
                del self._heard[tap.leg.slot]

    def sent(self, frames: Frames) -> None:
        """Take note of frames of what legs play, which were sent."""
        if not self._heard:
            return
        for index, slot in enumerate(frames.slot.tolist()):
            for heard in self._heard.get(slot, ()):
                offset = int(frames.offset[index])
                samples = heard.leg.played(offset, offset + int(frames.size[index]))
                one = slice(index, index + 1)
                position = self.engine.lines.positions(frames.slot[one], frames.due[one])
                heard.play(int(position[0]), offset, samples)

    def mixed(
        self, slots: NDArray[np.int64], positions: NDArray[np.int64], samples: NDArray[np.int16]
    ) -> None:
        """Take note of what members of conferences were sent, a row of `samples` each."""
        if not self._heard:
            return
        for index, slot in enumerate(slots.tolist()):
            for heard in self._heard.get(slot, ()):
                heard.put(int(positions[index]), samples[index].copy())

    def joined(self, slot: int) -> None:
        """Hear a leg's partner, which is passed on to it from now on."""
        for heard in self._heard.get(slot, ()):
            heard.join(self.engine.clock.monotonic())

    def parting(self, slot: int) -> None:
        """Hear a leg's partner no more: called while it is still there."""
        for heard in self._heard.get(slot, ()):
            heard.part(self.engine.clock.monotonic())

    def turn(self, now: float) -> None:
        """Give out what is due of every tapped leg."""
        if not self._taps:
            return
        self.engine.drain(self._wanted())
        for tap in list(self._taps):
            try:
                tap.turn(now)
            except Exception:
                log.exception("live audio failed", leg=tap.leg.id)
                self.forget(tap)
                tap.end()

    def release(self, leg: RtpLeg) -> None:
        """Give out the last of a leg, before it is closed."""
        now = self.engine.clock.monotonic()
        for tap in [tap for tap in self._taps if tap.leg is leg]:
            self.forget(tap)
            try:
                tap.finish(now)
            finally:
                tap.end()

    def _wanted(self) -> list[RtpLeg]:
        """Return the legs whose packets must be in place now, no leg twice."""
        legs = {tap.leg.slot: tap.leg for tap in self._taps}
        for tap in self._taps:
            if tap.heard is not None:
                partner = self.engine.partner(tap.leg)
                if partner is not None:
                    legs[partner.slot] = partner
        return list(legs.values())
