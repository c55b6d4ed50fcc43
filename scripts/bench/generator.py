"""The load generator: a process of its own, on a core of its own, that keeps time.

Its schedule is absolute: group k of the streams is due at k milliseconds after the start, for
ever, however long a turn took. How late each turn was over is kept and reported, so that a
generator that cannot keep up is seen and not taken for a slow server. Between two turns it does
its signalling, one small piece at a time.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from .caller import PATIENCE, Caller
from .options import HOST
from .process import Channel
from .speech import load_voice
from .streams import GROUPS, SLOT, Streams

SETTLE: Final = 1.0
"""Seconds between the last call's set-up and the steady state."""

_AFTER: Final = 0.3
"""Seconds the load goes on past the steady state, for whoever reads the counters."""

_LATEST: Final = 0.0002
"""Seconds: what is less than this away is not slept for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked of the generator."""

    streams: int
    stream_first: int
    seconds: float
    """Length of the steady state."""
    rtp_first: int = 0
    """Yardsticks: port of the first stream's drain, the others' are every second after it."""
    sip_port: int = 0
    """The server's SIP port; 0 for yardsticks, which take media alone."""
    caller_port: int = 0
    setup_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Steady:
    """Told when the steady state begins: it began at `at`, monotonic seconds."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Told at the end. Lists have one entry a stream."""

    packets: list[int]
    starts: list[int]
    """Where in the voice each stream began."""
    failures: list[str | None]
    answer_seconds: list[float]
    """Of those calls that were answered."""
    failed_sends: int
    late_p99: float
    """Seconds by which a turn was over late, in the steady state."""
    late_max: float
    busy: float
    """Share of its core that the generator used in the steady state."""


@dataclass(slots=True)
class _Timing:
    """The steady state, once it is known when it is."""

    begin: float = float("inf")
    end: float = float("inf")
    late: list[float] = field(default_factory=list)
    cpu_begin: float = 0.0
    cpu: float = 0.0


class Generator:
    """One run."""

    def __init__(self, load: Load, channel: Channel) -> None:
        self._load = load
        self._channel = channel
        self._timing = _Timing()
        self._streams = Streams(load_voice(), load.streams, load.stream_first)
        self._caller: Caller | None = None
        self._invited = 0
        self._settled_at: float | None = None
        self._hung_up = 0
        self._began = 0.0
        if load.sip_port:
            self._caller = Caller(
                calls=load.streams,
                server_port=load.sip_port,
                own_port=load.caller_port,
                first_audio_port=load.stream_first,
                answered=self._streams.begin,
                ended=self._streams.end,
            )
        else:
            for stream in range(load.streams):
                self._streams.begin(stream, (HOST, load.rtp_first + 2 * stream))

    def run(self) -> Outcome:
        """Send until all is over."""
        gc.collect()
        gc.freeze()
        gc.disable()
        start = self._began = time.monotonic() + 0.05
        turn = 0
        while not self._finished(time.monotonic()):
            due = start + turn * SLOT
            self._spare(due)
            self._streams.send(turn % GROUPS)
            self._note(due, time.monotonic())
            turn += 1
        return self._outcome()

    def close(self) -> None:
        """Close every socket."""
        self._streams.close()
        if self._caller is not None:
            self._caller.close()

    def _spare(self, due: float) -> None:
        """Do signalling until `due`; a single piece when it is already past."""
        while True:
            now = time.monotonic()
            worked = self._caller is not None and self._signal(self._caller, now)
            left = due - time.monotonic()
            if left <= 0:
                return
            if not worked:
                if left > _LATEST:
                    time.sleep(left - _LATEST / 2)
                return

    def _signal(self, caller: Caller, now: float) -> bool:
        """Place or end the next call if it is time, else do what the caller has to do."""
        rate = self._load.setup_rate
        if self._invited < self._load.streams and now >= self._began + self._invited / rate:
            caller.invite(self._invited, now)
            self._invited += 1
            return True
        over = now - (self._timing.end + _AFTER)
        if self._hung_up < self._load.streams and over >= self._hung_up / rate:
            self._streams.end(self._hung_up)
            caller.hang_up(self._hung_up, now)
            self._hung_up += 1
            return True
        return caller.work(now)

    def _note(self, due: float, now: float) -> None:
        """Keep the time of a turn; see whether the steady state begins or ends."""
        timing = self._timing
        if timing.begin <= now < timing.end:
            if not timing.late:
                timing.cpu_begin = time.process_time()
            timing.late.append(now - due)
            timing.cpu = time.process_time() - timing.cpu_begin
        elif timing.begin == float("inf"):
            if self._settled_at is None and self._all_settled():
                self._settled_at = now
            if self._settled_at is not None and now >= self._settled_at + SETTLE:
                timing.begin, timing.end = now, now + self._load.seconds
                self._channel.send(Steady(now))

    def _all_settled(self) -> bool:
        if self._caller is None:
            return True
        return self._invited == self._load.streams and self._caller.settled == self._load.streams

    def _finished(self, now: float) -> bool:
        after = now - (self._timing.end + _AFTER)
        if self._caller is None:
            return after >= 0
        if self._hung_up < self._load.streams:
            return False
        latest = self._load.streams / self._load.setup_rate + PATIENCE + 5
        return self._caller.over == self._load.streams or after > latest

    def _outcome(self) -> Outcome:
        late = np.array(self._timing.late or [0.0])
        calls = self._caller.calls if self._caller is not None else []
        return Outcome(
            packets=self._streams.packets.tolist(),
            starts=self._streams.starts,
            failures=[call.failure for call in calls],
            answer_seconds=[c.answer_seconds for c in calls if c.answer_seconds is not None],
            failed_sends=self._streams.failed_sends,
            late_p99=float(np.quantile(late, 0.99)),
            late_max=float(late.max()),
            busy=self._timing.cpu / self._load.seconds,
        )


def generate(load: Load, channel: Channel) -> None:
    """Body of the process: tell when the steady state begins, then how it went."""
    with contextlib.suppress(OSError):
        os.nice(-10)  # where we may: on time whatever else this machine does
    generator = Generator(load, channel)
    try:
        channel.send(generator.run())
    finally:
        generator.close()
