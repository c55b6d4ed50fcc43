"""Where a call hears and speaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...recording.resource import Direction
from ...sdp.negotiation import AudioSession
from .storage import JournalFile, OpenWide


@dataclass(frozen=True, slots=True)
class FarEnd:
    """What the far end's last RTCP report said of the stream it hears from us."""

    fraction_lost: float
    """Since its report before."""
    packets_lost: int
    """In all."""
    jitter: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class LegStatistics:
    """What became of the packets of a leg."""

    packets_received: int
    packets_lost: int
    packets_late: int
    packets_refused: int
    """From addresses that may not speak here, not sealed with the keys of the leg, or no packets of
    the codec they say they are."""
    packets_sent: int
    jitter: float
    """Seconds."""
    round_trip: float | None
    """Seconds, as RTCP tells; None if the far end sends no reports."""
    far_end: FarEnd | None = None
    """What it reports; None as above."""
    skew_ppm: float | None = None
    """By how much the far end's clock is faster than ours; None: not known yet."""
    encryption: str | None = None
    """The suite its packets are sealed by, as RFC 4568 names it; None: it is plain RTP."""


class LiveFrame(NamedTuple):
    """A stretch of live audio."""

    number: int
    """Counts from 0; where numbers are left out, frames were dropped."""
    samples: NDArray[np.int16]
    """Shape (tracks, samples)."""


class LiveAudio(Protocol):
    """What is said and heard on a leg, as it comes: frames that follow one another without a gap.

    A little late, always by about the same time; silence where nothing came. Whoever takes them
    too slowly misses the oldest.
    """

    rate: int
    """Hz."""
    frame: int
    """Samples in a frame."""
    dropped: int
    """Frames that nobody took in time."""

    def take(self) -> Awaitable[LiveFrame | None]:
        """Return the next frame; None when the leg is closed, or this, and nothing is left."""

    def close(self) -> None:
        """Want no more."""


class LegListener(Protocol):
    """Whoever wants to hear what happens on a media leg; called from the media tick."""

    def on_key(self, digit: str, position: int) -> None:
        """A DTMF key went down; `position` is the sample its tone began at."""

    def on_advance(self) -> None:
        """The leg's line went on to where the listener wanted to be told, or further."""


class Line(Protocol):
    """Audio as it comes, on a line of samples (see `rtp.timeline`), that can be recorded."""

    id: str
    rate: int
    listener: LegListener | None
    wake: int
    """Position of `decided` at which the listener is told that the line went on."""

    def now(self) -> int:
        """Return the line's present position: where what arrives now is placed."""

    def sent_at(self, position: int) -> int:
        """Return where in the journal of what is sent that lies which went out at `position`."""

    def end(self) -> int:
        """Take in what still waits in the socket; return where the line ends if it ends now."""

    def marks(self) -> tuple[int, int, int]:
        """Return `placed`, `final`, `decided`."""

    def read(self, start: int, end: int) -> NDArray[np.int16]:
        """Return what was heard from `start` to `end`."""

    def keep(
        self, heard: JournalFile, sent: JournalFile, since: int, wide: OpenWide | None = None
    ) -> None:
        """Write what is heard, from `since` on, and what is sent to these journals as it comes.

        What of either has a higher rate than the line's goes to those of `wide`, too.
        """

    def keep_up(self) -> None:
        """Give the journals all that was heard and sent by now."""

    def keep_no_more(self) -> None:
        """Write nothing more to the journals."""

    def statistics(self) -> LegStatistics:
        """Return the counts so far."""


class MediaLeg(Line, Protocol):
    """One RTP endpoint and its line. Positions are samples on that line."""

    @property
    def heard_at(self) -> float | None:
        """Monotonic seconds at which RTP or RTCP last came from the far end; None: nothing has."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to name in SDP."""

    @property
    def session(self) -> AudioSession | None:
        """What was negotiated last."""

    def connect(self, session: AudioSession, signalling_host: str) -> None:
        """Begin, or go on, with what was negotiated; packets are taken from its addresses."""

    def loading(self) -> Awaitable[None] | None:
        """Return what to wait for until what was negotiated can be spoken; None: it can be now."""

    def play(self, samples: NDArray[np.int16]) -> Awaitable[int]:
        """Send samples at the leg's rate; return how many of them were sent.

        Fewer than there are if `stop_playing` or another `play` comes, or the leg is closed.
        """

    def stop_playing(self) -> None:
        """Send no more of what is playing."""

    def tap(self, direction: Direction, ptime: int, *, apart: bool = False) -> LiveAudio:
        """Return what is said and heard from now on, in frames of `ptime` milliseconds.

        One track; BOTH sides are mixed, or, `apart`, two tracks: what is said, what is heard.
        """

    def send_digits(self, digits: str) -> Awaitable[None]:
        """Send DTMF; done when the last digit is over."""

    def close(self) -> None:
        """Give the ports back."""


class Player(Protocol):
    """Where somebody can be heard."""

    @property
    def rate(self) -> int:
        """Hz of the samples."""

    @property
    def session(self) -> AudioSession | None:
        """What was negotiated last; None also where nothing ever is."""

    def play(self, samples: NDArray[np.int16]) -> Awaitable[int]:
        """See `MediaLeg.play`."""

    def stop_playing(self) -> None:
        """See `MediaLeg.stop_playing`."""


class MixVoice(LiveAudio, Player, Protocol):
    """Somebody in a mix who has no leg. What is taken is what all others say, and is played."""


class Mix(Protocol):
    """Legs whose parties all hear each other: each the sum of what the others say."""

    on_hold: Callable[[MediaLeg, bool], None] | None
    """Is told, from the media tick, that a member's party holds the call, or is back."""

    def add(self, leg: MediaLeg, *, muted: bool = False) -> None:
        """Let a leg's party hear and, unless `muted`, be heard from now on.

        A leg that is joined to another parts first.
        """

    def remove(self, leg: MediaLeg) -> None:
        """Take a leg out; nothing if it is no member. Closing a leg does that too."""

    def coach(self, leg: MediaLeg, other: MediaLeg | None) -> None:
        """Let a member be heard by one other member alone; None: by all."""

    def play(self, samples: NDArray[np.int16]) -> None:
        """Let all members hear samples from now on, beside what is said and played already."""

    def line(self) -> Line:
        """Return the line of all that is said and played in the mix, to be recorded."""

    def voice(self, ptime: int) -> MixVoice:
        """Return one more who hears and is heard, in frames of `ptime` milliseconds."""

    def close(self) -> None:
        """Remove every member; the line ends."""


class MediaEngine(Protocol):
    """Where media legs come from."""

    def open_leg(self) -> MediaLeg:
        """Return a new leg with ports of its own; LocalError when there are none left."""

    def join(self, one: MediaLeg, other: MediaLeg) -> None:
        """Let the party of each of two legs of this engine hear the other's, until they part.

        At any time: what is not negotiated yet is passed on once it is, and a re-negotiation
        changes nothing about it. A leg that was joined to another parts from that first.
        """

    def part(self, leg: MediaLeg) -> None:
        """Join a leg to none any more; closing a leg does that too."""

    def open_mix(self) -> Mix:
        """Return a new mix of legs of this engine, without members."""
