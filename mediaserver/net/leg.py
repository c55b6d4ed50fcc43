"""One RTP endpoint of the media engine: what a call plays to, listens to and records."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from ..audio.g711 import ALAW_TO_ULAW, ULAW_TO_ALAW
from ..audio.tones import dial_tones
from ..calls.ports import FarEnd, JournalFile, LegListener, LegStatistics, OpenWide
from ..recording.resource import Direction as Side
from ..rtp.dialer import Dialer
from ..rtp.srtp import Keys, SrtpCipher
from ..rtp.timeline import Kind
from ..sdp.negotiation import AudioSession, Direction
from .leg_codecs import LegCodecs
from .player import Player
from .ports import PortPair
from .reports import Reports
from .taps import Tap

if TYPE_CHECKING:
    from .media import MediaEngine


_TABLES: Final = MappingProxyType({Kind.ULAW: ULAW_TO_ALAW, Kind.ALAW: ALAW_TO_ULAW})
"""What turns a law into the other one, octet by octet."""

_KINDS: Final = MappingProxyType({"PCMU": Kind.ULAW, "PCMA": Kind.ALAW})
"""The codecs whose packets are handled as arrays; those of others are transcoded one by one."""

_KEY: Final = 0.1
_KEY_GAP: Final = 0.06
"""Seconds that a key sounds, and of silence after it (ITU-T Q.24 asks for 40 of each at least)."""

log = structlog.get_logger(__name__)


class RtpLeg:
    """See `calls.ports.MediaLeg`, whose methods these are."""

    def __init__(self, engine: MediaEngine, slot: int, pair: PortPair, cname: str) -> None:
        self.id = str(uuid.uuid4())
        self.rate = engine.lines.rate
        self.slot = slot
        self.pair = pair
        self.reports = Reports(engine, slot, pair, cname)
        self.listener: LegListener | None = None
        self._engine = engine
        self._dialer = Dialer(lambda at: engine.senders.timestamp(slot, at))
        self._session: AudioSession | None = None
        self._kinds: dict[int, Kind] = {}
        self._player = Player(engine, slot)
        self._srtp: SrtpCipher | None = None
        self._codecs = LegCodecs(engine.wide_codecs, self.rate)
        self._open_wide: OpenWide | None = None
        self._closed = False
        self._failed = False
        self._keys = asyncio.Lock()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to name in SDP."""
        return self._engine.advertise, self.pair.port

    @property
    def heard_at(self) -> float | None:
        """See `calls.ports.MediaLeg.heard_at`."""
        if self._closed:
            return None
        heard = self._engine.lines.heard_at(self.slot)
        reported = self.reports.heard_at
        return heard if reported is None else max(reported, heard or 0.0)

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
            self._engine.drain_whole(self)
        now = self._engine.clock.monotonic()
        self._session = session
        self._engine.second_lane.serve(
            self.slot, self._cipher(session), self._codecs.agree(session)
        )
        kinds = {
            number: _KINDS.get(codec.name, Kind.LINEAR) for number, codec in session.receive.items()
        }
        kinds |= dict.fromkeys(session.receive_events, Kind.EVENT)
        kinds |= dict.fromkeys(session.comfort_noise, Kind.NOISE)
        self._kinds |= kinds
        self._engine.lines.expect(self.slot, self._kinds, self._codecs.event_rates)
        self._keep_wide(self.now())
        self._engine.lines.spans.hold(self.slot, held=session.held, position=self.now())
        self._engine.sources.open(self.slot, session.remote_rtp, signalling_host, now)
        self.reports.connect(session, self._codecs.transcoding)
        self._engine.endpoints.set(self.slot, session.remote_rtp)
        self._engine.audible[self.slot] = session.direction in {
            Direction.SENDRECV, Direction.SENDONLY,
        }  # fmt: skip
        senders = self._engine.senders
        senders.kind[self.slot] = session.send_payload_type
        senders.frame[self.slot] = self.rate * session.ptime // 1000
        law = Kind.ALAW if session.send_codec.name == "PCMA" else Kind.ULAW
        self._player.speak(law)
        self._engine.joins.renew(self)
        self._engine.attend(self.slot)
        self._engine.mixes.follow(self)

    def loading(self) -> Awaitable[None] | None:
        """See `calls.ports.MediaLeg.loading`."""
        return self._codecs.loading()

    def now(self) -> int:
        """Return the line's present position: where what arrives now is placed."""
        return self._engine.lines.present(self.slot, self._engine.clock.monotonic())

    def sent_at(self, position: int) -> int:
        """Return where in the journal of what is sent that lies which went out at `position`.

        What is sent lies at the clock's positions, from which the line's may have parted.
        """
        return max(0, position - int(self._engine.lines.leads.present[self.slot]))

    def end(self) -> int:
        """Take in what still waits in the socket; return where the line ends if it ends now."""
        if not self._closed:
            self._engine.drain_whole(self)
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

    @property
    def wake(self) -> int:
        """Position of `decided` at which the listener is told that the line went on."""
        return int(self._engine.wakes.at[self.slot])

    @wake.setter
    def wake(self, position: int) -> None:
        if not self._closed:
            self._engine.wakes.at[self.slot] = position

    def keep(
        self, heard: JournalFile, sent: JournalFile, since: int, wide: OpenWide | None = None
    ) -> None:
        """Write what is heard, from `since` on, and what is sent to these journals as it comes.

        What of either has a higher rate than the line's goes to those of `wide`, too.
        """
        self._engine.tapes.start(self.slot, heard, sent, since, self._engine.clock.monotonic())
        self._engine.mixes.keep(self, sent, self.sent_at(since))
        self._open_wide = wide
        self._keep_wide(since)

    def keep_up(self) -> None:
        """Give the journals all that was heard and sent by now."""
        self._engine.tapes.catch_up(self.slot, self._engine.clock.monotonic())
        self._engine.mixes.keep_up(self)

    def keep_no_more(self) -> None:
        """Write nothing more to the journals."""
        self._open_wide = None
        if not self._closed:
            self._engine.tapes.stop(self.slot)
            self._engine.mixes.keep_no_more(self)

    def _keep_wide(self, since: int) -> None:
        """Keep what goes through a codec, if anything does, and the leg is kept."""
        tapes, transcoding = self._engine.tapes, self._codecs.transcoding
        if self._open_wide is not None and transcoding is not None:
            now, expected = self._engine.clock.monotonic(), transcoding.terms.sent.coded
            tapes.widen(self.slot, self._open_wide, since, now, expected=expected)

    def passage(self, other: RtpLeg) -> tuple[dict[int, int], dict[int, NDArray[np.uint8] | None]]:
        """Return what the payload types heard here are called on the way to `other`'s far end.

        With it, for each that is audio, the table by which it is translated to be understood
        there. What the other side cannot take is left out. Both legs were connected.
        """
        there, events = other.session, other._codecs.send_events
        assert there is not None
        kinds: dict[int, int] = {}
        tables: dict[int, NDArray[np.uint8] | None] = {}
        for number, kind in self._kinds.items():
            if kind in _TABLES or kind is Kind.LINEAR:
                kinds[number] = there.send_payload_type
                law = Kind.ULAW if kind is Kind.LINEAR else kind  # as which it is passed on
                tables[number] = None if law is other._player.law else _TABLES[law]
            elif kind is Kind.EVENT and events is not None:
                sent, rate = events
                if rate == self._codecs.event_rates.get(number):
                    kinds[number] = sent
            elif kind is Kind.NOISE and number in there.comfort_noise:
                kinds[number] = number
        return kinds, tables

    def played(self, start: int, end: int) -> NDArray[np.int16]:
        """See `Player.played`."""
        return self._player.played(start, end)

    async def play(self, samples: NDArray[np.int16]) -> int:
        """Send samples at the leg's rate; return how many were sent.

        That is all of them, unless `stop_playing` or another `play` comes. Where the far end does
        not listen (hold, no address yet) time passes all the same. A leg that was closed has
        nothing left to say.
        """
        return await self._player.play(self, samples)

    def stop_playing(self) -> None:
        """Send no more of what is playing."""
        self._player.stop(self)

    def finish_playing(self) -> None:
        """Tell whoever plays that the last frame was sent. Called by the engine."""
        self._player.finish()

    def tap(self, direction: Side, ptime: int, *, apart: bool = False) -> Tap:
        """See `calls.ports.MediaLeg.tap`; of a leg that was closed there is nothing."""
        return self._engine.taps.open(self, direction, ptime, apart=apart, closed=self._closed)

    async def send_digits(self, digits: str) -> None:
        """Send DTMF as telephone events, or where the far end takes none as what keys sound like.

        Those wait until what is playing is over. PeerError 400 or ValueError for what is no key.
        """
        if self._closed or self._session is None:
            return
        if self._codecs.send_events is None:
            async with self._keys:
                await self._player.wait()
                await self.play(dial_tones(digits, _KEY, _KEY_GAP, self.rate))
            return
        kind, clock_rate = self._codecs.send_events
        now = self._engine.clock.monotonic()
        over = self._dialer.dial(digits, kind, clock_rate, now)
        self._engine.begin_dialing(self)
        await asyncio.sleep(over - now)

    def send_tones(self, now: float) -> bool:
        """Send the packets of digits that are due; False when none are left."""
        senders, slot = self._engine.senders, self.slot
        for tone in self._dialer.due(now):
            event = tone.event
            packet = senders.event(
                slot, tone.kind, tone.timestamp, event.payload, now, marker=event.marker
            )
            if self._engine.audible[slot]:
                self._engine.second_lane.send_one(slot, packet)
        return self._dialer.busy

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
        """See `Reports.hear`."""
        self.reports.hear(data)

    def send_report(self, now: float) -> None:
        """See `Reports.send`."""
        self.reports.send(now)

    def statistics(self) -> LegStatistics:
        """Return the counts so far."""
        counts, slot = self._engine.lines.counts, self.slot
        transcoding = self._codecs.transcoding
        peer = self.reports.reporter.peer
        return LegStatistics(
            packets_received=int(counts.packets[slot]),
            packets_lost=counts.lost(slot),
            packets_late=int(counts.late[slot]),
            packets_refused=int(
                self._engine.sources.refused[slot] + self._engine.second_lane.refused[slot]
            )
            + (transcoding.undecodable if transcoding is not None else 0),
            packets_sent=self.reports.packets_sent,
            jitter=float(counts.jitter[slot]),
            round_trip=peer.round_trip,
            far_end=(
                FarEnd(peer.fraction_lost, peer.lost, self.reports.peer_jitter)
                if peer.reports
                else None
            ),
            skew_ppm=self._engine.lines.leads.skew(slot),
            encryption=None if self._srtp is None else self._srtp.suite,
        )

    def close(self) -> None:
        """Say goodbye and give the ports back."""
        if self._closed:
            return
        self._closed = True
        try:
            self.reports.say_goodbye()
        finally:
            self._player.close()
            self.listener = None
            self._engine.release(self)

    def _cipher(self, session: AudioSession) -> SrtpCipher | None:
        """Return what opens and seals the packets of a session; None: they are plain RTP."""
        agreed = session.keys
        if agreed is None:
            self._srtp = None
            return None
        keys = Keys(agreed.suite, agreed.ours, agreed.theirs, agreed.mki)
        if self._srtp is None:
            self._srtp = SrtpCipher(keys)
        else:
            self._srtp.renew(keys)
        return self._srtp

    def _note_fault(self) -> None:
        """Log the exception in hand, once a leg: one that fails may fail at every tick."""
        if not self._failed:
            self._failed = True
            log.exception("media leg failed", leg=self.id)
