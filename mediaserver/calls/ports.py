"""What a call needs of the world outside, as the shapes that `net`, `store` and `web` fill.

A call never imports a socket, a database or an HTTP client: it is handed these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..recording.announcement import Announcement
from ..recording.rendering import Rendered, RenderJob
from ..recording.resource import Direction, Recording
from ..sdp.negotiation import AudioSession
from ..sip.hop import Hop
from ..sip.session import Session
from ..sip.uri import SipUri
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


class LegListener(Protocol):
    """Whoever wants to hear what happens on a media leg; called from the media tick."""

    def on_key(self, digit: str, position: int) -> None:
        """A DTMF key went down; `position` is the sample its tone began at."""

    def on_advance(self) -> None:
        """The leg's line went on to where the listener wanted to be told, or further."""


class MediaLeg(Protocol):
    """One RTP endpoint and its line (see `rtp.timeline`). Positions are samples on that line."""

    id: str
    rate: int
    listener: LegListener | None
    wake: int
    """Position of `decided` at which the listener is told that the line went on."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to name in SDP."""

    @property
    def session(self) -> AudioSession | None:
        """What was negotiated last."""

    def connect(self, session: AudioSession, signalling_host: str) -> None:
        """Begin, or go on, with what was negotiated; packets are taken from its addresses."""

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

    def play(self, samples: NDArray[np.int16]) -> Awaitable[None]:
        """Send samples at the leg's rate; done when the last one was sent or `stop_playing`."""

    def stop_playing(self) -> None:
        """Send no more of what is playing."""

    def send_digits(self, digits: str) -> Awaitable[None]:
        """Send DTMF; done when the last digit is over."""

    def statistics(self) -> LegStatistics:
        """Return the counts so far."""

    def close(self) -> None:
        """Give the ports back."""


class MediaEngine(Protocol):
    """Where media legs come from."""

    def open_leg(self) -> MediaLeg:
        """Return a new leg with ports of its own; LocalError when there are none left."""


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


class Fetcher(Protocol):
    """Fetches over HTTP what the operator allows to be fetched."""

    def get(self, url: str, *, max_bytes: int, timeout: float) -> Awaitable[Fetched]:
        """Return what is at `url`; PeerError with a sentence when it cannot be had."""

    def post(self, url: str, *, body: bytes, max_bytes: int, timeout: float) -> Awaitable[Fetched]:
        """Send a signed JSON body and return the answer; PeerError as for `get`."""


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
        self, target: SipUri, from_: str, offer: Callable[[Hop], bytes]
    ) -> Awaitable[Session]:
        """Place a call; `offer` makes its SDP once it is known where it goes.

        LocalError when the target cannot be resolved or reached.
        """
