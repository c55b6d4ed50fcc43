"""Media legs without sockets whose lines run with the clock, and that notice every misuse."""

from __future__ import annotations

import asyncio
import traceback
import uuid
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mediaserver.calls.ports import (
    JournalFile,
    LegListener,
    LegStatistics,
    LiveAudio,
    LiveFrame,
    MediaLeg,
    OpenWide,
)
from mediaserver.clock import Clock
from mediaserver.errors import LocalError
from mediaserver.net.mix_voice import MixVoice
from mediaserver.recording.resource import Direction
from mediaserver.sdp.session import AudioSession

RATE = 8000
TURN = 0.1
"""Seconds between two looks of a listener, at least."""

_VOICE: NDArray[np.int16] = np.random.default_rng(1).normal(0, 2000, 3 * RATE).astype(
    np.int16
) * np.repeat(np.array([1, 1, 0], np.int16), RATE)
"""Two seconds of noise that passes for speech, one of silence."""


class PaperLine:
    """A line on which somebody talks while `talking`."""

    def __init__(self, clock: Clock) -> None:
        self.id = str(uuid.uuid4())
        self.rate = RATE
        self.listener: LegListener | None = None
        self.talking = True
        self.closed = 0
        self.faults: list[str] = []
        self._clock = clock
        self._began = clock.monotonic()
        self._wake = 1 << 62
        self._turn: asyncio.TimerHandle | None = None

    def _check(self, what: str) -> None:
        if self.closed:
            where = "".join(traceback.format_stack(limit=4))
            self.faults.append(f"{what} of a closed leg\n{where}")

    @property
    def wake(self) -> int:
        return self._wake

    @wake.setter
    def wake(self, position: int) -> None:
        self._wake = position
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if not self.closed and position < 1 << 60:
            wait = max(TURN, (position - self._position()) / RATE)
            self._turn = asyncio.get_running_loop().call_later(wait, self._advance)

    def _advance(self) -> None:
        self._turn = None
        if not self.closed and self.listener is not None:
            if self._position() >= self._wake:
                self.listener.on_advance()
            else:
                self.wake = self._wake

    def _position(self) -> int:
        return int((self._clock.monotonic() - self._began) * RATE)

    def now(self) -> int:
        self._check("now()")
        return self._position()

    def sent_at(self, position: int) -> int:
        return position

    def end(self) -> int:
        self._check("end()")
        return self._position()

    def marks(self) -> tuple[int, int, int]:
        position = self._position()
        return position, position, position

    def read(self, start: int, end: int) -> NDArray[np.int16]:
        self._check("read()")
        if not self.talking:
            return np.zeros(end - start, np.int16)
        return np.resize(np.roll(_VOICE, -(start % _VOICE.size)), end - start)

    def keep(
        self, heard: JournalFile, sent: JournalFile, since: int, wide: OpenWide | None = None
    ) -> None:
        self._check("keep()")

    def keep_up(self) -> None:
        self._check("keep_up()")

    def keep_no_more(self) -> None: ...

    def statistics(self) -> LegStatistics:
        return LegStatistics(0, 0, 0, 0, 0, 0.0, None)

    def close(self) -> None:
        self.closed += 1
        self.wake = 1 << 62


class PaperLeg(PaperLine):
    """A media leg."""

    def __init__(self, clock: Clock, parted: Callable[[PaperLeg], None], number: int) -> None:
        super().__init__(clock)
        self.session: AudioSession | None = None
        self.address = ("192.0.2.1", 20_000 + 2 * number)
        self._parted = parted
        self._done: asyncio.Future[None] | None = None

    @property
    def heard_at(self) -> float | None:
        return None if self.closed else self._clock.monotonic()

    def connect(self, session: AudioSession, signalling_host: str) -> None:
        self._check("connect()")
        self.session = session

    def loading(self) -> None:
        self._check("loading()")

    async def play(self, samples: NDArray[np.int16]) -> int:
        self.stop_playing()
        if self.closed or not samples.size:
            return 0
        loop = asyncio.get_running_loop()
        began, done = loop.time(), loop.create_future()
        self._done = done
        timer = loop.call_later(samples.size / RATE, self._finish, done)
        try:
            await done
        finally:
            timer.cancel()
        return min(samples.size, round((loop.time() - began) * RATE))

    @staticmethod
    def _finish(done: asyncio.Future[None]) -> None:
        if not done.done():
            done.set_result(None)

    def stop_playing(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            self._finish(done)

    def tap(self, direction: Direction, ptime: int, *, apart: bool = False) -> LiveAudio:
        tracks = 2 if apart and direction is Direction.BOTH else 1
        return PaperTap(self, tracks, RATE * ptime // 1000)

    async def send_digits(self, digits: str) -> None:
        if not self.closed:
            await asyncio.sleep(0.16 * len(digits))

    def close(self) -> None:
        super().close()
        self._parted(self)
        self.listener = None
        self.stop_playing()


class PaperTap:
    """Live audio, a frame now and then."""

    def __init__(self, leg: PaperLeg, tracks: int, frame: int) -> None:
        self.rate = RATE
        self.frame = frame
        self.dropped = 0
        self._leg = leg
        self._shape = tracks, frame
        self._number = 0
        self._closed = False

    async def take(self) -> LiveFrame | None:
        for _ in range(10):
            if self._closed or self._leg.closed:
                return None
            await asyncio.sleep(0.1)
        self._number += 50
        return LiveFrame(self._number, np.zeros(self._shape, np.int16))

    def close(self) -> None:
        self._closed = True


class PaperMix:
    """Legs that hear each other."""

    def __init__(self, clock: Clock, part: Callable[[MediaLeg], None]) -> None:
        self.on_hold: Callable[[MediaLeg, bool], None] | None = None
        self.members: list[MediaLeg] = []
        self.lines: list[PaperLine] = []
        self.voices: list[MixVoice] = []
        self.closed = False
        self._clock = clock
        self._part = part

    def add(self, leg: MediaLeg, *, muted: bool = False) -> None:
        assert isinstance(leg, PaperLeg)
        if not leg.closed:
            self._part(leg)
            self.members.append(leg)

    def remove(self, leg: MediaLeg) -> None:
        if leg in self.members:
            self.members.remove(leg)

    def coach(self, leg: MediaLeg, other: MediaLeg | None) -> None: ...

    def play(self, samples: NDArray[np.int16]) -> None: ...

    def line(self) -> PaperLine:
        self.lines.append(PaperLine(self._clock))
        return self.lines[-1]

    def voice(self, ptime: int) -> MixVoice:
        self.voices.append(MixVoice(8000, ptime))
        return self.voices[-1]

    def close(self) -> None:
        self.closed = True
        for voice in self.voices:
            voice.end()
        self.members.clear()


class PaperEngine:
    """Where the legs come from; it knows which are joined."""

    def __init__(self, clock: Clock, places: int) -> None:
        self.legs: list[PaperLeg] = []
        self.mixes: list[PaperMix] = []
        self.joined: dict[MediaLeg, MediaLeg] = {}
        self._clock = clock
        self._places = places

    def open_leg(self) -> PaperLeg:
        if sum(not leg.closed for leg in self.legs) >= self._places:
            raise LocalError("there is no place left")
        self.legs.append(PaperLeg(self._clock, self._closed, len(self.legs)))
        return self.legs[-1]

    def join(self, one: MediaLeg, other: MediaLeg) -> None:
        assert isinstance(one, PaperLeg)
        assert isinstance(other, PaperLeg)
        assert one is not other, "a leg is joined to itself"
        self.part(one)
        self.part(other)
        if not (one.closed or other.closed):
            self.joined |= {one: other, other: one}

    def part(self, leg: MediaLeg) -> None:
        other = self.joined.pop(leg, None)
        if other is not None:
            del self.joined[other]

    def open_mix(self) -> PaperMix:
        self.mixes.append(PaperMix(self._clock, self.part))
        return self.mixes[-1]

    def _closed(self, leg: PaperLeg) -> None:
        self.part(leg)
        for mix in self.mixes:
            mix.remove(leg)


class PaperDesk:
    """Journals that only know whether they were closed."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.created: list[str] = []

    def create(
        self,
        folder: str,
        direction: Direction,
        *,
        rate: int,
        first: int,
        wall_us: int,
        wide: bool = False,
    ) -> PaperJournal:
        name = f"{folder}/{direction}{'-wide' if wide else ''}"
        assert name not in self.created, f"{name} is created again"
        self.created.append(name)
        self.open.add(name)
        return PaperJournal(self, name, len(self.created))

    def write_many(
        self,
        numbers: NDArray[np.int64],
        positions: NDArray[np.int64],
        samples: NDArray[np.int16],
    ) -> None: ...


class PaperJournal:
    """One of them."""

    def __init__(self, desk: PaperDesk, name: str, number: int) -> None:
        self.number = number
        self._desk = desk
        self._name = name

    def write(self, position: int, samples: NDArray[np.int16]) -> None: ...

    def note(self, spans: bytes) -> None: ...

    async def flushed(self) -> None:
        await asyncio.sleep(0.01)

    async def close(self) -> None:
        await asyncio.sleep(0.01)
        self._desk.open.discard(self._name)
