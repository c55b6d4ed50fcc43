"""What the audio and the telephone events of one leg are made of, through all its negotiations."""

from __future__ import annotations

from collections.abc import Awaitable

from ..rtp.codecs import Format, Terms
from ..rtp.transcoding import Transcoding
from ..sdp.codec import Codec
from ..sdp.session import AudioSession
from .wide_codecs import WideCodecs


class LegCodecs:
    """The codecs of a leg. Once one needs transcoding, all that the leg hears and sends goes there.

    The numbers of a former negotiation keep their meaning until they get another.
    """

    def __init__(self, codecs: WideCodecs, rate: int) -> None:
        """`rate` is that of the line, in Hz."""
        self.transcoding: Transcoding | None = None
        """None: all is G.711, and always was."""
        self.event_rates: dict[int, int] = {}
        """What telephone events count by as the line hears them, in Hz."""
        self.send_events: tuple[int, int] | None = None
        """Payload type of events, and what they are to count by; None: the far end takes none."""
        self._codecs = codecs
        self._rate = rate
        self._formats: dict[int, Format] = {}
        self._events: dict[int, int] = {}

    def agree(self, session: AudioSession) -> Transcoding | None:
        """Go on with a session; return what its audio goes through."""
        audio = {number: _format(codec) for number, codec in session.receive.items()}
        before = {n: form for n, form in self._formats.items() if n not in session.receive_events}
        self._formats = before | audio
        self._events = {n: r for n, r in self._events.items() if n not in audio}
        self._events |= session.receive_events
        terms = Terms(
            heard=self._formats,
            events=self._events,
            send=session.send_payload_type,
            sent=_format(session.send_codec),
            sent_events=dict([session.send_events] if session.send_events else []),
            ptime=session.ptime,
        )
        if self.transcoding is not None:
            self.transcoding.agree(terms)
        elif terms.sent.coded or any(form.coded for form in audio.values()):
            self.transcoding = Transcoding(self._codecs, terms, self._rate)
        if terms.sent.coded:
            self._codecs.begin()
        self.event_rates, self.send_events = self._events, session.send_events
        if self.transcoding is not None:
            self.event_rates = dict.fromkeys(self._events, self._rate)
            if session.send_events is not None:
                self.send_events = session.send_events[0], self._rate
        return self.transcoding

    def loading(self) -> Awaitable[None] | None:
        """Return what to wait for until what is to be sent can be made; None: it can be now."""
        coded = self.transcoding is not None and self.transcoding.terms.sent.coded
        return self._codecs.ready() if coded and not self._codecs.loaded else None


def _format(codec: Codec) -> Format:
    return Format(codec.name, codec.clock_rate, coded=not codec.is_g711)
