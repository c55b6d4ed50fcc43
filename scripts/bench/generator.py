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
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from .caller import PATIENCE, Caller
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
    """A `Churn` in progress: its calls are streams `first` to before `last`."""

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
        self._ears = Ears(self._streams) if load.echo != "none" else None
        self._caller: Caller | None = None
        self._agenda: deque[tuple[float, bool, int]] = deque()
        """When, whether to invite (else to hang up), and which call; in order."""
        self._invited = 0
        self._settled_at: float | None = None
        self._churning: _Churning | None = None
        self._finishing = _NEVER
        if load.sip_port:
            self._caller = Caller(
                calls=load.streams,
                server_port=load.sip_port,
                own_port=load.caller_port,
                first_audio_port=load.stream_first,
                answered=self._answered,
                ended=self._streams.end,
            )

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
        if self._caller is not None:
            self._plan(start, load.setup_rate, range(load.standing), _NEVER)
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

    def _answered(self, stream: int, address: tuple[str, int]) -> None:
        """Let a stream begin, now that it is known where it goes."""
        self._streams.begin(stream, address)
        if self._ears is not None:
            self._ears.expect(stream, address[1])

    def close(self) -> None:
        """Close every socket."""
        self._streams.close()
        if self._caller is not None:
            self._caller.close()

    def _spare(self, due: float) -> None:
        """Do other work until `due`; a single piece of each when it is already past."""
        while True:
            now = time.monotonic()
            worked = self._caller is not None and self._signal(self._caller, now)
            if self._ears is not None:
                worked = self._ears.work(now) or worked
            left = due - time.monotonic()
            if left <= 0:
                return
            if not worked:
                if left > _LATEST:
                    time.sleep(left - _LATEST / 2)
                return

    def _signal(self, caller: Caller, now: float) -> bool:
        """Place or end the next call if it is time, else do what the caller has to do."""
        if not self._agenda or self._agenda[0][0] > now:
            return caller.work(now)
        _, invite, stream = self._agenda.popleft()
        if invite:
            caller.invite(stream, now)
            self._invited += 1
        else:
            self._streams.end(stream)
            caller.hang_up(stream, now)
        return True

    def _plan(self, at: float, rate: float, calls: range, life: float) -> None:
        """Have calls placed from `at` on, and hung up when they have lasted `life` seconds."""
        planned = [(at + number / rate, True, call) for number, call in enumerate(calls)]
        if life < _NEVER:
            planned += [(begin + life, False, call) for begin, _, call in planned]
        self._agenda.extend(sorted(planned))

    def _obey(self, command: object) -> None:
        """Do what was asked for."""
        assert self._caller is not None
        now = time.monotonic()
        if isinstance(command, Finish):
            self._finish(now)
        elif isinstance(command, Churn):
            first = self._invited
            calls = range(first, first + command.calls)
            self._plan(now, command.rate, calls, command.life)
            patience = now + command.calls / command.rate + command.life + PATIENCE + 5
            self._churning = _Churning(first, calls.stop, self._caller.retransmitted, patience)

    def _finish(self, now: float) -> None:
        """Plan the end of every call that stands."""
        rate = self._load.setup_rate
        self._finishing = now
        self._agenda.extend((now + call / rate, False, call) for call in range(self._load.standing))

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
            if self._settled_at is None and self._all_settled():
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
        assert self._caller is not None
        churning.late.append(late)
        calls = self._caller.calls[churning.first : churning.last]
        if len(churning.late) % _POLL or not (
            now > churning.patience or all(call.over for call in calls)
        ):
            return
        answered = [call.answer_seconds for call in calls if call.answer_seconds is not None]
        self._churning = None
        self._channel.send(
            Churned(
                answer_seconds=answered,
                failed=sum(call.failure is not None or not call.over for call in calls),
                retransmitted=self._caller.retransmitted - churning.retransmitted_before,
                late_p99=float(np.quantile(churning.late, 0.99)),
            )
        )

    def _all_settled(self) -> bool:
        standing = self._load.standing
        return self._caller is None or self._invited == self._caller.settled == standing

    def _finished(self, now: float) -> bool:
        if self._caller is None:
            return now >= self._finishing
        if now < self._finishing or self._agenda:
            return False
        latest = self._load.standing / self._load.setup_rate + PATIENCE + 5
        return self._caller.over == self._invited or now > self._finishing + latest

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
        comparison = Comparison()
        steady = self._timing.begin, self._timing.end
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
        late = np.array(self._timing.late or [0.0])
        calls = self._caller.calls[: self._invited] if self._caller is not None else []
        standing = calls[: self._load.standing]
        return Outcome(
            packets=self._streams.packets.tolist(),
            starts=self._streams.starts,
            failures=[call.failure for call in calls],
            statuses=[call.status for call in calls],
            patient=sum(call.retry_after is not None for call in calls),
            answer_seconds=[c.answer_seconds for c in standing if c.answer_seconds is not None],
            failed_sends=self._streams.failed_sends,
            late_p99=float(np.quantile(late, 0.99)),
            late_max=float(late.max()),
            busy=self._timing.cpu / self._load.seconds,
            seconds=self._load.seconds,
            sent_in_steady=self._timing.packets,
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
