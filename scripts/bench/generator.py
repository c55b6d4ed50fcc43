"""The load generator: a process of its own, on a core of its own, that keeps time.

Its schedule is absolute: group k of the streams is due at k milliseconds after the start, for
ever, however long a turn took. How late each turn was over is kept and reported, so that a
generator that cannot keep up is seen and not taken for a slow server. Between two turns it does
its signalling and listens to what comes back, one small piece at a time.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from .calls import Calls
from .crossing import Crossing
from .echo import Comparison, Ears, heard
from .load import (
    SETTLE,
    Begin,
    Churn,
    Churned,
    Finish,
    Heard,
    Load,
    Outcome,
    Prepared,
    Steady,
)
from .options import HOST
from .process import Channel
from .speaker import PATIENCE
from .speech import FRAME, load_voice
from .streams import GROUPS, SLOT, Streams

AFTER: Final = 0.3
"""Seconds the load goes on past the steady state, for whoever reads the counters."""

LISTENING: Final = 0.5
"""Seconds listened on after the streams fell silent, where something comes back."""

_LATEST: Final = 0.0002
"""Seconds: what is less than this away is not slept for."""

_POLL: Final = 50
"""Turns between two looks at whether a command has come."""

_NEVER: Final = float("inf")


@dataclass(slots=True)
class _Timing:
    """The steady state, once it is known when it is."""

    begin: float = _NEVER
    end: float = _NEVER
    late: list[float] = field(default_factory=list)
    cpu_begin: float = 0.0
    cpu: float = 0.0
    packets_begin: int = 0
    packets: int = 0


@dataclass(slots=True)
class _Churning:
    """A `Churn` in progress: its calls are `first` to before `last`."""

    first: int
    last: int
    retransmitted_before: int
    patience: float
    """When it is over at the latest."""
    late: list[float] = field(default_factory=list)


class Generator:
    """One run."""

    def __init__(self, load: Load, channel: Channel) -> None:
        self._load = load
        self._channel = channel
        self._timing = _Timing()
        self._voice = load_voice()
        self._streams = Streams(self._voice, load.streams, load.stream_first)
        self._crossing: Crossing | None = None
        if load.echo == "bridge":
            self._crossing = Crossing(self._streams, self._voice)
        self._ears: Ears | None = None
        if load.echo != "none":
            self._ears = Ears(self._streams, self._crossing.take if self._crossing else None)
        self._calls: Calls | None = None
        self._settled_at: float | None = None
        self._churning: _Churning | None = None
        self._finishing = _NEVER
        if load.sip_port:
            self._calls = Calls(load, self._streams, self._ears)

    def run(self) -> Outcome:
        """Send until all is over."""
        load = self._load
        if load.wait:
            self._channel.send(Prepared())
            assert isinstance(self._channel.recv(), Begin)
        gc.collect()
        gc.freeze()
        gc.disable()
        start = time.monotonic() + 0.05
        for stream, port in enumerate(load.targets):
            self._streams.begin(stream, (HOST, port))
            if self._ears is not None:
                self._ears.expect(stream, port)
        if self._calls is not None:
            self._calls.plan(start, load.setup_rate, range(load.standing))
        turn = 0
        while not self._finished(time.monotonic()):
            due = start + turn * SLOT
            self._spare(due)
            self._streams.send(turn % GROUPS)
            self._note(due, time.monotonic())
            if turn % _POLL == 0 and load.hold and self._channel.poll():
                self._obey(self._channel.recv())
            turn += 1
        return self._outcome(self._listen_on())

    def close(self) -> None:
        """Close every socket."""
        self._streams.close()
        if self._calls is not None:
            self._calls.close()

    def _spare(self, due: float) -> None:
        """Do other work until `due`; a single piece of each when it is already past."""
        while True:
            now = time.monotonic()
            worked = self._calls is not None and self._calls.work(now)
            if self._ears is not None:
                worked = self._ears.work(now) or worked
            left = due - time.monotonic()
            if left <= 0:
                return
            if not worked:
                if left > _LATEST:
                    time.sleep(left - _LATEST / 2)
                return

    def _obey(self, command: object) -> None:
        """Do what was asked for."""
        assert self._calls is not None
        now = time.monotonic()
        if isinstance(command, Finish):
            self._finish(now)
        elif isinstance(command, Churn):
            first = self._calls.invited
            last = first + command.calls
            self._calls.plan(now, command.rate, range(first, last), command.life)
            patience = now + command.calls / command.rate + command.life + PATIENCE + 5
            self._churning = _Churning(first, last, self._calls.retransmitted, patience)

    def _finish(self, now: float) -> None:
        """Plan the end of every call that stands."""
        self._finishing = now
        if self._calls is not None:
            self._calls.end(now)

    def _note(self, due: float, now: float) -> None:
        """Keep the time of a turn; see whether the steady state begins or ends."""
        timing = self._timing
        if self._churning is not None:
            self._watch(self._churning, now - due, now)
        if timing.begin <= now < timing.end:
            if not timing.late:
                timing.cpu_begin = time.process_time()
                timing.packets_begin = int(self._streams.packets.sum())
            timing.late.append(now - due)
            timing.cpu = time.process_time() - timing.cpu_begin
        elif timing.begin == _NEVER:
            if self._settled_at is None and self._all_settled(now):
                self._settled_at = now
            if self._settled_at is not None and now >= self._settled_at + SETTLE:
                timing.begin, timing.end = now, now + self._load.seconds
                self._channel.send(Steady(now))
        elif not timing.packets:
            timing.packets = int(self._streams.packets.sum()) - timing.packets_begin
        if self._finishing == _NEVER and now >= timing.end + AFTER and not self._load.hold:
            self._finish(now)

    def _watch(self, churning: _Churning, late: float, now: float) -> None:
        """Tell how a `Churn` went once all its calls are over."""
        assert self._calls is not None
        churning.late.append(late)
        if len(churning.late) % _POLL:
            return
        calls = self._calls.of(churning.first, churning.last)
        if now <= churning.patience and not all(call.over for call in calls):
            return
        self._churning = None
        self._channel.send(
            Churned(
                answer_seconds=self._calls.waits(churning.first, churning.last),
                failed=sum(call.failure is not None or not call.over for call in calls),
                retransmitted=self._calls.retransmitted - churning.retransmitted_before,
                late_p99=float(np.quantile(churning.late, 0.99)),
            )
        )

    def _all_settled(self, now: float) -> bool:
        return self._calls is None or self._calls.settled(now)

    def _finished(self, now: float) -> bool:
        return now >= self._finishing if self._calls is None else self._calls.over(now)

    def _listen_on(self) -> Heard | None:
        """Hear what is still under way, then compare."""
        ears, load, streams = self._ears, self._load, self._streams
        if ears is None:
            return None
        until = time.monotonic() + LISTENING
        while time.monotonic() < until:
            if not ears.work(time.monotonic()):
                time.sleep(0.005)
        ears.finish()
        steady = self._timing.begin, self._timing.end
        if self._crossing is not None:
            return self._crossing.heard(ears, steady)
        comparison = Comparison()
        for stream, line in ears.kept():
            if load.echo != "partner":
                packets = line.samples.size // FRAME + 1
                kind = stream if load.echo == "prompt" else 0
                comparison.prompt(stream, line, self._voice.prompt(kind, packets))
            else:
                said = self._voice.said(
                    streams.starts[stream ^ 1], int(streams.packets[stream ^ 1])
                )
                comparison.partner(stream, line, said, streams.sent_at(stream ^ 1), steady)
        return heard(ears, comparison)

    def _outcome(self, heard: Heard | None) -> Outcome:
        load, late = self._load, np.array(self._timing.late or [0.0])
        placed = self._calls
        calls = placed.of(0, placed.invited) if placed is not None else []
        return Outcome(
            packets=self._streams.packets.tolist(),
            starts=self._streams.starts,
            failures=placed.failures() if placed is not None else [],
            statuses=[call.status for call in calls],
            patient=sum(call.retry_after is not None for call in calls),
            answer_seconds=placed.waits(0, load.standing) if placed is not None else [],
            failed_sends=self._streams.failed_sends,
            late_p99=float(np.quantile(late, 0.99)),
            late_max=float(late.max()),
            busy=self._timing.cpu / self._load.seconds,
            seconds=self._load.seconds,
            sent_in_steady=self._timing.packets,
            began=self._streams.began(),
            answered_at=placed.answered_at() if placed is not None else [],
            heard=heard,
        )


def generate(load: Load, channel: Channel) -> None:
    """Body of the process: tell when the steady state begins, then how it went."""
    with contextlib.suppress(OSError):
        # Where we may: on time whatever else this machine does. Linux may share a core among
        # sessions before it looks at niceness, so ours is one of its own and as dear as we are.
        os.setsid()
        os.nice(-10)
        Path("/proc/self/autogroup").write_text("-10")
    generator = Generator(load, channel)
    try:
        channel.send(generator.run())
    finally:
        generator.close()
