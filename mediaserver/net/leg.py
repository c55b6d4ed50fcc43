"""One RTP endpoint of the media engine: what a call plays to, listens to and records."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import uuid
from typing import TYPE_CHECKING, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from ..audio.g711 import ALAW_DECODE, ULAW_DECODE, encode_alaw, encode_ulaw
from ..calls.ports import LegListener, LegStatistics
from ..rtp.packet import source_key
from ..rtp.rtcp import Reception, Reporter, Sending
from ..rtp.sender import Sender
from ..rtp.timeline import Kind
from ..sdp.negotiation import AudioSession, Direction
from .ports import PortPair

if TYPE_CHECKING:
    from .media import MediaEngine


LONG: Final = 1 << 20
"""Samples from which a prompt is encoded beside the event loop: two minutes take 10 ms."""

_RANDOM = secrets.SystemRandom()

log = structlog.get_logger(__name__)


class RtpLeg:
    """See `calls.ports.MediaLeg`, whose methods these are."""

    def __init__(self, engine: MediaEngine, slot: int, pair: PortPair, cname: str) -> None:
        self.id = str(uuid.uuid4())
        self.rate = engine.lines.rate
        self.slot = slot
        self.pair = pair
        self.sender = Sender(secrets.randbits, self.rate)
        self.reporter = Reporter(
            self.sender.ssrc, cname, self.rate, lambda: _RANDOM.uniform(0.5, 1.5)
        )
        self.listener: LegListener | None = None
        self.keep_sent = False
        self._engine = engine
        self._session: AudioSession | None = None
        self._kinds: dict[int, Kind] = {}
        self._target: tuple[str, int] | None = None
        self._report_target: tuple[str, int] | None = None
        self._law = Kind.ULAW
        self._samples: NDArray[np.int16] = np.zeros(0, np.int16)
        self._played: asyncio.Future[None] | None = None
        self._sent: list[tuple[int, NDArray[np.int16]]] = []
        self._closed = False
        self._failed = False

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to name in SDP."""
        return self._engine.advertise, self.pair.port

    @property
    def session(self) -> AudioSession | None:
        """What was negotiated last."""
        return self._session

    def connect(self, session: AudioSession, signalling_host: str) -> None:
        """Begin, or go on, with what was negotiated; once closed, do nothing.

        What waits in the socket came under the old terms and is heard under them. So is the old
        codec until its numbers mean something else: the far end goes on with it until our answer
        has arrived.
        """
        if self._closed:
            return
        if self._session is not None:
            self._engine.drain([self])
        now = self._engine.clock.monotonic()
        self._session = session
        kinds = {
            number: Kind.ALAW if codec.name == "PCMA" else Kind.ULAW
            for number, codec in session.receive.items()
        }
        kinds |= dict.fromkeys(session.receive_events, Kind.EVENT)
        kinds |= dict.fromkeys(session.comfort_noise, Kind.NOISE)
        self._kinds |= kinds
        self._engine.lines.expect(self.slot, self._kinds)
        self._engine.sources.open(self.slot, session.remote_rtp, signalling_host, now)
        self._target, self._report_target = session.remote_rtp, session.remote_rtcp
        law = Kind.ALAW if session.send_codec.name == "PCMA" else Kind.ULAW
        self.sender.kind = session.send_payload_type
        self.sender.frame = self.rate * session.ptime // 1000
        if law is not self._law:
            self._law = law
            self.sender.replace(_encode(self._samples, law))

    def now(self) -> int:
        """Return the clock's position."""
        return self._engine.lines.position(self.slot, self._engine.clock.monotonic())

    def end(self) -> int:
        """Take in what still waits in the socket; return where the line ends if it ends now."""
        if not self._closed:
            self._engine.drain([self])
            self._engine.lines.advance(self._engine.clock.monotonic(), [self.slot])
        return self._engine.lines.end(self.slot, self._engine.clock.monotonic())

    def marks(self) -> tuple[int, int, int]:
        """Return `placed`, `final`, `decided` (see `rtp.timeline`)."""
        lines = self._engine.lines
        return (
            int(lines.placed[self.slot]), int(lines.final[self.slot]), int(lines.decided[self.slot])
        )  # fmt: skip

    def read(self, start: int, end: int) -> NDArray[np.int16]:
        """Return what was heard from `start` to `end`."""
        return self._engine.lines.read(self.slot, start, end)

    def take_late(self) -> int | None:
        """Return the lowest position that changed behind `placed`, None if none did."""
        return self._engine.lines.take_late(self.slot)

    def take_sent(self) -> list[tuple[int, NDArray[np.int16]]]:
        """Return what was sent since the last call, with its positions."""
        sent, self._sent = self._sent, []
        return sent

    async def play(self, samples: NDArray[np.int16]) -> None:
        """Send samples at the leg's rate; done when the last was sent or `stop_playing` is called.

        Where the far end does not listen (hold, no address yet) time passes all the same. A leg
        that was closed has nothing left to say.
        """
        law = self._law
        payload = b""
        if samples.size > LONG:
            payload = await asyncio.to_thread(_encode, samples, law)
        if self._closed or not samples.size:
            self.stop_playing()
            return
        self._finish_playing()
        self._samples = samples
        played = self._played = asyncio.get_running_loop().create_future()
        if not payload or law is not self._law:
            payload = _encode(samples, self._law)
        self.sender.play(payload, self._engine.clock.monotonic())
        self._engine.set_pace(self, brisk=True)
        try:
            await played
        finally:
            if self._played is played:
                self.stop_playing()

    def stop_playing(self) -> None:
        """Send no more of what is playing."""
        self.sender.stop()
        self._samples = np.zeros(0, np.int16)
        self._finish_playing()
        if not self._closed and not self.sender.busy:
            self._engine.set_pace(self, brisk=False)

    async def send_digits(self, digits: str) -> None:
        """Send DTMF as telephone events; at once done when the far end takes none."""
        if self._closed or self._session is None or self._session.send_events is None:
            return
        kind, clock_rate = self._session.send_events
        now = self._engine.clock.monotonic()
        over = self.sender.dial(digits, kind, clock_rate, now)
        self._engine.set_pace(self, brisk=True)
        await asyncio.sleep(over - now)

    def pump(self, now: float) -> None:
        """Send what is due. Called at every tick while there is something to send."""
        audio, events = self.sender.due(now)
        allowed = self._session is not None and self._session.direction in {
            Direction.SENDRECV, Direction.SENDONLY,
        }  # fmt: skip
        target = self._where() if allowed else None
        if target is not None:
            with contextlib.suppress(OSError):  # full buffer or unreachable: RTP is lossy
                for sent in audio:
                    self.pair.rtp.sendto(sent.packet, target)
                for packet in events:
                    self.pair.rtp.sendto(packet, target)
        if self.keep_sent and target is not None:
            table = ALAW_DECODE if self._law is Kind.ALAW else ULAW_DECODE
            origin = self._engine.lines.origin(self.slot)
            for sent in audio:
                position = round((sent.due - origin) * self.rate)
                self._sent.append((position, table[np.frombuffer(sent.payload, np.uint8)]))
        if not self.sender.playing:
            self._finish_playing()
        if not self.sender.busy:
            self._engine.set_pace(self, brisk=False)

    def take_turn(self, now: float) -> None:
        """Do what is due at a tick; whatever fails is this leg's own affair."""
        try:
            if self.sender.busy:
                self.pump(now)
            if self.reporter.is_due(now):
                self.send_report(now)
        except Exception:
            self._note_fault()
        self.tell_advance()

    def tell_advance(self) -> None:
        """Tell the listener that the line went on."""
        try:
            if self.listener is not None:
                self.listener.on_advance()
        except Exception:
            self._note_fault()

    def tell_key(self, digit: str, position: int) -> None:
        """Tell the listener of a DTMF key."""
        try:
            if self.listener is not None:
                self.listener.on_key(digit, position)
        except Exception:
            self._note_fault()

    def hear_report(self, data: bytes) -> None:
        """Take an RTCP packet that came from where this leg's media comes from."""
        clock = self._engine.clock
        self.reporter.receive(data, clock.monotonic(), clock.time())

    def send_report(self, now: float) -> None:
        """Send the RTCP report that is due."""
        wall = self._engine.clock.time()
        sending = None
        if self.sender.packets and now - self.sender.last_sent < 10.0:
            sending = Sending(self.sender.timestamp(now), self.sender.packets, self.sender.octets)
        self._send_rtcp(self.reporter.report(now, wall, self._reception(), sending))

    def statistics(self) -> LegStatistics:
        """Return the counts so far."""
        lines, slot = self._engine.lines, self.slot
        return LegStatistics(
            packets_received=int(lines.packets[slot]),
            packets_lost=lines.lost(slot),
            packets_late=int(lines.late[slot]),
            packets_refused=int(self._engine.sources.refused[slot]),
            packets_sent=self.sender.packets,
            jitter=float(lines.jitter[slot]),
            round_trip=self.reporter.peer.round_trip,
        )

    def close(self) -> None:
        """Say goodbye and give the ports back."""
        if self._closed:
            return
        self._closed = True
        try:
            if self.sender.packets:
                self._send_rtcp(self.reporter.goodbye())
        finally:
            self.stop_playing()
            self.listener = None
            self._engine.release(self)

    def _where(self) -> tuple[str, int] | None:
        """Return where media goes: where it comes from if that was learned, else where SDP says."""
        if self._target is None:
            return None
        accepted = int(self._engine.sources.accepted[self.slot])
        if accepted in {0, source_key(*self._target)}:
            return self._target
        if accepted >> 16 < 1 << 32:
            host = socket.inet_ntoa((accepted >> 16).to_bytes(4, "big"))
            return host, accepted & 0xFFFF
        return self._target[0], accepted & 0xFFFF

    def _reception(self) -> Reception | None:
        lines, slot = self._engine.lines, self.slot
        ssrc = lines.ssrc(slot)
        if ssrc is None:
            return None
        return Reception(
            ssrc=ssrc,
            top=int(lines.top[slot]),
            base=int(lines.base[slot]),
            received=int(lines.received[slot]),
            jitter=float(lines.jitter[slot]),
        )

    def _send_rtcp(self, packet: bytes) -> None:
        if self._session is None or self._report_target is None:
            return
        with contextlib.suppress(OSError):
            if self._session.rtcp_mux:
                target = self._where()
                if target is not None:
                    self.pair.rtp.sendto(packet, target)
            else:
                self.pair.rtcp.sendto(packet, self._report_target)

    def _note_fault(self) -> None:
        """Log the exception in hand, once a leg: one that fails may fail at every tick."""
        if not self._failed:
            self._failed = True
            log.exception("media leg failed", leg=self.id)

    def _finish_playing(self) -> None:
        if self._played is not None and not self._played.done():
            self._played.set_result(None)
        self._played = None


def _encode(samples: NDArray[np.int16], law: Kind) -> bytes:
    return encode_alaw(samples) if law is Kind.ALAW else encode_ulaw(samples)
