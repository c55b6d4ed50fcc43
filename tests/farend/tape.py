"""A leg without sockets and journals without a disk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mediaserver.calls.ports import JournalFile, LegListener, LegStatistics, LiveAudio, OpenWide
from mediaserver.recording.resource import Direction
from mediaserver.sdp.session import AudioSession


class StillClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.wall


class TapeLeg:
    """A media leg whose line is a tape the test writes."""

    def __init__(self) -> None:
        self.id = "0f0e0d0c-0000-4000-8000-000000000001"
        self.rate = 8000
        self.listener: LegListener | None = None
        self.wake = 0
        self.tape: NDArray[np.int16] = np.zeros(80_000, np.int16)
        self.clock = 0
        self.placed = 0
        self.final = 0
        self.decided = 0
        self.sent: list[tuple[int, NDArray[np.int16]]] = []
        self.closed = False
        self.open_wide: OpenWide | None = None
        self._journals: tuple[JournalFile, JournalFile] | None = None
        self._kept = 0

    @property
    def heard_at(self) -> float | None:
        return None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", 30_000

    @property
    def session(self) -> AudioSession | None:
        return None

    def connect(self, session: AudioSession, signalling_host: str) -> None: ...

    def loading(self) -> None: ...

    def now(self) -> int:
        return self.clock

    def sent_at(self, position: int) -> int:
        return position

    def end(self) -> int:
        return max(self.clock, self.placed)

    def marks(self) -> tuple[int, int, int]:
        return self.placed, self.final, self.decided

    def read(self, start: int, end: int) -> NDArray[np.int16]:
        assert not self.closed, "a closed leg is read"
        samples = self.tape[start:end].copy()
        samples[max(0, self.placed - start) :] = 0
        return samples

    @property
    def kept(self) -> bool:
        """Whether anybody wants this leg's journals written."""
        return self._journals is not None

    def keep(
        self, heard: JournalFile, sent: JournalFile, since: int, wide: OpenWide | None = None
    ) -> None:
        self._journals = heard, sent
        self.open_wide = wide
        self._kept = max(self._kept, since)
        self.sent.clear()

    def keep_up(self) -> None:
        if self._journals is None:
            return
        heard, sent = self._journals
        if self.placed > self._kept:
            heard.write(self._kept, self.read(self._kept, self.placed))
            self._kept = self.placed
        for position, samples in self.sent:
            sent.write(position, samples)
        self.sent.clear()

    def keep_no_more(self) -> None:
        self._journals = None

    async def play(self, samples: NDArray[np.int16]) -> int:
        return int(samples.size)

    def stop_playing(self) -> None: ...

    def tap(self, direction: Direction, ptime: int, *, apart: bool = False) -> LiveAudio:
        raise NotImplementedError

    async def send_digits(self, digits: str) -> None: ...

    def statistics(self) -> LegStatistics:
        return LegStatistics(0, 0, 0, 0, 0, 0.0, None)

    def close(self) -> None:
        self.closed = True

    def hear(self, upto: int, *, final: int | None = None) -> None:
        """Let the line be heard up to a position, and tell the listener if it waits for that."""
        self.placed = self.clock = upto
        self.final = self.decided = upto if final is None else final
        assert self.listener is not None
        if self.decided >= self.wake:
            self.listener.on_advance()


class Paper:
    """A journal file in memory."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.samples: NDArray[np.int16] = np.zeros(80_000, np.int16)
        self.writes: list[tuple[int, int]] = []
        self.fault: Exception | None = None
        self.notes = b""

    def note(self, spans: bytes) -> None:
        self.notes += spans

    def write(self, position: int, samples: NDArray[np.int16]) -> None:
        self.samples[position : position + samples.size] = samples
        self.writes.append((position, samples.size))

    async def flushed(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def close(self) -> None:
        await self.flushed()


class Desk:
    """Journals in memory."""

    def __init__(self) -> None:
        self.papers: dict[Direction, Paper] = {}
        self.wide: dict[Direction, Paper] = {}
        self.created = 0
        self._all: list[Paper] = []

    def create(
        self,
        folder: str,
        direction: Direction,
        *,
        rate: int,
        first: int,
        wall_us: int,
        wide: bool = False,
    ) -> Paper:
        papers = self.wide if wide else self.papers
        paper = papers[direction] = Paper(self.created)
        self._all.append(paper)
        self.created += 1
        return paper

    def write_many(
        self,
        numbers: NDArray[np.int64],
        positions: NDArray[np.int64],
        samples: NDArray[np.int16],
    ) -> None:
        for number, position, row in zip(numbers, positions, samples, strict=True):
            self._all[number].write(int(position), row)
