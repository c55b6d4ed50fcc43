"""The calls of a run: when each is placed, falls silent and is hung up, and what became of it.

A call is known by the stream of its caller. Where calls are connected on, streams come in pairs:
an even one calls, the next is whom the server calls for it. Both fall silent a moment before the
caller hangs up, so that all that was said has crossed by then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from .callee import Callee
from .caller import Call, Caller
from .echo import Ears
from .load import Load
from .speaker import PATIENCE
from .streams import Streams

LINGER: Final = 0.3
"""Seconds between the silence and the BYE of calls that are connected on."""

_NEVER: Final = float("inf")


class _Step(IntEnum):
    INVITE = 0
    SILENCE = 1
    BYE = 2


class Calls:
    """Callers, and callees if the load has some."""

    def __init__(self, load: Load, streams: Streams, ears: Ears | None) -> None:
        self._load = load
        self._streams = streams
        self._ears = ears
        self.step = 2 if load.callee_port else 1
        """Streams a call has."""
        self.invited = 0
        """Calls placed so far."""
        self._agenda: deque[tuple[float, _Step, int]] = deque()
        """When, what, and which stream; in order."""
        self._ending = _NEVER
        self._callers_settled_at = _NEVER
        self._caller = Caller(
            calls=load.streams,
            server_port=load.sip_port,
            own_port=load.caller_port,
            first_audio_port=load.stream_first,
            answered=self._speak,
            ended=streams.end,
        )
        self._callee: Callee | None = None
        if load.callee_port:
            self._callee = Callee(
                streams=load.streams,
                server_port=load.sip_port,
                own_port=load.callee_port,
                first_audio_port=load.stream_first,
                rtcp_port=self._caller.rtcp_port,
                rung=self._expect,
                joined=streams.begin,
                ended=streams.end,
            )

    @property
    def retransmitted(self) -> int:
        """INVITEs that were sent again."""
        return self._caller.retransmitted

    def plan(self, at: float, rate: float, calls: range, life: float = _NEVER) -> None:
        """Have calls placed from `at` on, and hung up when they have lasted `life` seconds."""
        begins = [(at + number / rate, call * self.step) for number, call in enumerate(calls)]
        planned = [(begin, _Step.INVITE, stream) for begin, stream in begins]
        if life < _NEVER:
            planned += self._ends((begin + life, stream) for begin, stream in begins)
        self._agenda.extend(sorted(planned))

    def end(self, now: float) -> None:
        """Have every call that was placed at the start ended from now on."""
        rate, step = self._load.setup_rate, self.step
        self._ending = now
        ends = ((now + call / rate, step * call) for call in range(self._load.standing))
        self._agenda.extend(sorted(self._ends(ends)))

    def work(self, now: float) -> bool:
        """Do one thing, if there is one to do."""
        if self._agenda and self._agenda[0][0] <= now:
            _, what, stream = self._agenda.popleft()
            self._do(what, stream, now)
            return True
        return self._caller.work(now) or (self._callee is not None and self._callee.work(now))

    def settled(self, now: float) -> bool:
        """Tell whether every call stands, or never will."""
        standing = self._load.standing
        if not self.invited == self._caller.settled == standing:
            return False
        self._callers_settled_at = min(now, self._callers_settled_at)
        if self._callee is None or now > self._callers_settled_at + PATIENCE:
            return True
        return self._callee.joined == standing

    def over(self, now: float) -> bool:
        """Tell whether all is over, or would be if the server did its part."""
        if now < self._ending or self._agenda:
            return False
        callee = self._callee
        called = callee.over == len(callee.parties) if callee is not None else True
        latest = self._load.standing / self._load.setup_rate + PATIENCE + 5
        return (self._caller.over == self.invited and called) or now > self._ending + latest

    def of(self, first: int, last: int) -> list[Call]:
        """Return the calls `first` to before `last`, in the order they were placed in."""
        return self._caller.calls[first * self.step : last * self.step : self.step]

    def failures(self) -> list[str | None]:
        """Return why each call that was placed was not what it should be."""
        return [call.failure or self._unconnected(call) for call in self.of(0, self.invited)]

    def waits(self, first: int, last: int) -> list[float]:
        """Return seconds from each call's INVITE until it was answered, or connected on."""
        if self._callee is None:
            found = [call.answer_seconds for call in self.of(first, last)]
            return [seconds for seconds in found if seconds is not None]
        waits = []
        for call in self.of(first, last):
            party = self._callee.parties.get(call.dialog.stream ^ 1)
            if party is not None and party.joined_at is not None:
                waits.append(party.joined_at - call.invited_at)
        return waits

    def answered_at(self) -> list[float]:
        """Return when the callee of each stream's call answered, monotonic seconds."""
        parties = self._callee.parties if self._callee is not None else {}
        times = {stream: party.answered_at for stream, party in parties.items()}
        return [times.get(stream | 1, 0.0) for stream in range(self._load.streams)]

    def close(self) -> None:
        """Close every socket."""
        self._caller.close()
        if self._callee is not None:
            self._callee.close()

    def _speak(self, stream: int, target: tuple[str, int]) -> None:
        """Let a stream begin, now that it is known where it goes."""
        self._expect(stream, target)
        self._streams.begin(stream, target)

    def _expect(self, stream: int, target: tuple[str, int]) -> None:
        if self._ears is not None:
            self._ears.expect(stream, target[1])

    def _do(self, what: _Step, stream: int, now: float) -> None:
        if what is _Step.INVITE:
            self._caller.invite(stream, now)
            self.invited += 1
            return
        for one in range(stream, stream + self.step):
            self._streams.end(one)
        if what is _Step.BYE:
            self._caller.hang_up(stream, now)

    def _ends(self, ends: Iterable[tuple[float, int]]) -> list[tuple[float, _Step, int]]:
        if self._callee is None:
            return [(at, _Step.BYE, stream) for at, stream in ends]
        return [
            step
            for at, stream in ends
            for step in ((at, _Step.SILENCE, stream), (at + LINGER, _Step.BYE, stream))
        ]

    def _unconnected(self, call: Call) -> str | None:
        """Return what was wrong with whom a call was connected on to."""
        if self._callee is None:
            return None
        party = self._callee.parties.get(call.dialog.stream ^ 1)
        if party is None:
            return "nobody was called for it"
        if party.joined_at is None:
            return party.failure or "who was called for it got no ACK"
        return party.failure or (None if party.over else "who was called for it got no BYE")
