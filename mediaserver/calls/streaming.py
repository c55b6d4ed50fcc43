"""`stream`: a call's audio as messages over a WebSocket, and audio back (contract A8).

The messages are those of `stream_messages`. A stream that goes both ways plays what its server
says to the caller (`playout`); one that does not takes no notice of it.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..audio.live_codec import Decoder, Encoder, LiveCodec
from ..errors import PeerError
from ..recording.resource import Direction
from .ending import CallOver
from .floor import Rank, Turn
from .playout import Playout
from .ports import LiveAudio, WebSocket
from .stream_messages import (
    INBOUND,
    OUTBOUND,
    Clear,
    Mark,
    Media,
    StreamMessages,
    read_message,
)
from .tapping import connect_socket

if TYPE_CHECKING:
    from ..swml.actions import StreamTarget
    from .call import Call
    from .live_host import LiveHost, OpenAudio

MAX_PARAMETERS: Final = 8 * 1024
"""Octets of a stream's custom parameters, as JSON."""

PIECE: Final = 8 * 1024
"""Octets of audio that are decoded at once."""

MAX_WAITING: Final = 256
"""Messages between two frames; of more the oldest are dropped."""

TRACKS: Final = {
    "inbound_track": (INBOUND,),
    "outbound_track": (OUTBOUND,),
    "both_tracks": (INBOUND, OUTBOUND),
}

_DIRECTIONS: Final = {
    (INBOUND,): Direction.SPEAK,
    (OUTBOUND,): Direction.LISTEN,
    (INBOUND, OUTBOUND): Direction.BOTH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOrder:
    """What is to be streamed, and where it goes."""

    url: str
    """`wss://`; `ws://` to hosts in `outbound.allow`."""
    control_id: str | None = None
    """None: one is made up."""
    name: str | None = None
    track: str = "inbound_track"
    """One of `TRACKS`."""
    codec: str | None = None
    """As `L16@16000h@20i`; None: PCMU."""
    status_url: str | None = None
    status_url_method: str = "POST"
    authorization_bearer_token: str | None = field(default=None, repr=False)
    custom_parameters: Mapping[str, Any] = field(default_factory=dict)
    bidirectional: bool = False
    """Whether the server may speak to the caller."""
    realtime: bool = False
    """Whether what it says is live: it is not kept for longer than a second then."""

    @classmethod
    def to(
        cls, target: StreamTarget, *, bidirectional: bool, realtime: bool = False
    ) -> StreamOrder:
        """Return the order for a server that is a party of its own; the rest see the fields."""
        return cls(
            url=target.url,
            name=target.name,
            codec=target.codec,
            status_url=target.status_url,
            status_url_method=target.status_url_method,
            authorization_bearer_token=target.authorization_bearer_token,
            custom_parameters=target.custom_parameters,
            bidirectional=bidirectional,
            realtime=realtime,
        )


class Stream:
    """A stream that runs. `variables` are those of its start (contract A8)."""

    event: Final = "calling.call.stream"
    running: Final = "streaming"

    def __init__(
        self,
        order: StreamOrder,
        control_id: str,
        codec: LiveCodec,
        audio: LiveAudio,
        socket: WebSocket,
        turn: Turn,
        owner: Mapping[str, str],
    ) -> None:
        """`turn` is where its server is heard, if it may speak.

        `owner` are the `project_id` and the `call_id` that are named to the server.
        """
        self.control_id = control_id
        self.id = str(uuid.uuid4())
        self.status_url = order.status_url
        self.status_url_method = order.status_url_method
        self.audio = audio
        self.over = asyncio.Event()
        """Set once it has ended."""
        self.playout = (
            Playout(turn, self._mark, live=order.realtime) if order.bidirectional else None
        )
        self._order = order
        self._socket = socket
        self._tracks = TRACKS[order.track]
        self._encoders = [Encoder(codec) for _ in self._tracks]
        self._decoder = Decoder(codec)
        self._messages = StreamMessages(
            stream_id=self.id,
            tracks=self._tracks,
            codec=codec,
            custom_parameters=order.custom_parameters,
            **owner,
        )
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING)
        self.refused = 0
        """Messages of the server's that were none."""

    @property
    def variables(self) -> dict[str, Any]:
        """What is known of it."""
        return {"stream_result": "success", "stream_control_id": self.control_id}

    @property
    def params(self) -> dict[str, Any]:
        """What its callbacks say of it."""
        named = {} if self._order.name is None else {"name": self._order.name}
        return {"url": self._order.url, **named}

    def press(self, digit: str, _position: int) -> None:
        """Tell the server of a key that the caller pressed."""
        self._waiting.append(self._messages.dtmf(digit))

    async def send(self) -> None:
        """Send what comes, to its end; PeerError when the other side is gone."""
        send = self._socket.send
        await send(self._messages.connected())
        await send(self._messages.start())
        while (frame := await self.audio.take()) is not None:
            while self._waiting:
                await send(self._waiting.popleft())
            for track, encoder, samples in zip(
                self._tracks, self._encoders, frame.samples, strict=True
            ):
                await send(self._messages.media(track, frame.number, encoder.encode(samples)))

    async def listen(self) -> None:
        """Take what the server says, until it says no more."""
        while (text := await self._socket.receive()) is not None:
            await asyncio.sleep(0)  # others have their turn, however many messages come
            if self.playout is None:
                continue
            try:
                message = read_message(text)
            except ValueError:  # a server that is mistaken is still listening
                self.refused += 1
                continue
            match message:
                case Media(payload):
                    for piece in self._decoder.pieces(payload, PIECE):
                        await asyncio.sleep(0)  # and however long one is
                        try:
                            self.playout.add(self._decoder.decode(piece))
                        except ValueError:
                            self.refused += 1
                case Mark(name):
                    self.playout.mark(name)
                case Clear():
                    self.playout.clear()

    async def say_goodbye(self, reason: str) -> None:
        """Send what waits, and the last message."""
        while self._waiting:
            await self._socket.send(self._waiting.popleft())
        await self._socket.send(self._messages.stop(reason))

    async def close(self) -> None:
        """Let go of the connection."""
        await self._socket.close()

    def _mark(self, name: str) -> None:
        self._waiting.append(self._messages.mark(name))


async def open_stream(
    host: LiveHost, order: StreamOrder, control_id: str, open_audio: OpenAudio
) -> Stream:
    """Return a stream that is about to run; PeerError when it cannot be."""
    if order.track not in TRACKS:
        raise PeerError(400, f"track: one of {', '.join(TRACKS)}")
    if len(json.dumps(dict(order.custom_parameters))) > MAX_PARAMETERS:
        raise PeerError(400, f"custom_parameters: more than {MAX_PARAMETERS} octets")
    try:
        codec = LiveCodec.parse(order.codec or "PCMU")
    except ValueError as error:
        raise PeerError(400, f"codec: {error}") from None
    if codec.must_load:
        await host.unless_over(asyncio.to_thread(codec.load))
    token = order.authorization_bearer_token
    if token is not None and not (token.isascii() and token.isprintable()):
        raise PeerError(400, "authorization_bearer_token: not fit for a header")
    socket = await connect_socket(
        host,
        order.url,
        control_id,
        headers={} if token is None else {"Authorization": f"Bearer {token}"},
        secure=True,
    )
    direction = _DIRECTIONS[TRACKS[order.track]]
    try:
        audio, turn = open_audio(direction, codec.ptime)
    except BaseException:
        await socket.close()  # it came together with the end
        raise
    owner = {"project_id": host.envelope.project_id, "call_id": host.id}
    return Stream(order, control_id, codec, audio, socket, turn, owner)


def audio_of(call: Call, direction: Direction, ptime: int) -> tuple[LiveAudio, Turn]:
    """Return the audio of a call, see `OpenAudio`."""
    if call.media is None:
        raise CallOver
    return call.media.tap(direction, ptime, apart=True), Turn(call, Rank.WAITS)
