"""Conferences in the media engine: a lane of its tick in which the mixes are made and sent.

Members are drained at every tick. Then a frame of all mixes is made (`rtp.mixer`), encoded in each
member's law and sent; its packets go on the member's stream where a prompt, a relayed packet or a
digit left it. A tick that comes late makes what it owes, as senders do (`rtp.sender`).

A member that plays something of its own, or sends digits, hears that instead. Whoever holds the
call neither hears nor is heard: the music of a held line stays out of the conference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from ..audio.g711 import ALAW_ENCODE, ULAW_ENCODE
from ..calls.ports import JournalFile, Journals, MediaLeg
from ..rtp.mixer import FRAME, NOBODY, Mixer
from ..rtp.packet import HEADER
from ..rtp.sender import CATCH_UP
from .leg import RtpLeg
from .mix_line import MixLine
from .mix_tapes import FRAMES, MixTapes
from .mix_voice import MixVoice
from .transmit import Outgoing

if TYPE_CHECKING:
    from .media import MediaEngine

PERIOD: Final = 0.02
"""Seconds of a frame."""

SLACK: Final = 0.005
"""Seconds that a frame may be made early: ticks come a little off their time."""

log = structlog.get_logger(__name__)


class RtpMix:
    """See `calls.ports.Mix`, whose methods these are."""

    def __init__(self, mixes: Mixes, number: int) -> None:
        self.number = number
        self.on_hold: Callable[[MediaLeg, bool], None] | None = None
        self.whole: MixLine | None = None
        """The line of all that is heard in it, if somebody asked for it."""
        self.voices: list[MixVoice] = []
        """Those in it who have no leg."""
        self._mixes = mixes
        self._closed = False

    def add(self, leg: MediaLeg, *, muted: bool = False) -> None:
        """See `calls.ports.Mix.add`."""
        assert not self._closed, "a mix that was closed takes no members"
        self._mixes.add(self, _own(leg), muted=muted)

    def remove(self, leg: MediaLeg) -> None:
        """Take a leg out; nothing if it is no member. Closing a leg does that too."""
        if self._mixes.is_member(self, leg):
            self._mixes.remove(_own(leg))

    def coach(self, leg: MediaLeg, other: MediaLeg | None) -> None:
        """Let a member be heard by one other member alone; None: by all."""
        if self._mixes.is_member(self, leg):
            there = other is not None and self._mixes.is_member(self, other)
            only = _own(other).slot if other and there else NOBODY
            self._mixes.mixer.coach(_own(leg).slot, None if other is None else only)

    def play(self, samples: NDArray[np.int16]) -> None:
        """Let all members hear samples from now on, beside what is said and played already."""
        if not self._closed:
            self._mixes.mixer.play(self.number, samples)

    def line(self) -> MixLine:
        """Return the line of all that is said and played in the mix, to be recorded."""
        if self.whole is None:
            self.whole = self._mixes.new_line()
        return self.whole

    def voice(self, ptime: int) -> MixVoice:
        """See `calls.ports.Mix.voice`; in a mix that is closed nothing is heard."""
        voice = MixVoice(self._mixes.rate, ptime)
        self.voices.append(voice)
        if self._closed:
            voice.end()
        return voice

    def close(self) -> None:
        """Remove every member; the line ends."""
        for voice in self.voices:
            voice.end()
        if not self._closed:
            self._mixes.close(self)
            self._closed = True


class Mixes:
    """The mixes of one engine."""

    def __init__(
        self,
        engine: MediaEngine,
        transmit: Callable[[Outgoing], None],
        journals: Journals | None,
        capacity: int,
    ) -> None:
        self.mixer = Mixer(capacity, engine.lines)
        self._engine = engine
        self._transmit = transmit
        self._tapes = MixTapes(capacity, journals)
        self._mixes: dict[int, RtpMix] = {}
        self._legs: dict[int, RtpLeg] = {}
        self._epoch = engine.clock.monotonic()
        self._number = 0
        """Of the next frame; frame n is heard from `_epoch` + n * PERIOD on."""
        self._flows: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Whether a leg was sent the frame before."""
        self._since: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Samples from the beginning of a leg's stream to its next frame."""
        self._position: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Where its next frame lies on its clock."""
        self._attends: NDArray[np.bool_] = np.zeros(capacity, np.bool_)

    def open(self) -> RtpMix:
        """Return a new mix without members."""
        mix = RtpMix(self, self.mixer.open())
        self._mixes[mix.number] = mix
        return mix

    def close(self, mix: RtpMix) -> None:
        """Remove the members of a mix, and forget it."""
        for slot, leg in list(self._legs.items()):
            if self.mixer.mix_of(slot) == mix.number:
                self.remove(leg)
        self.mixer.close(mix.number)
        del self._mixes[mix.number]

    def is_member(self, mix: RtpMix, leg: MediaLeg) -> bool:
        """Tell whether a leg is a member of a mix."""
        slot = _own(leg).slot
        return self._legs.get(slot) is leg and self.mixer.mix_of(slot) == mix.number

    def add(self, mix: RtpMix, leg: RtpLeg, *, muted: bool) -> None:
        """Make a leg a member; one that was closed is none."""
        slot = leg.slot
        if not self._engine.is_open(leg):
            return
        self.remove(leg)
        self._engine.part(leg)
        if not self._legs:
            self._number = self._owed(self._engine.clock.monotonic())
        self._legs[slot] = leg
        self._flows[slot] = False
        self._attends[slot] = self._engine.audible[slot]
        self.follow(leg)
        self._engine.drain([leg])  # what was said before is not for the others
        self.mixer.add(mix.number, slot, muted=muted)
        self._engine.hurry(leg)

    def remove(self, leg: RtpLeg) -> None:
        """Take a leg out of whatever mix it is in."""
        if self._legs.get(leg.slot) is leg:
            del self._legs[leg.slot]
            self._tapes.keep_up(leg.slot)
            self.mixer.remove(leg.slot)
            self._engine.relax(leg)

    def forget(self, leg: RtpLeg) -> None:
        """Let go of a leg that is being closed."""
        self.remove(leg)
        self._tapes.forget(leg.slot)

    def follow(self, leg: RtpLeg) -> None:
        """Speak the law that a leg has agreed on."""
        session = leg.session
        if session is not None:
            self._tapes.set_law(leg.slot, alaw=session.send_codec.name == "PCMA")

    def keep(self, leg: RtpLeg, sent: JournalFile, first: int) -> None:
        """Write what a leg is sent by a mix, from position `first` of its clock on."""
        self._tapes.keep(leg.slot, sent, first)

    def keep_up(self, leg: RtpLeg) -> None:
        """Write all that a leg was sent by now."""
        self._tapes.keep_up(leg.slot)

    def keep_no_more(self, leg: RtpLeg) -> None:
        """Write nothing more of a leg."""
        self._tapes.keep_no_more(leg.slot)

    @property
    def rate(self) -> int:
        """Hz."""
        return self._engine.lines.rate

    def new_line(self) -> MixLine:
        """Return a line that begins with the next frame."""
        return MixLine(self._number, self._engine.lines.rate)

    def turn(self, now: float) -> None:
        """Make and send the frames that are due; the members were drained at this tick."""
        if not self._legs:
            return
        owed = self._owed(now) - self._number
        if owed > CATCH_UP:  # what is later than that is skipped in time, not squeezed
            self._number += owed - CATCH_UP
            self._flows[:] = False
            owed = CATCH_UP
        if owed > 1:
            self._engine.drain(list(self._legs.values()))
        for _ in range(owed):
            self._make(now)
            self._number += 1

    def _owed(self, now: float) -> int:
        """Return the number of the first frame that is not due yet."""
        return int((now + SLACK - self._epoch) / PERIOD) + 1

    def _make(self, now: float) -> None:
        """Make the next frame, and send it."""
        members = self.mixer.members
        attends = self._engine.audible[members]
        self._let_speak()
        frame = self.mixer.next(attends)
        for mix, whole in zip(frame.mix.tolist(), frame.whole, strict=True):
            line = self._mixes[mix].whole
            if line is not None:
                line.hear(self._number, whole)
            for voice in self._mixes[mix].voices:
                voice.hear(whole)
        due = self._epoch + self._number * PERIOD
        free = attends & self._engine.senders.free(members, due)
        free &= ~np.isin(members, self._engine.dialing) if self._engine.dialing else True
        self._send(members[free], frame.heard[free], due, now)
        self._flows[members] = free
        self._since[members] += FRAME
        self._position[members] += FRAME
        changed = attends != self._attends[members]
        if changed.any():
            self._attends[members] = attends
            for slot in members[changed].tolist():
                self._tell(slot)

    def _let_speak(self) -> None:
        """Add what those without a leg say; where nobody listens, it waits."""
        for mix in self._mixes.values():
            if mix.voices and any(self.mixer.mix_of(slot) == mix.number for slot in self._legs):
                for voice in mix.voices:
                    if (said := voice.speak()).size:
                        self.mixer.play(mix.number, said)

    def _send(
        self, slot: NDArray[np.int64], heard: NDArray[np.int16], due: float, now: float
    ) -> None:
        if not slot.size:
            return
        first = ~self._flows[slot]
        if first.any():
            begins = slot[first]
            self._since[begins] = self._engine.senders.since(begins, due)
            at = np.full(begins.size, due)
            self._position[begins] = self._engine.lines.positions(begins, at)
        samples = heard.view(np.uint16)
        codes = ULAW_ENCODE.take(samples)
        alaw = self._tapes.alaw[slot]
        if alaw.any():
            codes[alaw] = ALAW_ENCODE.take(samples[alaw])
        header = self._engine.senders.headers(slot, self._since[slot], FRAME, first, due, now)
        body = self._tapes.put(slot, self._position[slot], self._number % FRAMES, codes)
        head = header.ctypes.data + np.arange(slot.size) * HEADER
        size = np.full(slot.size, HEADER)
        self._transmit(
            Outgoing(slot, head.astype(np.uint64), size, body, np.full(slot.size, FRAME))
        )
        self._engine.taps.mixed(slot, self._position[slot], heard)

    def _tell(self, slot: int) -> None:
        """Say that a member's party holds the call, or is back."""
        mix = self._mixes[self.mixer.mix_of(slot)]
        try:
            if mix.on_hold is not None:
                mix.on_hold(self._legs[slot], not self._attends[slot])
        except Exception:
            log.exception("hold of a member not told")


def _own(leg: MediaLeg) -> RtpLeg:
    assert isinstance(leg, RtpLeg), "a leg of this engine"
    return leg
