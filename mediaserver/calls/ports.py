"""What a call needs of the world outside, as the shapes that `net`, `store` and `web` fill.

A call never imports a socket, a database or an HTTP client: it is handed these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..addresses import Network
from ..audio.live_codec import LiveCodec
from ..recording.announcement import Announcement
from ..recording.rendering import Rendered, RenderJob
from ..recording.resource import Direction, Recording
from ..sdp.negotiation import AudioSession
from ..sip.digest import Credentials
from ..sip.hop import Hop
from ..sip.session import Session
from ..sip.uri import SipUri
from ..swml.actions import Speaker
from .resource import CallRecord


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
    """From addresses that may not speak here."""
    packets_sent: int
    jitter: float
    """Seconds."""
    round_trip: float | None
    """Seconds, as RTCP tells; None if the far end sends no reports."""
    far_end: FarEnd | None = None
    """What it reports; None as above."""
    skew_ppm: float | None = None
    """By how much the far end's clock is faster than ours; None: not known yet."""


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

    def keep(self, heard: JournalFile, sent: JournalFile, since: int) -> None:
        """Write what is heard, from `since` on, and what is sent to these journals as it comes."""

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


class Mix(Protocol):
    """Legs whose parties all hear each other: each the sum of what the others say."""

    on_hold: Callable[[MediaLeg, bool], None] | None
    """Is told, from the media tick, that a member's party holds the call, or is back."""

    def add(self, leg: MediaLeg, *, muted: bool = False) -> None:
        """Let a leg's party hear and be heard from now on; a leg joined to another parts first."""

    def remove(self, leg: MediaLeg) -> None:
        """Take a leg out; nothing if it is no member. Closing a leg does that too."""

    def mute(self, leg: MediaLeg, *, muted: bool) -> None:
        """Let a member be heard by nobody, or again; it hears as before."""

    def coach(self, leg: MediaLeg, other: MediaLeg | None) -> None:
        """Let a member be heard by one other member alone; None: by all."""

    def play(self, samples: NDArray[np.int16]) -> None:
        """Let all members hear samples from now on, beside what is said and played already."""

    def line(self) -> Line:
        """Return the line of all that is said and played in the mix, to be recorded."""

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


class JournalFile(Protocol):
    """One direction of a leg's journal, being written."""

    @property
    def number(self) -> int:
        """Names it in `Journals.write_many` until it is closed."""

    def write(self, position: int, samples: NDArray[np.int16]) -> None:
        """Queue samples for `position`; never waits for the disk."""

    def note(self, spans: bytes) -> None:
        """Queue what is known of the leg's line (`rtp.spans`), to be appended to its notes."""

    def close(self) -> Awaitable[None]:
        """Close when all that was queued is in the file; LocalError if something could not be."""

    def flushed(self) -> Awaitable[None]:
        """Wait until all that was queued so far is in the file; LocalError if it could not be."""


class Journals(Protocol):
    """Where journals are kept."""

    def create(
        self, folder: str, direction: Direction, *, rate: int, first: int, wall_us: int
    ) -> JournalFile:
        """Create the journal of one direction of a leg; `folder` is relative to the data folder."""

    def write_many(
        self,
        numbers: NDArray[np.int64],
        positions: NDArray[np.int64],
        samples: NDArray[np.int16],
    ) -> None:
        """Queue samples, shape (n, width): row i for `positions[i]` of journal `numbers[i]`.

        The samples are given away. Never waits; a fault shows at `JournalFile.flushed`.
        """


class Renderer(Protocol):
    """Makes files of journals, in another process."""

    def start(self) -> None:
        """Get ready: a recording has begun. Never waits."""

    def render(self, job: RenderJob) -> Awaitable[Rendered]:
        """Return the finished file; LocalError when it cannot be made."""


class SpeechEngine(Protocol):
    """Reads texts out."""

    def speak(self, text: str, speaker: Speaker, rate: int) -> Awaitable[NDArray[np.int16]]:
        """Return a text as samples at `rate`; PeerError, LocalError with a sentence if it cannot.

        The samples are shared by all who want the same, and not to be changed.
        """


class RecordingStore(Protocol):
    """Keeps recordings, and in the same transaction what is to be said about them."""

    def add(
        self, recording: Recording, announcements: Sequence[Announcement] = ()
    ) -> Awaitable[None]:
        """Keep a new recording."""

    def save(
        self, recording: Recording, announcements: Sequence[Announcement] = ()
    ) -> Awaitable[None]:
        """Keep a recording's new state."""


class Outbox(Protocol):
    """Keeps announcements that belong to no recording."""

    def add(self, announcements: Sequence[Announcement]) -> Awaitable[None]:
        """Keep announcements for delivery."""


class CallStore(Protocol):
    """Keeps calls."""

    def add(self, call: CallRecord) -> Awaitable[None]:
        """Keep a new call."""

    def save(self, call: CallRecord) -> Awaitable[None]:
        """Keep when and how a call was answered or ended."""


class Fetched(Protocol):
    """What an HTTP request brought."""

    @property
    def body(self) -> bytes:
        """The whole body."""

    @property
    def content_type(self) -> str | None:
        """The media type, without parameters."""

    @property
    def charset(self) -> str | None:
        """How the body is written as octets, if it was said."""


class Fetcher(Protocol):
    """Fetches over HTTP what the operator allows to be fetched."""

    def get(self, url: str, *, max_bytes: int, timeout: float) -> Awaitable[Fetched]:
        """Return what is at `url`; PeerError with a sentence when it cannot be had."""

    def ask(
        self,
        url: str,
        *,
        body: bytes | None,
        max_bytes: int,
        timeout: float,
        allow: tuple[Network, ...] | None = None,
    ) -> Awaitable[Fetched]:
        """Return the answer to a signed POST of a JSON body, or to a signed GET if that is None.

        `allow` are networks that may be reached besides public addresses; None: those that all
        fetches may. PeerError as for `get`.
        """


class Answered(Protocol):
    """What an HTTP request brought, whatever its status."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields by name in lower case."""

    @property
    def body(self) -> bytes:
        """The whole body."""


class Requester(Protocol):
    """Makes the requests of scripts."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        max_bytes: int,
        timeout: float,
    ) -> Awaitable[Answered]:
        """Return the answer; PeerError with a sentence when there is none to be had."""


class RtpOutput(Protocol):
    """A stream of RTP to somebody who listens along."""

    source: tuple[str, int]
    """The address it comes from."""

    def send(self, number: int, samples: NDArray[np.int16]) -> None:
        """Send a frame, shape (n,), at 8 kHz; never waits. Its time follows from its number."""

    def close(self) -> None:
        """Send no more."""


class RtpOutputs(Protocol):
    """Opens streams of RTP."""

    def open(self, host: str, port: int, codec: LiveCodec) -> RtpOutput:
        """Return a stream to an address, a frame a packet.

        PeerError with a sentence when it is none that may be sent to; LocalError when there is no
        socket left.
        """


class WebSocket(Protocol):
    """A WebSocket of ours to a server."""

    def send(self, message: str | bytes) -> Awaitable[None]:
        """Send a message when those before are on their way; PeerError when it cannot be."""

    def receive(self) -> Awaitable[str | bytes | None]:
        """Return the next message; None when the other side has said goodbye.

        PeerError when the connection is lost.
        """

    def close(self) -> Awaitable[None]:
        """Say goodbye, and wait a moment for the answer."""


class WebSockets(Protocol):
    """Connects to WebSocket servers that the operator allows."""

    def connect(
        self, url: str, *, headers: Mapping[str, str], timeout: float, secure: bool
    ) -> Awaitable[WebSocket]:
        """Return a connection; PeerError with a sentence when there is none to be had.

        With `secure` a `ws:` URL is taken only if its host is in `outbound.allow`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What the INVITE of a call of ours says."""

    from_: str
    """A header value without a tag, as `"Name" <sip:a@b>`."""
    to: str | None = None
    """Likewise; None: the target."""
    headers: tuple[tuple[str, str], ...] = ()
    """More header fields, each fit by `sip.extra_headers.check`."""
    credentials: Credentials | None = None
    """For challenges of the destination, and of nobody else."""
    offer: Callable[[Hop], bytes]
    """Makes its SDP once it is known where it goes, and again for each other hop that has to be
    tried; b"" to be given an offer."""


class Signalling(Protocol):
    """What a call asks of SIP; every command is carried out at once."""

    def ring(self, session: Session, *, status: int = 180, body: bytes = b"") -> None:
        """Send a provisional answer."""

    def answer(self, session: Session, body: bytes) -> None:
        """Accept a call or a re-INVITE with an SDP body."""

    def reject(
        self,
        session: Session,
        status: int,
        *,
        reason: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Refuse a call or a re-INVITE; `retry_after` in seconds."""

    def hang_up(self, session: Session) -> None:
        """End a call in whichever way fits its state."""

    def invite(
        self, target: SipUri, invitation: Invitation, began: Callable[[Session], None]
    ) -> Awaitable[Session]:
        """Place a call where `target` is best reached.

        `began` is given its session before any event about it can be reported. LocalError when the
        target cannot be resolved, or the invitation not be written; `began` is not called then.
        """

    def acknowledge(self, session: Session, body: bytes) -> None:
        """Send our answer to the offer in their 2xx."""

    def reinvite(self, session: Session, body: bytes) -> None:
        """Offer a change of an established call; b"" to be given an offer."""

    def info(self, session: Session, content_type: str, body: bytes) -> None:
        """Send an INFO; whether the peer takes them is `session.allows("INFO")`."""

    def refer(
        self,
        session: Session,
        to: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        credentials: Credentials | None = None,
    ) -> None:
        """Ask the peer of an established call to call `to`, the value of a Refer-To.

        `ReferAnswered` and `ReferProgressed` follow. LocalError when it cannot be written.
        """
