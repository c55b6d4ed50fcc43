"""Mixing: what each member of a conference hears is the sum of all others.

Time is cut into frames of 20 ms, the same for all mixes, and a frame of all of them is made at
once: one array operation for every member of every conference. A sum is exact as long as it fits
into 16 bits, and is cut off at full scale where it does not.

**From line to frame.** Every member has a reading position on its leg's line (`rtp.timeline`),
which goes on by a frame at a time. What lies between it and the end of what was received is the
*backlog*: the network's jitter is taken out of it. A talk spurt begins to be read when the backlog
is `PREFILL`, so what is said goes out 40 to 60 ms after its packet came. A member whose backlog
runs dry adds nothing until there is a frame again, and so is heard that much later from then on.
In the other direction, the least backlog of `WINDOW` frames tells what was never needed; a frame is
then left out where the member is quiet, and one is put in there when the backlog became short (a
far end's slower clock does that as well). A backlog beyond `LONGEST`, after a stall or a silence
without packets, is cut to `PREFILL` at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .timeline import Timelines

FRAME: Final = 160
"""Samples in a frame: 20 ms at 8 kHz."""

PREFILL: Final = 3 * FRAME
"""Samples of a talk spurt that must be there before the first of them is heard."""

SHORT: Final = 2 * FRAME
"""A least backlog under this is too little: the next late packet would tear a hole."""

LONGEST: Final = 10 * FRAME
"""Backlog, in samples, from which on what is oldest is given up."""

SPURT_OVER: Final = 4
"""Frames without audio after which what follows is a new talk spurt."""

WINDOW: Final = 128
"""Frames, 2.6 s, over which the least backlog is looked for."""

QUIET: Final = 256
"""A frame with no sample above this, -42 dBov, may be left out or doubled unheard."""

NONE: Final = -1
"""In place of a slot, or of the number of a mix."""

NOBODY: Final = -2
"""In place of the slot of a member that is coached, when it has left."""


@dataclass(frozen=True, slots=True)
class MixedFrame:
    """One frame of all mixes."""

    slot: NDArray[np.int64]
    """The members, those of one mix after those of another; shape (n,)."""
    heard: NDArray[np.int16]
    """What each of them hears; shape (n, FRAME)."""
    mix: NDArray[np.int64]
    """The mixes that have members; shape (m,)."""
    whole: NDArray[np.int16]
    """All that is said and played in each mix; shape (m, FRAME)."""


class Mixer:
    """The mixes among `capacity` legs. A mix is a number; a leg is in one at the most."""

    def __init__(self, capacity: int, lines: Timelines) -> None:
        self._lines = lines
        self._next = 0
        self._free: list[int] = []
        self._mix: NDArray[np.int64] = np.full(capacity, NONE, np.int64)
        self._heard: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Whether a member is heard by all: neither muted nor a coach."""
        self._coached: NDArray[np.int64] = np.full(capacity, NONE, np.int64)
        self._coaches: set[int] = set()
        self._read: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._missed: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._waited: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._least: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._spare: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Frames to be left out where it is quiet; below zero: to be put in."""
        self._frames = 0
        self._sounds: dict[int, NDArray[np.int32]] = {}
        self._members: NDArray[np.int64] | None = None
        self._starts: NDArray[np.int64] = np.zeros(0, np.int64)
        self._group: NDArray[np.int64] = np.zeros(0, np.int64)
        self._numbers: NDArray[np.int64] = np.zeros(0, np.int64)

    def open(self) -> int:
        """Return the number of a new mix without members."""
        if self._free:
            return self._free.pop()
        self._next += 1
        return self._next - 1

    def close(self, mix: int) -> None:
        """Forget a mix; its members have left."""
        assert not (self._mix == mix).any(), "a mix is closed when its members have left"
        self._sounds.pop(mix, None)
        self._free.append(mix)

    def add(self, mix: int, slot: int, *, muted: bool = False) -> None:
        """Let a leg hear and be heard from now on: of its line, from what is placed next.

        One that is `muted` is heard by nobody.
        """
        assert self._mix[slot] == NONE, "a leg is in one mix"
        self._mix[slot] = mix
        self._heard[slot] = not muted
        self._read[slot] = self._lines.placed[slot]
        self._missed[slot] = SPURT_OVER
        self._waited[slot] = 0
        self._begin_window(slot)
        self._members = None

    def remove(self, slot: int) -> None:
        """Take a leg out of its mix; nothing if it is in none. Its coaches are heard by nobody."""
        if self._mix[slot] == NONE:
            return
        self._mix[slot] = self._coached[slot] = NONE
        self._coaches.discard(slot)
        for coach in self._coaches:
            if self._coached[coach] == slot:
                self._coached[coach] = NOBODY
        self._members = None

    def mix_of(self, slot: int) -> int:
        """Return the mix a leg is in, or NONE."""
        return int(self._mix[slot])

    def coach(self, slot: int, other: int | None) -> None:
        """Let a member be heard by one other of its mix alone, unless muted; None: by all."""
        if other is None:
            self._coached[slot] = NONE
            self._coaches.discard(slot)
        else:
            self._coached[slot] = other
            self._coaches.add(slot)

    def play(self, mix: int, samples: NDArray[np.int16]) -> None:
        """Let all members hear samples from the next frame on, beside what is played already."""
        playing = self._sounds.get(mix, np.zeros(0, np.int32))
        both = np.zeros(max(samples.size, playing.size), np.int32)
        both[: playing.size] = playing
        both[: samples.size] += samples
        self._sounds[mix] = both

    @property
    def members(self) -> NDArray[np.int64]:
        """The legs that are in a mix, those of one after those of another."""
        if self._members is None:
            slot = np.flatnonzero(self._mix != NONE)
            slot = slot[np.argsort(self._mix[slot], kind="stable")]
            self._numbers, self._starts, self._group = np.unique(
                self._mix[slot], return_index=True, return_inverse=True
            )
            self._members = slot
        return self._members

    def next(self, attend: NDArray[np.bool_]) -> MixedFrame:
        """Return the next frame. `attend` says of each of `members` whether it may be heard."""
        slot = self.members
        if not slot.size:
            nothing = np.zeros((0, FRAME), np.int16)
            return MixedFrame(slot, nothing, slot, nothing)
        assert attend.size == slot.size, (attend.size, slot.size)
        said = self._take(slot)
        public = self._heard[slot] & (self._coached[slot] == NONE) & attend
        adds = said if public.all() else np.where(public[:, None], said, 0)
        whole = np.add.reduceat(adds, self._starts, axis=0)
        for mix in list(self._sounds):
            self._add_sound(mix, whole)
        mixed = whole[self._group] - adds
        if self._coaches:
            self._whisper(slot, said, attend, mixed)
        return MixedFrame(slot, _saturate(mixed), self._numbers, _saturate(whole))

    def _take(self, slot: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the next frame of each line, shape (n, FRAME), silence where there is none."""
        placed = self._lines.placed[slot]
        read = self._read[slot]
        backlog = placed - read
        read = np.where(backlog > LONGEST, placed - PREFILL, read)
        backlog = placed - read
        # A new talk spurt waits for more, but not for ever: there may be no more.
        waits = self._missed[slot] >= SPURT_OVER
        waited = self._waited[slot] = np.where(waits & (backlog > 0), self._waited[slot] + 1, 0)
        wanted = np.where(waits & (waited <= PREFILL // FRAME), PREFILL, FRAME)
        there = backlog >= wanted
        # The silence before it is where too long a backlog is made short.
        self._spare[slot] = np.where(
            waits & there, np.maximum(backlog - PREFILL, 0) // FRAME, self._spare[slot]
        )
        self._missed[slot] = np.where(there, 0, self._missed[slot] + 1)
        said: NDArray[np.int32] = np.zeros((slot.size, FRAME), np.int32)
        if there.any():
            said[there] = self._lines.frames(slot[there], read[there], FRAME)
        for index in np.flatnonzero(~there & (backlog > 0) & (wanted == FRAME)).tolist():
            # The last of it is less than a frame.
            rest = self._lines.read(int(slot[index]), int(read[index]), int(placed[index]))
            said[index, : rest.size] = rest
            read[index] = placed[index]
        self._least[slot] = np.where(there, np.minimum(self._least[slot], backlog), PREFILL)
        step = np.where(there, FRAME, 0)
        for index in np.flatnonzero(there & (self._spare[slot] != 0)).tolist():
            if np.abs(said[index]).max() <= QUIET:
                step[index] = self._correct(int(slot[index]), int(read[index]), said[index])
        self._read[slot] = read + step
        self._frames += 1
        if self._frames % WINDOW == 0:
            self._plan(slot)
        return said

    def _correct(self, slot: int, read: int, said: NDArray[np.int32]) -> int:
        """Leave out a frame that is quiet, or put one in; return by how much reading goes on."""
        if self._spare[slot] < 0:
            self._spare[slot] += 1
            return 0
        following = read + FRAME
        if self._lines.placed[slot] - following < PREFILL:
            return FRAME
        self._spare[slot] -= 1
        said[:] = self._lines.read(slot, following, following + FRAME)
        return 2 * FRAME

    def _plan(self, slot: NDArray[np.int64]) -> None:
        """Find by how many frames each backlog is too long or too short."""
        least = self._least[slot]
        long = np.maximum(least - PREFILL, 0) // FRAME
        self._spare[slot] = np.where(least < SHORT, NONE, long)
        self._least[slot] = LONGEST

    def _begin_window(self, slot: int) -> None:
        self._least[slot] = PREFILL  # too short a time to judge: nothing to change
        self._spare[slot] = 0

    def _add_sound(self, mix: int, whole: NDArray[np.int32]) -> None:
        """Play one more frame of what is played in a mix."""
        sound = self._sounds[mix]
        row = int(np.searchsorted(self._numbers, mix))
        if row < self._numbers.size and self._numbers[row] == mix:
            whole[row, : min(FRAME, sound.size)] += sound[:FRAME]
        if sound.size > FRAME:
            self._sounds[mix] = sound[FRAME:]
        else:
            del self._sounds[mix]

    def _whisper(
        self,
        slot: NDArray[np.int64],
        said: NDArray[np.int32],
        attend: NDArray[np.bool_],
        mixed: NDArray[np.int32],
    ) -> None:
        """Add what coaches say to what those hear whom they coach."""
        row_of = {one: row for row, one in enumerate(slot.tolist())}
        for coach in self._coaches:
            row, other = row_of[coach], row_of.get(int(self._coached[coach]))
            if other is not None and self._heard[coach] and attend[row]:
                mixed[other] += said[row]


def _saturate(samples: NDArray[np.int32]) -> NDArray[np.int16]:
    clipped: NDArray[np.int16] = np.clip(samples, -32768, 32767).astype(np.int16)
    return clipped
